"""Questions and studies."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.seeds import Estimate

LEVEL = 0.95
TWO_SIDED, ONE_SIDED = 5.0, 2.5
"""Percent of false positives that is allowed: one side of a 95 % interval has half."""
SIDE = "one side of a 95 % interval"

Vector = NDArray[np.float64]
Answers = Iterator[tuple[str, int, int]]
"""Question, hits, and independent answers of one table."""
Simulation = Callable[[np.random.Generator], Answers]


@dataclass(frozen=True)
class Question:
    """What is counted over tables."""

    text: str
    nominal_percent: float
    """Of false positives, or of intervals that hold the truth."""
    note: str = ""

    @property
    def kind(self) -> Literal["false_positives", "coverage"]:
        """Table that it belongs to."""
        return "coverage" if self.nominal_percent > 50 else "false_positives"


@dataclass(frozen=True)
class Study:
    """One truth and design."""

    law: str
    design: str
    answer: Simulation
    questions: Mapping[str, Question]
    most: int = 1000
    """Tables that its cost allows."""


def holds(text: str, note: str = "") -> Question:
    """Ask for the coverage of a 95 % interval."""
    return Question(text, 100 * LEVEL, note)


def held(truth: float, lower: float | None, upper: float | None) -> bool:
    """Whether an interval, whose open ends hold everything, holds the truth."""
    return bool((lower is None or lower <= truth) and (upper is None or truth <= upper))


def held_by(e: Estimate | None, truth: float) -> bool:
    """Whether the interval of an estimate does."""
    return e is not None and held(truth, e.lower, e.upper)


def draw_seed(rng: np.random.Generator) -> int:
    """Draw a seed for what takes no generator."""
    return int(rng.integers(2**31))

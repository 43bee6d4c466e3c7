"""MappingSpec: the mapping problem, its networks and how they are trained. Importing this module imports no torch."""

import math
from collections import Counter
from dataclasses import dataclass

from trainer.strict import require


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSpec:
    """Which students learn from which teachers, on which problem; the constants stand in ``sweeps/mapping.yaml``."""

    values: tuple[int, ...]
    """What a context holds, in any order: zeros, and pairs of other numbers."""
    student_width: tuple[int, ...]
    """Features of each hidden layer."""
    teacher_width: tuple[int, ...]
    """Likewise."""
    seed: tuple[int, ...]
    """Each has its own teachers and students; a student's weights and samples are the same under every teacher of its seed."""
    batch: int
    """Samples a step."""
    least_samples: int
    """Samples that every network is trained on at least."""
    samples_per_parameter: int
    """Samples of a network that is larger than ``least_samples`` allows for."""
    learning_rate: float
    """Adam's, at its peak."""
    warmup_share: float
    """Share of the steps spent warming up; the rest is a cosine to zero."""

    def __post_init__(self) -> None:
        for name in ("student_width", "teacher_width", "seed"):
            numbers, least = getattr(self, name), 0 if name == "seed" else 1
            good = len(numbers) > 0 and len(set(numbers)) == len(numbers) and min(numbers) >= least
            require(good, name, list(numbers), f"one or more different whole numbers of {least} or more")
        for name in ("batch", "least_samples"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.samples_per_parameter >= 0, "samples_per_parameter", self.samples_per_parameter, "0 or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "a number above 0")
        require(0 <= self.warmup_share < 1, "warmup_share", self.warmup_share, "a number from 0 to below 1")
        pairs = all(count == 2 for value, count in Counter(self.values).items() if value != 0)
        require(pairs and len(self.values) > 0, "values", list(self.values), "zeros and pairs of other numbers")

    @property
    def places(self) -> int:
        """Length of the context, and of the query that points into it."""
        return len(self.values)

    def parameters(self, width: int) -> int:
        """Parameters of a network: two hidden layers between ``2 * places`` inputs and ``places`` outputs, with biases."""
        return (2 * self.places + 1) * width + (width + 1) * width + (width + 1) * self.places

    def steps(self, width: int) -> int:
        """Optimiser steps of a network."""
        return math.ceil(max(self.least_samples, self.samples_per_parameter * self.parameters(width)) / self.batch)

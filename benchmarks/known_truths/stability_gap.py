"""Curves that lose nothing, that lose and keep it lost, and that lose no more than their control; and idle strategies."""

from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
import pandas as pd

from analysis import fit_stability_gap
from analysis.laws.stability_gap_factorial import factorial
from analysis.laws.stability_gap_log import Curve
from analysis.laws.stability_gap_result import Gap
from benchmarks.known_truths.study import (
    LEVEL,
    ONE_SIDED,
    SIDE,
    TWO_SIDED,
    Answers,
    Question,
    Study,
    Vector,
    draw_seed,
    held_by,
    holds,
)
from benchmarks.stability_gap import DESIGNS, NAMES, Design, simulate, truth
from tests.analysis.stability_gap_factories import FACTORIAL

LAW = "stability_gap"
DIP = DESIGNS["3 seeds that differ by 10 %"]
_truth = cache(truth)  # of 100,000 curves


def _first(curves: Mapping[str, Curve], rng: np.random.Generator, **options: str) -> Gap:
    """Verdict on the first arm of a log of these curves."""
    parts = [
        pd.DataFrame({"step": curve.steps, "tokens": curve.tokens, "accuracy": row, "seed": seed, "arm": arm})
        for arm, curve in curves.items()
        for seed, row in zip(curve.seeds, curve.values, strict=True)
    ]
    log = pd.concat(parts, ignore_index=True)
    return fit_stability_gap(log, value="accuracy", better="higher", seed=draw_seed(rng), **options).gaps[0]


def flat(rng: np.random.Generator, design: Design) -> Answers:
    """Nothing is lost."""
    yield "lost", _first({"arm": simulate(design, draw_seed(rng))}, rng).verdict != "none found", 1


def stays(rng: np.random.Generator) -> Answers:
    """Nothing comes back, or as little as is called nothing."""
    for name, shape in (("stays", _lost), ("twentieth", lambda t: _lost(t) - 0.1 * np.expm1(-t / 10))):
        curve = simulate(DESIGNS["flat, 3 seeds"], draw_seed(rng))
        curve.values[:] += shape(curve.tokens)
        yield name, _first({"arm": curve}, rng).verdict.startswith("gap"), 1


def _lost(t: Vector) -> Vector:
    return np.asarray(2.0 * np.expm1(-t))


def control(rng: np.random.Generator) -> Answers:
    """The control loses as much."""
    arm, other = (simulate(DIP, draw_seed(rng)) for _ in range(2))
    gap = _first({"arm": arm, "control": other}, rng, control="control")
    yield "gap", gap.verdict == "gap", 1
    yield from ((name, held_by(getattr(gap, name), value), 1) for name, value in zip(NAMES, _truth(DIP), strict=True))
    yield "excess", held_by(gap.excess_depth, 0.0), 1


def strategies(rng: np.random.Generator) -> Answers:
    """No strategy does anything."""
    losses = 1.5 + 0.03 * rng.standard_normal((3, 1)) + 0.01 * rng.standard_normal((3, len(FACTORIAL)))
    found = factorial("new_loss", losses, FACTORIAL, level=LEVEL)
    for name, number in (("main", 1), ("interaction", 2)):
        yield name, any(e.answer in ("up", "down") for e in found if len(e.strategies) == number), 1
    yield "effect", held_by(found[0].estimate, 0.0), 1


def _flat(name: str, note: str = SIDE) -> Study:
    question = Question("gap or forgetting: something is lost", ONE_SIDED, note)
    answer: Callable[[np.random.Generator], Answers] = partial(flat, design=DESIGNS[name])
    return Study(LAW, f"{name}, 51 evaluations", answer, {"lost": question})


STUDIES = {
    "stability_gap_flat": _flat("flat, 3 seeds"),
    "stability_gap_flat_correlated": _flat("flat, 3 seeds, correlated 0.6"),
    "stability_gap_flat_1_seed": _flat("flat, 1 seed"),
    "stability_gap_flat_1_seed_correlated": _flat(
        "flat, 1 seed, correlated 0.6", f"one seed cannot tell a slow wave from a loss; {SIDE}"
    ),
    "stability_gap_stays": Study(
        LAW,
        "3 seeds, 51 evaluations; a loss of which nothing, or a twentieth, comes back",
        stays,
        {
            "stays": Question(
                "gap: it comes back (nothing does)", ONE_SIDED, "conservative: a twentieth must, and a dip be chosen"
            ),
            "twentieth": Question(
                "gap: more than a twentieth comes back (a twentieth does)",
                ONE_SIDED,
                "conservative: a dip must be chosen, too",
            ),
        },
    ),
    "stability_gap_control": Study(
        LAW,
        "3 seeds that differ by 10 %, 51 evaluations; a dip of which the control has as much",
        control,
        {
            "gap": Question("gap beyond the control's", ONE_SIDED, SIDE),
            "depth": holds("depth"),
            "time_to_minimum": holds("time to the minimum"),
            "time_to_recovery": holds("time to recovery"),
            "excess": holds("depth over the control's"),
        },
    ),
    "strategies": Study(
        LAW,
        "12 arms of three strategies, 3 seeds; no strategy does anything",
        strategies,
        {
            "main": Question("a strategy changes the loss (any of 4, Holm)", TWO_SIDED),
            "interaction": Question("two strategies interact (any pair, Holm)", TWO_SIDED),
            "effect": holds("effect of one strategy"),
        },
    ),
}

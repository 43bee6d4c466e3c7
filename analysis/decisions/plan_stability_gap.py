r"""Plan the evaluations of a continual pre-training: how dense, and on how many items, so that a gap of given depth is seen.

The expected curve is a double exponential of that depth, minimum and gap index. Depth and rise back are functions of its
constants, so their errors follow from where the evaluations lie:

.. math:: se^2 = m \left( c^2\, \frac{\sigma^2 + v / n_{items}}{n_{seeds}} + \frac{w}{n_{items}} \right), \qquad
          c^2 = g^\top (J^\top J)^{-1} g

===============  =====================================================================================================
symbol           meaning
===============  =====================================================================================================
J, g             derivatives by the constants of all evaluations, and of the depth or the rise; that the minimum moves
                 with them costs nothing to first order
:math:`\sigma`   sd of one evaluation about its curve that more items do not remove
v                variance of one item's score about its curve
w                variance over items of their own change from start to minimum
m                2 where the depth of a control is taken off, which has the same noise, else 1
===============  =====================================================================================================

Found means that the interval of ``fit_stability_gap`` excludes zero: noncentral t with one degree of freedom fewer than seeds,
or, where there are too few seeds for that, with those of the evaluations.

Source: the delta method (Cox and Hinkley 1974, Theoretical Statistics, section 9.2); the form is F1 of
:mod:`analysis.laws.stability_gap_forms`.

Known failures: the form is taken as known, which it is not where noise is large against the depth; noise that neighbours share
needs more evaluations than are counted here; few seeds that differ in more than noise need more seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student_t

from analysis.decisions.capacity_gap_simulation import check_positive
from analysis.fitting.result import check_level, to_plain
from analysis.fitting.separable import Curves
from analysis.laws.stability_gap_curve import MIN_SEEDS
from analysis.laws.stability_gap_forms import DOUBLE_EXPONENTIAL
from curselab.errors import InputError

Vector = NDArray[np.float64]

FACTORS = (4.0, 2.0, 1.5, 1.25, 1.12, 1.06)
"""Ratios of the steps of two evaluations that are tried where no cadence is given."""
_EVERY_STEP_UNTIL = 20
_MOST_ITEMS, _MOST_SEEDS = 10**9, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CadencePlan:
    """What one cadence of evaluations would show."""

    cadence: str
    n_evaluations: int
    """After the start."""
    early: float
    """Share of them before the minimum."""
    error_depth: float
    """Standard error of the depth, over that of one evaluation (c)."""
    error_rise: float
    """The same of the rise back."""
    power_depth: float
    """Chance that the depth, less the control's where there is one, is found."""
    power_rise: float
    """Chance that the rise back is found: a gap needs both."""
    items_needed: int | None
    """For the power in both, at the given seeds; 1 where items have no noise, None where no number is enough."""
    seeds_needed: int | None
    """For the power in both, with the given items; None beyond a thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityGapPlan:
    """Cadences side by side, from the fewest evaluations to the most."""

    cadences: tuple[CadencePlan, ...]
    depth: float
    """In the unit of the metric."""
    index: float
    seeds: int
    items: int
    level: float
    power: float

    @property
    def choice(self) -> CadencePlan | None:
        """The fewest evaluations that find depth and rise with the power; None where none of the cadences does."""
        return next((c for c in self.cadences if min(c.power_depth, c.power_rise) >= self.power), None)

    def frame(self) -> pd.DataFrame:
        """One row a cadence, with the fields of ``CadencePlan``."""
        return pd.DataFrame([to_plain(cadence) for cadence in self.cadences])

    def summary(self) -> str:
        """Text for a terminal."""
        chosen = self.choice
        lines = [
            f"depth {self.depth:.3g}, index {self.index:.3g}, {self.seeds} seeds, {self.items} items; power {self.power:.0%}",
            f"{'evaluations':>24} {'number':>7} {'early':>6} {'depth found':>12} {'rise found':>11} {'items':>9} {'seeds':>6}",
        ]
        for c in self.cadences:
            lines.append(
                f"{c.cadence:>24} {c.n_evaluations:7d} {c.early:6.0%} {c.power_depth:12.0%} {c.power_rise:11.0%}"
                f" {c.items_needed or '-':>9} {c.seeds_needed or '-':>6}"
            )
        return "\n".join([*lines, "no cadence is enough" if chosen is None else f"enough: {chosen.cadence}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noises:
    """Standard deviations, in the unit of the metric, and the level of the intervals."""

    evaluation: float
    item: float
    item_change: float
    level: float


@dataclass(frozen=True, slots=True)
class _Question:
    """One effect that must be found."""

    effect: float
    error: float
    """c."""
    curves: int
    """Whose noise counts (m)."""
    free: int
    """Evaluations less constants."""
    noises: _Noises

    def se(self, seeds: int, items: float) -> float:
        one = (self.noises.evaluation**2 + self.noises.item**2 / items) / seeds
        return float(np.sqrt(self.curves * (self.error**2 * one + self.noises.item_change**2 / items)))

    def power(self, seeds: int, items: float) -> float:
        dof = seeds - 1 if seeds >= MIN_SEEDS else self.free
        bound = float(student_t.ppf((1 + self.noises.level) / 2, dof))
        # far beyond the bound the chance is one, and the series of the noncentral t does not end
        return float(nct.sf(bound, dof, min(self.effect / self.se(seeds, items), 30.0 * bound)))


def plan_stability_gap(
    depth: float,
    *,
    steps: int,
    minimum: float,
    noise: float,
    index: float = 1.0,
    recovery: float | None = None,
    control_depth: float | None = None,
    items: int = 2000,
    item_sd: float = 0.0,
    item_change_sd: float = 0.0,
    seeds: int = 3,
    cadences: Mapping[str, Sequence[float]] | None = None,
    level: float = 0.95,
    power: float = 0.8,
) -> StabilityGapPlan:
    """Say which cadence of evaluations and how many items find a gap.

    Parameters
    ----------
    depth : float
        Expected depth, in the unit of the metric.
    steps : int
        Of the whole run.
    minimum : float
        Step at which it is expected.
    noise : float
        Standard deviation of one evaluation of one seed about its curve that more items do not remove.
    index : float
        Gap index at the end: 1 is full recovery.
    recovery : float, optional
        Time constant of coming back, steps; a quarter of the run when left out.
    control_depth : float, optional
        Depth of the control, which is taken off.
    items : int
        Scored at every evaluation, the same ones.
    item_sd : float
        Of one item's score about its curve: a pilot's residual standard deviation times the root of its items; where each
        evaluation asks new questions, the root of p (1 - p).
    item_change_sd : float
        Over items, of their change from start to minimum: for answers about the root of the share that changes. With 0 the
        plan speaks of these items alone.
    seeds : int
        Of every arm.
    cadences : mapping, optional
        Name -> steps of the evaluations after the start; those of ``default_cadences`` when left out.
    level, power : float
        Of the intervals, and of what counts as found.

    Raises
    ------
    InputError
        Numbers that are not positive, or a minimum and a recovery that no double exponential has.
    """
    check_positive(depth=depth, steps=steps, minimum=minimum, noise=noise, index=index, items=items, seeds=seeds)
    if not minimum < steps:
        raise InputError(f"minimum: {minimum!r} was given, a step before the last of {steps} is needed")
    if control_depth is not None and not 0 <= control_depth < depth:
        raise InputError(f"control_depth: {control_depth!r} was given, 0 or more and less than the depth {depth:g} is needed")
    noises = _Noises(evaluation=noise, item=item_sd, item_change=item_change_sd, level=check_level(level))
    low = minimum / steps
    curve = expected_curve(depth, low, index=index, recovery=0.25 if recovery is None else recovery / steps)
    asked = default_cadences(steps) if cadences is None else cadences
    found = []
    for name, at in sorted(asked.items(), key=lambda pair: len(pair[1])):
        times = np.concatenate([[0.0], np.sort(np.asarray(at, dtype=float)) / steps])
        free = len(times) - DOUBLE_EXPONENTIAL.n_params
        if free < 1:
            raise InputError(f"cadences: {name} has {len(at)} steps, {DOUBLE_EXPONENTIAL.n_params} or more are needed")
        errors = _errors(curve, times, low)
        questions = (
            _Question(depth - (control_depth or 0.0), errors[0], 1 if control_depth is None else 2, free, noises),
            _Question(index * depth, errors[1], 1, free, noises),
        )
        found.append(
            CadencePlan(
                cadence=name,
                n_evaluations=len(at),
                early=float(np.mean(times[1:] < low)),
                error_depth=errors[0],
                error_rise=errors[1],
                power_depth=questions[0].power(seeds, items),
                power_rise=questions[1].power(seeds, items),
                items_needed=_fewest(partial(_items_are_enough, questions, seeds, power), 1, _MOST_ITEMS),
                seeds_needed=_fewest(partial(_seeds_are_enough, questions, items, power), MIN_SEEDS, _MOST_SEEDS),
            )
        )
    return StabilityGapPlan(
        cadences=tuple(found), depth=depth, index=index, seeds=seeds, items=items, level=noises.level, power=power
    )


def default_cadences(steps: int) -> dict[str, list[float]]:
    """Ten even evaluations, and every step to 20 with later ones spaced by each of ``FACTORS``: name -> steps."""
    cadences = {"every 10 %": [steps * share / 10 for share in range(1, 11)]}
    first = list(range(1, min(_EVERY_STEP_UNTIL, steps) + 1))
    for factor in FACTORS:
        spaced = factor ** np.arange(0, np.log(steps) / np.log(factor))
        later = {float(step) for step in np.round(spaced) if step < steps}
        cadences[f"all to 20, then x {factor:g}"] = sorted({*map(float, first), *later, float(steps)})
    return cadences


def expected_curve(depth: float, minimum: float, *, index: float = 1.0, recovery: float = 0.25) -> Curves:
    """Double exponential that starts at 0, of given depth, minimum, gap index at the end and slow time constant.

    Times are shares of the budget.

    Raises
    ------
    InputError
        No fast time constant gives that minimum.
    """

    def at(log_fast: float) -> Curves:
        shapes = np.array([[log_fast, np.log(recovery) - log_fast]])
        columns = DOUBLE_EXPONENTIAL.basis(shapes, np.array([[minimum, 1.0]]))[0, :, 1:]
        sizes = np.linalg.solve(columns, [-depth, (index - 1) * depth])
        return Curves(DOUBLE_EXPONENTIAL, shapes, np.array([[0.0, *sizes]]), np.zeros((1, 0)))

    def slope(log_fast: float) -> float:
        around = minimum * (1 + np.array([[-1e-5, 1e-5]]))
        return float(np.diff(at(log_fast).at(around)[0])[0]) / depth

    fast = np.log(recovery) + np.linspace(-12, -0.02, 400)
    slopes = np.array([slope(value) for value in fast])
    turns = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] < 0))
    if not len(turns):
        raise InputError(
            f"plan: no double exponential has its minimum at {minimum:.3g} of the run and comes back in {recovery:.3g} of it"
            " (give an earlier minimum or a longer recovery)"
        )
    return at(float(brentq(slope, fast[turns[0]], fast[turns[0] + 1])))


def _errors(curve: Curves, times: Vector, minimum: float) -> tuple[float, float]:
    """Standard errors of depth and rise back over that of one evaluation, at times as shares of the budget."""
    J = curve.tangent(times[None])[0]
    start, low, end = curve.tangent(np.array([[0.0, minimum, 1.0]]))[0]
    # errors of the constants themselves may be boundless where those of the depth are not
    inverse = np.linalg.pinv(J.T @ J, rcond=1e-12)
    depth, rise = (float(np.sqrt(g @ inverse @ g)) for g in (start - low, end - low))
    return depth, rise


def _items_are_enough(questions: Sequence[_Question], seeds: int, power: float, items: int) -> bool:
    return all(question.power(seeds, items) >= power for question in questions)


def _seeds_are_enough(questions: Sequence[_Question], items: int, power: float, seeds: int) -> bool:
    return all(question.power(seeds, items) >= power for question in questions)


def _fewest(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """Smallest number from ``low`` to ``high`` that is enough, of which all larger ones are; None where none is."""
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low

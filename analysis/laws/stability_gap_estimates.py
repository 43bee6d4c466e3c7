"""Intervals of a fitted curve's metrics, alone, against a control, and against a baseline's budget."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.fitting.seeds import Estimate, over_seeds, ratio_over_seeds
from analysis.laws.stability_gap_curve import FittedCurve, estimate, pseudo_values, spread
from analysis.laws.stability_gap_metrics import Metrics, first_reach, measure

Vector = NDArray[np.float64]
TIMES = ("time_to_minimum", "time_to_recovery")


def measured(fit: FittedCurve, *, tolerance: float, peak: float | None) -> Metrics:
    """Metrics of the curve, first, and of its replicates; ``peak`` is a time in tokens."""
    at = None if peak is None else min(int(np.searchsorted(fit.times, peak)), len(fit.times) - 1)
    return measure(fit.times, np.vstack([fit.fitted[None], fit.replicates]), tolerance=tolerance, peak=at)


def estimates(fit: FittedCurve, metrics: Metrics, *, tolerance: float, level: float) -> dict[str, Estimate]:
    """Every metric with its interval, by name."""
    found = {
        field.name: estimate(values[0], values[1:], fit, level)
        for field in dataclasses.fields(Metrics)
        if field.name not in TIMES
        for values in [getattr(metrics, field.name)]
    }
    if fit.kind == "jackknife" and np.isfinite(metrics.gap_index).all():
        back, lost = (pseudo_values(values[0], values[1:]) for values in (metrics.transient, metrics.depth))
        found["gap_index"] = ratio_over_seeds(back, lost, level)
    found["held_out_depth"] = held_out_depth(fit, level)
    slope = np.gradient(fit.fitted, fit.times), np.gradient(fit.replicates, fit.times, axis=1)
    above = fit.fitted - fit.fitted[0] + tolerance, fit.replicates - fit.replicates[:, :1] + tolerance
    found["time_to_minimum"] = _when(fit, *slope, at=float(metrics.time_to_minimum[0]), level=level)
    found["time_to_recovery"] = _when(fit, *above, at=float(metrics.time_to_recovery[0]), level=level)
    return found


def held_out_depth(fit: FittedCurve, level: float) -> Estimate:
    """Mean over seeds of what each loses up to where all others together are lowest; None without the jackknife.

    The lowest point of a curve lies below its start by chance alone. Noise of the other seeds is not that of the seed that is
    left out, so this depth is zero on average where nothing is lost, whatever noise neighbouring evaluations share.
    """
    if fit.kind != "jackknife":
        return Estimate(None)
    seeds = pseudo_values(fit.fitted, fit.replicates)
    lowest = fit.replicates.argmin(axis=1)
    return over_seeds(seeds[:, 0] - seeds[np.arange(len(seeds)), lowest], level)


def _when(fit: FittedCurve, value: Vector, replicates: Vector, *, at: float, level: float) -> Estimate:
    """Times around ``at`` where a quantity may be zero: between where it is surely below and where it is surely above.

    The band is that of one point in time, as the truth is one. An end that is not reached is None: before the first step, or
    beyond the budget.
    """
    centre, se = spread(value, replicates, fit)
    half = float(student_t.ppf((1 + level) / 2, fit.dof)) * se
    i = int(np.searchsorted(fit.times, at))
    before, after = np.flatnonzero(centre[:i] + half[:i] < 0), np.flatnonzero(centre[i:] - half[i:] > 0)
    return Estimate(
        at if np.isfinite(at) else None,
        float(fit.times[before[-1]]) if len(before) else 0.0,
        float(fit.times[i + after[0]]) if len(after) else None,
        len(fit.curve.seeds),
        dof=fit.dof,
    )


def excess(arm: FittedCurve, control: FittedCurve, depths: tuple[Vector, Vector], level: float) -> Estimate:
    """Depth of an arm less that of its control, with their seeds paired; without an interval where they share none.

    ``depths`` are those of curve and replicates of both, ``(1 + n_replicates,)``.
    """
    difference = depths[0][0] - depths[1][0]
    if arm.kind != control.kind or (arm.kind != "noise" and arm.curve.seeds != control.curve.seeds):
        return Estimate(float(difference), n=len(arm.curve.seeds))
    return estimate(difference, depths[0][1:] - depths[1][1:], arm, level)


def speed_up(arm: FittedCurve, baseline: FittedCurve, level: float) -> Estimate:
    """Tokens that the baseline needs for what the arm has at its end, over the arm's tokens.

    Where the baseline never gets there, the value is None and the lower end says what its budget shows.
    """

    def ratio(strategy: Vector, other: Vector) -> float:
        return first_reach(baseline.times, other, float(strategy[-1])) / arm.curve.budget

    value = ratio(arm.fitted, baseline.fitted)
    if not np.isfinite(value):
        return Estimate(None, baseline.curve.budget / arm.curve.budget, None, len(arm.curve.seeds))
    if arm.kind != baseline.kind or len(arm.replicates) != len(baseline.replicates):
        return Estimate(value, n=len(arm.curve.seeds))
    drawn = np.array([ratio(*pair) for pair in zip(arm.replicates, baseline.replicates, strict=True)])
    return estimate(value, drawn, arm, level)

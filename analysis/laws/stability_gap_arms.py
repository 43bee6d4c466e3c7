"""Arms of a log: fitted, measured, and judged beside a control with the same learning rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fitting.result import Note
from analysis.fitting.seeds import Estimate
from analysis.fitting.separable import SeparableForm
from analysis.laws.stability_gap_curve import SMOOTH, FittedCurve, Shape, fit_curve
from analysis.laws.stability_gap_estimates import estimates, excess, measured, speed_up
from analysis.laws.stability_gap_forms import DIPS, NULLS, schedule_form, two_abilities
from analysis.laws.stability_gap_log import Better, Curve
from analysis.laws.stability_gap_metrics import Metrics
from analysis.laws.stability_gap_result import Gap, Verdict
from curselab.errors import InputError

_CORRELATED = 0.3  # of neighbouring residuals: forms are then judged on fewer evaluations than they seem

LEAST_INDEX = 0.05
"""Share of the depth that has to come back for a gap: with little noise, one per cent is told from none and is no recovery."""

Key = tuple[str, str]
"""Arm and split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedArms:
    """Curves of all arms and splits, with the metrics of each curve and its replicates."""

    fits: Mapping[Key, FittedCurve]
    metrics: Mapping[Key, Metrics]
    tolerance: float
    least_index: float
    level: float


def check_least_index(least_index: float) -> float:
    """Refuse a share that is not from 0 to below 1."""
    if not 0 <= least_index < 1:
        raise InputError(f"least_index: {least_index!r} was given, a share from 0 to below 1 is needed")
    return least_index


def fit_arms(
    curves: Mapping[Key, Curve],
    *,
    better: Better,
    domain: str | None = None,
    chance: float | None = None,
    peak_split: str | None = None,
    forward_area_before: float | None = None,
    tolerance: float = 0.0,
    least_index: float = LEAST_INDEX,
    shape: Shape = "auto",
    intervals: str = "auto",
    resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> FittedArms:
    """Fit and measure every curve; the arguments are those of ``fit_stability_gap``."""
    fits: dict[Key, FittedCurve] = {}
    for i, (key, curve) in enumerate(curves.items()):
        forms, options = [*NULLS, *DIPS], {}
        if forward_area_before is not None and curve.learning_rates is not None and better == "lower":
            forms.append(_schedule(curve, forward_area_before))
        if chance is not None and domain is not None and better == "higher":
            forms.append(two_abilities())
            options = {"domain": _domain(curves, key, domain), "offset": chance}
        # paired arms must lose the same seeds, and noise must not be shared
        random = [seed] if intervals == "bootstrap" else [seed, i]
        fits[key] = fit_curve(curve, forms, shape=shape, kind=intervals, resamples=resamples, seed=random, **options)
    metrics = {key: _measured(fits, key, tolerance, peak_split) for key in fits}
    return FittedArms(fits=fits, metrics=metrics, tolerance=tolerance, least_index=least_index, level=level)


def judge(arms: FittedArms, key: Key, *, control: str | None, baseline: str | None, is_control: bool) -> Gap:
    """Estimates and verdict of one arm and split.

    Parameters
    ----------
    arms : FittedArms
    key : tuple of str
        Arm and split.
    control, baseline : str, optional
        Arms whose depth is taken off, and whose tokens are compared.
    is_control : bool
        The arm is itself a control, so what it loses is the learning rate's.
    """
    fits, metrics, level = arms.fits, arms.metrics, arms.level
    fit, split = fits[key], key[1]
    found = estimates(fit, metrics[key], tolerance=arms.tolerance, level=level)
    over, faster, notes = Estimate(None), Estimate(None), _notes(fit)
    compared = control is not None and (control, split) in fits and not is_control
    if compared and not fit.curve.same_schedule(fits[str(control), split].curve):
        compared = False
        notes.append(Note("other_schedule", "the control has other learning rates: nothing can be taken from it"))
    if compared:
        other = (str(control), split)
        over = excess(fit, fits[other], (metrics[key].depth, metrics[other].depth), level)
        if over.lower is None:
            notes.append(Note("not_paired", f"arm {key[0]!r} and its control do not share their seeds"))
    if baseline is not None and (baseline, split) in fits and key[0] != baseline:
        faster = speed_up(fit, fits[baseline, split], level)
    verdict = verdict_of(fit, found, over if compared else None, least_index=arms.least_index)
    return Gap(
        arm=key[0],
        split=split,
        verdict="learning rate" if is_control and verdict == "gap, no control" else verdict,
        form=fit.form,
        margin=fit.margin if np.isfinite(fit.margin) else None,
        intervals=fit.kind,
        n_seeds=len(fit.curve.seeds),
        n_evaluations=len(fit.curve.steps),
        budget_tokens=fit.curve.budget,
        excess_depth=over,
        speed_up=faster,
        notes=tuple(notes),
        **found,
    )


def verdict_of(
    fit: FittedCurve, found: Mapping[str, Estimate], over: Estimate | None = None, *, least_index: float = LEAST_INDEX
) -> Verdict:
    """Word for a curve, from its estimates and its excess over the control, where there is one."""
    held_out = found["held_out_depth"]
    if not is_above(found["depth"]) or (held_out != Estimate(None) and not is_above(held_out)):
        return "none found"
    if not (fit.dips and is_above(found["gap_index"], least_index)):
        return "forgetting"
    if over is None:
        return "gap, no control"
    return "gap" if is_above(over) else "learning rate"


def is_above(estimate: Estimate, bound: float = 0.0) -> bool:
    """Whether the whole interval is."""
    return estimate.lower is not None and estimate.lower > bound


def _notes(fit: FittedCurve) -> list[Note]:
    notes = []
    if not np.isfinite(fit.margin):
        notes.append(Note("few_evaluations", f"{len(fit.curve.steps)} evaluations are too few to choose a form that dips"))
    if fit.kind == "noise":
        notes.append(Note("one_run", "too few seeds: the intervals say nothing of what another seed would give"))
    if fit.form == SMOOTH and fit.misfit:
        notes.append(Note("no_form_fits", "no form fits: a smoothing spline was measured"))
    elif fit.correlation > _CORRELATED:
        text = f"neighbouring evaluations are off together ({fit.correlation:.2f}): forms are judged on fewer than there are"
        notes.append(Note("correlated", text))
    if fit.dips and fit.early < 1 / 3:
        notes.append(Note("sparse", f"{fit.early:.0%} of the evaluations lie before the minimum, a third is needed"))
    return notes


def _schedule(curve: Curve, forward_before: float) -> SeparableForm:
    if forward_before <= 0:
        raise InputError(f"forward_area_before: {forward_before!r} was given, a sum of learning rates above 0 is needed")
    return schedule_form(forward_before, changes=len(set(curve.learning_rates.tolist())) > 1)  # type: ignore[union-attr]


def _domain(curves: Mapping[Key, Curve], key: Key, domain: str) -> Any:
    if (key[0], domain) not in curves:
        raise InputError(f"domain: arm {key[0]!r} has no split {domain!r}")
    return curves[key[0], domain].at(curves[key].tokens)


def _measured(fits: Mapping[Key, FittedCurve], key: Key, tolerance: float, peak_split: str | None) -> Metrics:
    peak = None
    if peak_split is not None and (key[0], peak_split) in fits and key[1] != peak_split:
        other = fits[key[0], peak_split]
        peak = float(other.times[other.fitted.argmax()])
    return measured(fits[key], tolerance=tolerance, peak=peak)

"""What continual pre-training loses and when it is back, from an evaluation log of any trainer, with controls and intervals.

A *gap* is a loss that comes back; what stays is *forgetting*; and a gap that the control has as well, which goes on with the
old text at the same learning rates and with the same state of the optimiser, is the *learning rate*'s. The words:

=====================  =================================================================================================
verdict                what is shown, each at the level of the intervals
=====================  =================================================================================================
``gap``                the chosen form dips and beats all monotone ones, depth, gap index and excess depth are above zero
``gap, no control``    the same, with no control to compare with
``learning rate``      the same, but the depth is not shown to exceed the control's, or is the control's own
``forgetting``         the depth is above zero, and nothing is shown to come back
``none found``         the depth is not shown to be above zero
=====================  =================================================================================================

Metrics are defined in :mod:`analysis.laws.stability_gap_metrics`, forms in :mod:`analysis.laws.stability_gap_forms`, and the
replicates behind intervals in :mod:`analysis.laws.stability_gap_curve`.

Sources: De Lange et al. (2023), Continual Evaluation for Lifelong Learning, arXiv:2205.13452 (the gap); Guo et al. (2024),
arXiv:2406.14833 (continual pre-training); Ibrahim et al. (2024), arXiv:2403.08763 (re-warming without a shift).

Known failures: checkpoints of one run are correlated, and with one seed an interval knows only that run; a gap that is over
before the first evaluations cannot be seen, so a third of them should lie before the expected minimum; on losses, a recovery
under a decaying rate may be annealing, which only a control or form F4 tells apart.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.fitting.result import Note, check_level
from analysis.fitting.seeds import Estimate
from analysis.fitting.separable import SeparableForm
from analysis.laws.stability_gap_curve import SMOOTH, FittedCurve, Shape, fit_curve
from analysis.laws.stability_gap_estimates import estimates, excess, measured, speed_up
from analysis.laws.stability_gap_forms import DIPS, NULLS, schedule_form, two_abilities
from analysis.laws.stability_gap_log import Better, Curve, read_log
from analysis.laws.stability_gap_metrics import Metrics
from analysis.laws.stability_gap_result import Gap, StabilityGapFit, Verdict
from curselab.errors import InputError

_CORRELATED = 0.3  # of neighbouring residuals: forms are then judged on fewer evaluations than they seem

Key = tuple[str, str]


def fit_stability_gap(
    log: pd.DataFrame,
    *,
    value: str = "loss",
    better: Better = "lower",
    columns: Mapping[str, str] | None = None,
    control: str | None = None,
    baseline: str | None = None,
    domain: str | None = None,
    chance: float | None = None,
    peak_split: str | None = None,
    forward_area_before: float | None = None,
    tolerance: float = 0.0,
    shape: Shape = "auto",
    intervals: str = "auto",
    resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> StabilityGapFit:
    """Measure the gap of every arm on every split.

    Parameters
    ----------
    log : pandas.DataFrame
        One row an evaluation: ``step``, ``tokens``, the metric, and as far as there are any ``seed``, ``arm``, ``split`` and
        ``learning_rate``; see :mod:`analysis.laws.stability_gap_log`.
    value : str
        Column of the metric.
    better : str
        ``lower`` for losses, ``higher`` for accuracies.
    columns : mapping, optional
        Names of one's own for the other columns.
    control : str, optional
        Arm that goes on with the old text at the same learning rates: depths are compared with its own.
    baseline : str, optional
        Arm whose tokens the budgets of the others are compared with.
    domain, chance : str and float, optional
        Split with the new text's metric, and the accuracy of guessing: together they admit form F3.
    peak_split : str, optional
        Split that the time of the peak is chosen on, so that the peak's gain is not the luck of its own split.
    forward_area_before : float, optional
        Sum of the learning rates of all steps of pre-training: with learning rates in the log it admits form F4 for losses.
    tolerance : float
        How far below its start a curve still counts as recovered, in the unit of the metric.
    shape : str
        What is measured: the chosen ``form``, a smoothing spline (``smooth``), or the spline only where no form fits
        (``auto``).
    intervals : str
        ``auto``, ``jackknife``, ``bootstrap`` or ``noise``.
    resamples, seed : int
        Of a bootstrap.
    level : float
        Of the intervals, each of one number.

    Returns
    -------
    StabilityGapFit
        One ``Gap`` an arm and split.

    Raises
    ------
    InputError
        The log lacks a column, a named arm or split, or evaluations before the first step.
    """
    level = check_level(level)
    if tolerance < 0:
        raise InputError(f"tolerance: {tolerance!r} was given, 0 or more is needed")
    curves = read_log(log, value=value, better=better, columns=columns)
    _check(curves, arms={"control": control, "baseline": baseline}, splits={"domain": domain, "peak_split": peak_split})
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
    gaps = tuple(_gap(fits, metrics, key, control, baseline, tolerance=tolerance, level=level) for key in fits)
    settings: dict[str, str | float | int] = {"value": value, "better": better, "tolerance": tolerance, "random_seed": seed}
    named = {"control": control, "baseline": baseline, "domain": domain, "peak_split": peak_split}
    return StabilityGapFit(
        gaps=gaps, level=level, settings=settings | {role: name for role, name in named.items() if name is not None}
    )


def _gap(
    fits: Mapping[Key, FittedCurve],
    metrics: Mapping[Key, Metrics],
    key: Key,
    control: str | None,
    baseline: str | None,
    *,
    tolerance: float,
    level: float,
) -> Gap:
    fit, split = fits[key], key[1]
    found = estimates(fit, metrics[key], tolerance=tolerance, level=level)
    over, faster, notes = Estimate(None), Estimate(None), _notes(fit)
    compared = control is not None and (control, split) in fits and key[0] != control
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
    verdict = verdict_of(fit, found, over if compared else None)
    return Gap(
        arm=key[0],
        split=split,
        verdict="learning rate" if key[0] == control and verdict == "gap, no control" else verdict,
        form=fit.form,
        margin=fit.margin,
        intervals=fit.kind,
        n_seeds=len(fit.curve.seeds),
        n_evaluations=len(fit.curve.steps),
        budget_tokens=fit.curve.budget,
        excess_depth=over,
        speed_up=faster,
        notes=tuple(notes),
        **found,
    )


def verdict_of(fit: FittedCurve, found: Mapping[str, Estimate], over: Estimate | None = None) -> Verdict:
    """Word for a curve, from its estimates and its excess over the control, where there is one."""
    if not _above_zero(found["depth"]):
        return "none found"
    if not (fit.dips and _above_zero(found["gap_index"])):
        return "forgetting"
    if over is None:
        return "gap, no control"
    return "gap" if _above_zero(over) else "learning rate"


def _above_zero(estimate: Estimate) -> bool:
    return estimate.lower is not None and estimate.lower > 0


def _notes(fit: FittedCurve) -> list[Note]:
    notes = []
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


def _check(curves: Mapping[Key, Curve], *, arms: Mapping[str, str | None], splits: Mapping[str, str | None]) -> None:
    for what, given, place in (("arm", arms, 0), ("split", splits, 1)):
        known = list(dict.fromkeys(key[place] for key in curves))
        for role, name in given.items():
            if name is not None and name not in known:
                raise InputError(f"{role}: {name!r} was given, the log has no such {what} (it has {', '.join(known)})")

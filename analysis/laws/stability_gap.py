"""What continual pre-training loses and when it is back, from an evaluation log of any trainer, with controls and intervals.

A *gap* is a loss that comes back; what stays is *forgetting*; and a gap that the control has as well, which goes on with the
old text at the same learning rates and with the same state of the optimiser, is the *learning rate*'s. The words:

=====================  =================================================================================================
verdict                what is shown, each at the level of the intervals
=====================  =================================================================================================
``gap``                the chosen form dips and beats all monotone ones, depth and excess depth are above zero, and more
                       than a twentieth of the depth comes back (``least_index``)
``gap, no control``    the same, with no control to compare with
``learning rate``      the same, but the depth is not shown to exceed the control's, or is the control's own
``forgetting``         the depth is above zero, and no more than that twentieth is shown to come back
``none found``         the depth is not shown to be above zero, or from three seeds on not in seeds that are left out
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

import pandas as pd

from analysis.columns import drop_diverged
from analysis.fitting.result import Counts, Note, check_level
from analysis.laws.stability_gap_arms import LEAST_INDEX, Key, check_least_index, fit_arms, judge
from analysis.laws.stability_gap_condition import baseline_ends, fit_condition
from analysis.laws.stability_gap_curve import Shape
from analysis.laws.stability_gap_factorial import MARGIN
from analysis.laws.stability_gap_log import Better, Curve, read_log
from analysis.laws.stability_gap_result import StabilityGapFit
from analysis.laws.stability_gap_runs import Condition, read_conditions
from analysis.laws.stability_gap_sweep import StabilityGapSweep
from curselab.errors import InputError


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
    least_index: float = LEAST_INDEX,
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
    least_index : float
        Gap index, from 0 to below 1, above which a loss counts as one that comes back.
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
    check_least_index(least_index)
    curves = read_log(log, value=value, better=better, columns=columns)
    _check(curves, arms={"control": control, "baseline": baseline}, splits={"domain": domain, "peak_split": peak_split})
    arms = fit_arms(
        curves,
        better=better,
        domain=domain,
        chance=chance,
        peak_split=peak_split,
        forward_area_before=forward_area_before,
        tolerance=tolerance,
        least_index=least_index,
        shape=shape,
        intervals=intervals,
        resamples=resamples,
        seed=seed,
        level=level,
    )
    gaps = (judge(arms, key, control=control, baseline=baseline, is_control=key[0] == control) for key in curves)
    settings: dict[str, str | float | int] = {
        "value": value,
        "better": better,
        "tolerance": tolerance,
        "least_index": least_index,
        "random_seed": seed,
    }
    named = {"control": control, "baseline": baseline, "domain": domain, "peak_split": peak_split}
    return StabilityGapFit(
        gaps=tuple(gaps), level=level, settings=settings | {role: name for role, name in named.items() if name is not None}
    )


def fit_runs(
    runs: pd.DataFrame,
    metrics: pd.DataFrame,
    *,
    window_steps: float = 100.0,
    tolerance: float = 0.0,
    least_index: float = LEAST_INDEX,
    margin: float = MARGIN,
    level: float = 0.95,
) -> StabilityGapSweep:
    """Measure the gaps, ends and strategies of a sweep.

    Parameters
    ----------
    runs, metrics : pandas.DataFrame
        Tables of the contract; see :mod:`analysis.laws.stability_gap_runs`.
    window_steps : float
        Of windowed forgetting and plasticity.
    tolerance : float
        How far above its start a loss still counts as recovered, nats/token.
    least_index : float
        Gap index, from 0 to below 1, above which a loss counts as one that comes back.
    margin : float
        Effects of strategies below it are as good as none, nats/token.
    level : float
        Of the intervals, and one less the chance of any false answer about the strategies of one outcome and condition.

    Returns
    -------
    StabilityGapSweep
        One ``ConditionFit`` a base, size, new text and budget.

    Raises
    ------
    InputError
        The tables are no continual pre-training; see ``read_conditions``.
    """
    level = check_level(level)
    check_least_index(least_index)
    conditions = sorted(read_conditions(runs, metrics), key=lambda c: c.tokens)
    baselines = baseline_ends(conditions)
    settings = {"window_steps": window_steps, "tolerance": tolerance, "least_index": least_index, "margin": margin}
    fitted = tuple(fit_condition(c, baselines=baselines, level=level, **settings) for c in conditions)
    alive, n_diverged = drop_diverged(runs)
    return StabilityGapSweep(
        conditions=fitted,
        level=level,
        counts=Counts(
            n_runs=len(alive),
            n_diverged=n_diverged,
            n_clusters=len(fitted),
            n_seeds=max(c.log["seed"].nunique() for c in conditions),
        ),
        warnings=tuple(note for c in conditions for note in _doubts(c)),
        settings=dict(settings),
    )


def _doubts(condition: Condition) -> list[Note]:
    """What makes arms of a condition hard to compare."""
    where, notes = f"{condition.name}, {condition.tokens} tokens", []
    flop = [arm.train_flop for arm in condition.arms if arm.strategies is not None]
    if flop and max(flop) > 1.001 * min(flop):
        notes.append(Note("unequal_compute", f"{where}: strategies cost {min(flop):.3g} to {max(flop):.3g} FLOP"))
    lost = [arm.name for arm in condition.arms if arm.n_diverged]
    if lost:
        notes.append(Note("diverged", f"{where}: runs of {', '.join(lost)} diverged and are in no curve"))
    if all(arm.trains_on_new for arm in condition.arms):
        notes.append(Note("no_control", f"{where}: no arm goes on with old text alone, so no depth is known to be the data's"))
    if not any(arm.strategies == () for arm in condition.arms):
        notes.append(Note("no_baseline", f"{where}: no arm has new text without a strategy"))
    return notes


def _check(curves: Mapping[Key, Curve], *, arms: Mapping[str, str | None], splits: Mapping[str, str | None]) -> None:
    for what, given, place in (("arm", arms, 0), ("split", splits, 1)):
        known = list(dict.fromkeys(key[place] for key in curves))
        for role, name in given.items():
            if name is not None and name not in known:
                raise InputError(f"{role}: {name!r} was given, the log has no such {what} (it has {', '.join(known)})")

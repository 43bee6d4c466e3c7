"""One condition of the sweep: gaps of its arms beside their controls, what they end with, and what the strategies do."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.fitting.paired import paired_means
from analysis.fitting.seeds import Estimate, contrast, over_seeds
from analysis.laws.stability_gap_arms import FittedArms, Key, fit_arms, judge
from analysis.laws.stability_gap_curve import pseudo_values
from analysis.laws.stability_gap_factorial import Effect, factorial
from analysis.laws.stability_gap_log import MIN_POINTS, Better, Curve, read_log
from analysis.laws.stability_gap_metrics import first_reach
from analysis.laws.stability_gap_mixture import OTHER_PATHS, Arm
from analysis.laws.stability_gap_probes import ProbeReading, probe_readings
from analysis.laws.stability_gap_result import StabilityGapFit
from analysis.laws.stability_gap_runs import ACCURACY, LOSS, Condition
from analysis.laws.stability_gap_sweep import ArmEnd, ConditionFit
from analysis.laws.stability_gap_windows import continual_evaluation

Vector = NDArray[np.float64]
_NOT_CROSSED = Estimate(None)


def fit_condition(
    condition: Condition,
    *,
    baselines: pd.DataFrame,
    window_steps: float,
    tolerance: float,
    least_index: float,
    margin: float,
    level: float,
) -> ConditionFit:
    """Measure all arms of a condition.

    Parameters
    ----------
    condition : Condition
    baselines : pandas.DataFrame
        Ends of the arm without a strategy at every budget, as ``baseline_ends`` gives them.
    window_steps : float
        Of De Lange's windowed metrics.
    tolerance : float
        How far above its start a loss still counts as recovered, nats/token.
    least_index : float
        Gap index above which a loss counts as one that comes back.
    margin : float
        Effects below it are as good as none, nats/token.
    level : float
        Of the intervals.
    """
    curves = read_log(condition.log.dropna(subset=[LOSS]), value=LOSS)
    arms = fit_arms(curves, better="lower", tolerance=tolerance, least_index=least_index, level=level)
    losses = _gaps(condition, arms, LOSS, "lower")
    return ConditionFit(
        base=condition.base,
        new=condition.new,
        old=condition.old,
        params_non_embedding=condition.params,
        tokens=condition.tokens,
        losses=losses,
        accuracies=_accuracies(condition, least_index=least_index, level=level),
        ends=_ends(condition, curves, baselines, window_steps=window_steps, level=level),
        effects=tuple(_effects(condition, arms, margin=margin, level=level)),
        probes=_probes(condition, curves, losses, level),
        at_constant_rate=_at_constant_rate(condition, curves, losses),
    )


def baseline_ends(conditions: Sequence[Condition]) -> pd.DataFrame:
    """Last new losses of the arm without a strategy: ``name``, ``params``, ``tokens``, ``seed``, ``loss``, one row a run."""
    rows = []
    for c in conditions:
        plain = [arm.name for arm in c.arms if arm.strategies == ()]
        last = _last(c.log[c.log["arm"].isin(plain)], c.new)
        rows.append(last.assign(name=c.name, params=c.params, tokens=c.tokens))
    return pd.concat(rows, ignore_index=True)


def _gaps(condition: Condition, arms: FittedArms, value: str, better: Better) -> StabilityGapFit:
    curves = {key: fit.curve for key, fit in arms.fits.items()}
    control = _controls(condition, curves)
    own = {arm.name for arm in condition.arms if not arm.trains_on_new}
    gaps = (judge(arms, key, control=control.get(key[0]), baseline=None, is_control=key[0] in own) for key in curves)
    settings: dict[str, str | float | int] = {
        "value": value,
        "better": better,
        "tolerance": arms.tolerance,
        "least_index": arms.least_index,
    }
    return StabilityGapFit(gaps=tuple(gaps), level=arms.level, settings=settings)


def _probes(
    condition: Condition, curves: Mapping[Key, Curve], losses: StabilityGapFit, level: float
) -> tuple[ProbeReading, ...]:
    gaps = {gap.arm: gap for gap in losses.gaps if gap.split == condition.old[0]}
    return probe_readings(condition.probes, gaps, _controls(condition, curves), level)


def _controls(condition: Condition, curves: Mapping[Key, Curve]) -> dict[str, str]:
    """Control of each arm on new text: of its own stage, else one of the common path, the first with its learning rates."""
    first: dict[str, Curve] = {}
    for (name, _), curve in curves.items():
        first.setdefault(name, curve)
    controls = [arm for arm in condition.arms if not arm.trains_on_new and arm.name in first]
    found: dict[str, str] = {}
    for arm in condition.arms:
        if arm.trains_on_new and arm.name in first:
            own = (
                [c for c in controls if c.stage == arm.stage]
                or [c for c in controls if c.stage not in OTHER_PATHS]
                or controls
            )
            same = [c for c in own if first[arm.name].same_schedule(first[c.name])]
            found |= {arm.name: (same or own)[0].name} if own else {}
    return found


def _accuracies(condition: Condition, *, least_index: float, level: float) -> StabilityGapFit | None:
    if ACCURACY not in condition.log:
        return None
    asked = condition.log.dropna(subset=[ACCURACY])
    enough = asked.groupby(["arm", "split"])["step"].transform("nunique") >= MIN_POINTS
    if not enough.any():
        return None
    arms = fit_arms(
        read_log(asked[enough], value=ACCURACY, better="higher"), better="higher", least_index=least_index, level=level
    )
    return _gaps(condition, arms, ACCURACY, "higher")


def _at_constant_rate(condition: Condition, curves: Mapping[Key, Curve], losses: StabilityGapFit) -> bool | None:
    """Whether an arm on new text comes back on the old one although its learning rate never falls."""
    on_new = {arm.name for arm in condition.arms if arm.trains_on_new}
    verdicts = [
        gap.verdict
        for gap in losses.gaps
        if gap.arm in on_new and gap.split == condition.old[0] and _constant(curves[gap.arm, gap.split])
    ]
    return any(verdict.startswith("gap") for verdict in verdicts) if verdicts else None


def _constant(curve: Curve) -> bool:
    rates = curve.learning_rates
    # the rate before the first step is the base's
    return rates is not None and bool(np.ptp(rates[1:]) <= 1e-3 * rates.max())


def _last(log: pd.DataFrame, split: str) -> pd.DataFrame:
    """Last losses on one split: ``arm``, ``seed``, ``loss``, one row a run."""
    own = log[log["split"] == split].dropna(subset=[LOSS])
    last = own.loc[own.groupby(["arm", "seed"], sort=False)["step"].idxmax(), ["arm", "seed", LOSS]]
    return last.rename(columns={LOSS: "loss"})


def _ends(
    condition: Condition, curves: Mapping[Key, Curve], baselines: pd.DataFrame, *, window_steps: float, level: float
) -> tuple[ArmEnd, ...]:
    known = {arm.name: arm for arm in condition.arms}
    both = pd.concat([condition.log, condition.references]) if len(condition.references) else condition.log
    last = _last(both, condition.new)
    old, new = (_paired(rows, level) for rows in (_last(both, condition.old[0]), last))
    alike = [name for name, arm in known.items() if _role(arm) == "strategy"]
    values = {name: [part[name].value if name in part else None for part in (old, new)] for name in alike}
    means = pd.DataFrame.from_dict(values, orient="index", columns=["old", "new"], dtype=float)
    names = [*known, *(name for name in condition.references["arm"].unique() if name not in known)]
    scale = baselines[(baselines["name"] == condition.name) & (baselines["params"] == condition.params)]
    ends = []
    for name in names:
        arm = known.get(name)
        windows = _windows(condition, curves, name, window_steps, level)
        own = last[last["arm"] == name]
        ends.append(
            ArmEnd(
                arm=name,
                role=_role(arm),
                strategies=(arm.strategies or ()) if arm else (),
                n_runs=arm.n_runs if arm else len(own),
                n_diverged=arm.n_diverged if arm else 0,
                train_flop=arm.train_flop if arm and np.isfinite(arm.train_flop) else None,
                unique_tokens=arm.unique_tokens if arm else None,
                old_loss=old.get(name, Estimate(None)),
                new_loss=new.get(name, Estimate(None)),
                front=name in means.index and _on_front(means, name),
                speed_up=_speed_up(own, scale, condition.tokens, level) if arm and arm.trains_on_new else _NOT_CROSSED,
                worst_old_loss=windows[0],
                worst_case_loss=windows[1],
                windowed_forgetting=windows[2],
                windowed_plasticity=windows[3],
            )
        )
    return tuple(ends)


def _paired(last: pd.DataFrame, level: float) -> dict[str, Estimate]:
    """Mean of each arm, with an interval that leaves out what a seed does to all arms: it is for comparing them."""
    wide = last.pivot_table(index="seed", columns="arm", values="loss")
    if wide.empty:
        return {}
    paired = paired_means(wide.to_numpy(dtype=float))
    return {str(arm): contrast(paired, row, level) for arm, row in zip(wide.columns, np.eye(wide.shape[1]), strict=True)}


def _role(arm: Arm | None) -> str:
    if arm is None:
        return "reference"
    if not arm.trains_on_new:
        return "control"
    return "other" if arm.strategies is None else "strategy"


def _on_front(means: pd.DataFrame, name: str) -> bool:
    """Whether no other arm has both losses lower; an arm without one of them is on no front."""
    own, others = means.loc[name], means.drop(index=name)
    better = (others <= own).all(axis=1) & (others < own).any(axis=1)
    return bool(own.notna().all() and not better.any())


def _windows(
    condition: Condition, curves: Mapping[Key, Curve], arm: str, window_steps: float, level: float
) -> tuple[Estimate, ...]:
    """Worst old loss, worst case, and windowed forgetting and plasticity, over seeds."""
    old, new = curves.get((arm, condition.old[0])), curves.get((arm, condition.new))
    if old is None or new is None or not np.array_equal(old.steps, new.steps) or old.seeds != new.seeds:
        return (Estimate(None),) * 4
    found = [
        continual_evaluation(old.steps, {"old": before}, after, window_steps=window_steps)
        for before, after in zip(old.values, new.values, strict=True)
    ]
    columns = (
        [-each.min_accuracy for each in found],
        [-each.worst_case_accuracy for each in found],
        [each.windowed_forgetting for each in found],
        [each.windowed_plasticity for each in found],
    )
    return tuple(over_seeds(column, level) for column in columns)


def _speed_up(ends: pd.DataFrame, baselines: pd.DataFrame, tokens: int, level: float) -> Estimate:
    """Tokens at which the baseline ends with the losses of an arm, over its budget: straight lines of loss in ln tokens.

    What a seed does to the baseline at all budgets is taken off first. Beyond the baseline's smallest or largest budget there
    is a bound alone.
    """
    wide = baselines.pivot_table(index="seed", columns="tokens", values="loss").dropna()
    if wide.shape[1] < 2 or wide.empty or ends.empty:
        return Estimate(None)
    budgets, means = wide.columns.to_numpy(dtype=float), wide.mean().to_numpy()
    own = (wide.mean(axis=1) - means.mean()).reindex(ends["seed"]).fillna(0.0).to_numpy()
    losses, n = ends["loss"].to_numpy() - own, len(ends)
    if losses.mean() < means.min():
        return Estimate(None, float(budgets[-1] / tokens), None, n)
    if losses.mean() > means[0]:
        return Estimate(None, None, float(budgets[0] / tokens), n)
    reached = np.array([first_reach(np.log(budgets), -means, -loss) for loss in losses])
    log_ratio = over_seeds(np.minimum(reached, np.log(budgets[-1])) - np.log(tokens), level)
    value, lower, upper = (
        None if x is None else float(np.exp(x)) for x in (log_ratio.value, log_ratio.lower, log_ratio.upper)
    )
    return Estimate(value, lower, upper, n)


def _effects(condition: Condition, arms: FittedArms, *, margin: float, level: float) -> list[Effect]:
    design = {arm.name: arm.strategies for arm in condition.arms if arm.strategies is not None}
    seeds = sorted(condition.log["seed"].unique().tolist())
    strategies = [design[name] for name in design]
    outcomes = {
        "new_loss": _wide(_last(condition.log, condition.new), seeds, design),
        "old_loss": _wide(_last(condition.log, condition.old[0]), seeds, design),
        "depth": _pseudo(arms, "depth", condition.old[0], seeds, design),
        "regret_log": _pseudo(arms, "regret_log", condition.old[0], seeds, design),
    }
    return [
        effect
        for outcome, values in outcomes.items()
        for effect in factorial(outcome, values, strategies, level=level, margin=margin)
    ]


def _wide(last: pd.DataFrame, seeds: Sequence[int], design: Mapping[str, object]) -> Vector:
    table = last.pivot_table(index="seed", columns="arm", values="loss").reindex(index=list(seeds), columns=list(design))
    return np.asarray(table.to_numpy(dtype=float))


def _pseudo(arms: FittedArms, metric: str, split: str, seeds: Sequence[int], design: Mapping[str, object]) -> Vector:
    """One value a seed and arm whose mean is the metric less its bias; NaN where seeds are too few for a jackknife."""
    values = np.full((len(seeds), len(design)), np.nan)
    for column, name in enumerate(design):
        fit = arms.fits.get((name, split))
        if fit is not None and fit.kind == "jackknife":
            numbers = getattr(arms.metrics[name, split], metric)
            rows = [seeds.index(seed) for seed in fit.curve.seeds]
            values[rows, column] = pseudo_values(numbers[0], numbers[1:])
    return values

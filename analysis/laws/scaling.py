r"""Loss of plain training as a function of model size and training tokens.

.. math:: L(N, D) = E + A / N^\alpha + B / D^\beta

====================  ==========================================================  ======================
symbol                meaning                                                     unit
====================  ==========================================================  ======================
:math:`L`             final validation loss                                       nats/token
:math:`N`             parameters (all of them: the paper's convention)            parameters
:math:`D`             training tokens, repeats counted                            tokens
:math:`E`             irreducible loss, the entropy of the text                   nats/token
:math:`A`, `B`        size of the two reducible terms                             nats/token at N = D = 1
:math:`\alpha, \beta` exponents                                                   1
====================  ==========================================================  ======================

Source: Hoffmann et al. (2022), arXiv:2203.15556, section 3.3 (approach 3) and Eq. 10. The fit minimises the sum of Huber's
loss of :math:`\ln \hat L - \ln L` over :math:`(\ln A, \ln B, \ln E, \alpha, \beta)`. Other laws of the same inputs stand in
:mod:`analysis.laws.forms`.

Valid for runs whose learning rate has decayed, on text that is repeated at most a few times (Muennighoff et al. 2023,
arXiv:2305.16264, see four). Known failures: the constants printed by Hoffmann et al. do not fit their own data, since their
optimiser stopped early (Besiroglu et al. 2024, arXiv:2404.10102); counting parameters without the embedding changes the
exponents (Pearce and Song 2024, arXiv:2406.12907); at :math:`\delta = 10^{-3}` Huber's loss is nearly the absolute error, so
the answer rests on few points; A and B are strongly skewed, so read their interval, not their standard error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.fitting.bootstrap import choose
from analysis.fitting.objectives import Objective
from analysis.fitting.objectives import objective as make_objective
from analysis.fitting.result import Bootstrap, Counts, check_level
from analysis.laws.forms import BESIROGLU_2024, HOFFMANN_2022, find_form
from analysis.laws.parametric import Law
from analysis.laws.problem import Problem, draw, solve_point
from analysis.laws.scaling_fit import FLOP_PER_PARAM_TOKEN, ScalingFit
from analysis.laws.scaling_identified import judge
from analysis.laws.scaling_table import Runs, Source, doubt_sigma, read_runs_of
from curselab.errors import InputError

__all__ = ["BESIROGLU_2024", "HOFFMANN_2022", "ScalingFit", "fit_runs", "fit_scaling_law"]

Vector = NDArray[np.float64]


def fit_scaling_law(
    data: Any = None,
    *,
    law: str | Law = "chinchilla",
    params: Source = "params",
    tokens: Source = "tokens",
    loss: Source = "loss",
    objective: str | Objective = "huber",
    delta: float | str = 1e-3,
    groups: Source | None = None,
    weights: Source | None = None,
    sigma: Source | None = None,
    fixed: Mapping[str, float] | None = None,
    ties: Sequence[tuple[str, str]] = (),
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    bootstrap: int = 4000,
    kind: str = "auto",
    seed: int = 0,
    level: float = 0.95,
    inputs: Mapping[str, Source] | None = None,
) -> ScalingFit:
    """Fit a law of the loss, by default L(N, D) = E + A/N^alpha + B/D^beta.

    Parameters
    ----------
    data : DataFrame, optional
        One row a run: pandas, or what narwhals accepts (polars, pyarrow). Runs whose ``status`` is not ``ok`` are left out and
        counted. Without it, columns are given as arrays.
    law : str or Law
        ``chinchilla``, ``power`` (of compute), ``kaplan``, ``outer``, or a law made by ``custom_law``.
    params, tokens, loss : str or array_like
        Columns, or arrays ``(n,)``: parameters, training tokens, final loss in nats/token.
    objective : str or Objective
        ``huber``, ``l2`` or ``l1`` of the residuals of ln L, or any ``Objective``.
    delta : float or "auto"
        Where Huber's loss turns linear; ``auto`` is 1.345 robust standard deviations of the residuals.
    groups : str or array_like, optional
        Runs that are resampled together. Without it, all runs of one setting (seeds) are one group.
    weights : str or array_like, optional
        Weight of each run in the objective; only their ratios count.
    sigma : str or array_like, optional
        Standard deviation (not variance) of each loss, nats/token; the weights are ``(loss / sigma)^2``. Only ratios count:
        the bootstrap measures the noise anew.
    fixed : mapping, optional
        Parameters that are held, such as ``{"E": 1.6}``.
    ties : sequence of pairs
        Parameters that are equal, such as ``[("alpha", "beta")]``.
    bounds : mapping, optional
        Least and largest value of a parameter, such as ``{"alpha": (0.1, None)}``. Sums of powers take bounds of exponents and
        of the irreducible loss, other laws of all parameters.
    bootstrap : int
        Resamples; 0 gives no intervals.
    kind : str
        Of the bootstrap: ``auto``, ``case``, ``cluster``, ``wild`` or ``bayes``.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals, between 0 and 1.
    inputs : mapping, optional
        Columns of what a law reads beside ``params`` and ``tokens``; ``compute`` is 6ND when left out.

    Returns
    -------
    ScalingFit
        With status ``not_identified``, and named parameters without intervals, where the data do not determine them.

    Raises
    ------
    InputError
        A column is missing or holds something else than positive finite numbers, or there are too few points or sizes.
    """
    level, form = check_level(level), find_form(law)
    if bootstrap < 0:
        raise InputError(f"bootstrap: {bootstrap!r} was given, 0 or more is needed")
    goal = make_objective(objective, delta=delta if objective == "huber" else None)  # type: ignore[arg-type]
    sources = _sources(form, {"params": params, "tokens": tokens} | dict(inputs or {}))
    runs = read_runs_of(data, inputs=sources, loss=loss, groups=groups, weights=weights, sigma=sigma)
    runs = _with_compute(form, runs)
    problem, order = pose(runs, goal, fixed=_check_fixed(form, fixed or {}), ties=_check_ties(form, ties))
    problem = replace(problem, bounds=_check_bounds(form, bounds or {}))
    _check_design(form, runs, problem.n_free(form))
    return estimate(form, problem, order, runs, bootstrap=bootstrap, kind=kind, seed=seed, level=level)


def fit_runs(data: pd.DataFrame, **options: Any) -> ScalingFit:
    """Fit the table ``runs`` of the workflow, with the columns of results/contract.yaml and 1000 resamples."""
    defaults: dict[str, Any] = {"params": "params_total", "loss": "loss_nats_per_token", "bootstrap": 1000}
    return fit_scaling_law(data, **defaults | options)


def pose(runs: Runs, objective: Objective, **constraints: Any) -> tuple[Problem, NDArray[np.intp]]:
    """Put runs in one order of rows, whatever the order in which they came; the order is returned too."""
    order = np.lexsort((runs.weights, runs.loss, *runs.inputs[::-1]))
    problem = Problem(
        inputs=tuple(tuple(row) for row in runs.inputs[:, order].tolist()),
        loss=tuple(runs.loss[order].tolist()),
        weights=tuple(runs.weights[order].tolist()),
        clusters=tuple(pd.factorize(runs.clusters[order])[0].tolist()),
        objective=objective,
        **constraints,
    )
    return problem, order


def estimate(
    law: Law, problem: Problem, order: NDArray[np.intp], runs: Runs, *, bootstrap: int, kind: str, seed: int, level: float
) -> ScalingFit:
    """Solve, resample and judge."""
    how = choose(kind, problem.groups)
    point = solve_point(law, problem)
    # what has no optimum has no spread either
    bootstrap = bootstrap if point.convergence.converged else 0
    draws, not_converged = draw(law, point, how, resamples=bootstrap, seed=seed)
    lost, notes = judge(law, point, draws, not_converged=not_converged, kind=how, level=level)
    notes = [*runs.notes, *notes]
    if runs.sigma is not None:
        notes += doubt_sigma(runs.sigma[order], runs.loss[order], point.resid)
    resid = np.empty_like(point.resid)
    resid[order] = point.resid
    return ScalingFit(
        law="scaling",
        form=law,
        problem=point.problem,
        formula=law.formula,
        symbols=law.symbols,
        units=law.units,
        estimate=tuple(law.natural(point.theta).tolist()),
        draws=tuple(map(tuple, draws.tolist())),
        level=level,
        resid=tuple(resid.tolist()),
        objective=point.value,
        counts=Counts(
            n_runs=len(resid),
            n_diverged=runs.n_diverged,
            n_clusters=int(problem.groups.max()) + 1,
            n_seeds=runs.n_seeds,
        ),
        convergence=point.convergence,
        bootstrap=Bootstrap(kind=how, resamples=bootstrap, not_converged=not_converged),
        status="not_identified" if lost else "ok",
        unidentified=tuple(symbol for symbol in law.symbols if symbol in lost),
        warnings=tuple(notes),
        settings={**runs.columns, "seed": seed},
    )


def _sources(law: Law, given: Mapping[str, Source]) -> dict[str, Source]:
    wanted = [name for name in law.inputs if name != "compute" or "compute" in given]
    if "compute" in law.inputs and "compute" not in given:
        wanted += ["params", "tokens"]
    missing = [name for name in wanted if name not in given]
    if missing:
        raise InputError(f"inputs: law {law.name} reads {', '.join(law.inputs)}, name the column of {', '.join(missing)}")
    return {name: given[name] for name in wanted}


def _with_compute(law: Law, runs: Runs) -> Runs:
    """Compute from parameters and tokens, where a law of compute was given those."""
    if len(runs.inputs) == len(law.inputs):
        return runs
    return replace(runs, inputs=FLOP_PER_PARAM_TOKEN * runs.inputs[-2:-1] * runs.inputs[-1:])


def _check_fixed(law: Law, fixed: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    for symbol, value in fixed.items():
        if law.positive[law.index(symbol)] and not value > 0 or not np.isfinite(value):
            raise InputError(f"fixed: {symbol} = {value!r} was given, a positive number is needed")
    return tuple((symbol, float(value)) for symbol, value in fixed.items())


def _check_ties(law: Law, ties: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    for a, b in ties:
        if law.positive[law.index(a)] != law.positive[law.index(b)] or a == b:
            raise InputError(f"ties: {a} and {b} were given, two sizes or two exponents are needed")
    return tuple((a, b) for a, b in ties)


def _check_bounds(
    law: Law, bounds: Mapping[str, tuple[float | None, float | None]]
) -> tuple[tuple[str, float | None, float | None], ...]:
    for symbol, (low, high) in bounds.items():
        least = 0.0 if law.positive[law.index(symbol)] else -np.inf
        if not (least if low is None else low) < (np.inf if high is None else high) or (low is not None and low < least):
            raise InputError(f"bounds: {symbol} from {low} to {high} was given, a range is needed (of a size above zero)")
    return tuple((symbol, low, high) for symbol, (low, high) in bounds.items())


def _check_design(law: Law, runs: Runs, free: int) -> None:
    if len(runs.loss) < free:
        raise InputError(
            f"data: {len(runs.loss)} runs with a loss were given, {free} or more are needed for {free} parameters"
        )
    for name, values in zip(law.inputs, runs.inputs, strict=True):
        if len(np.unique(values)) < 2:
            raise InputError(
                f"data: one value of {name} was given ({values[0]:g}), 2 or more are needed, 3 to identify the law"
            )

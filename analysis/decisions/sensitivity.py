"""What an answer hangs on: one quantity under other objectives, outlier rules, windows and conventions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.decisions.allocate import QUANTITIES, allocation
from analysis.decisions.compare import as_fit
from analysis.fitting.objectives import Objective
from analysis.laws.problem import Problem, solve_point
from analysis.laws.scaling_fit import ScalingFit
from curselab.errors import InputError

Vector = NDArray[np.float64]
Convention = Callable[[Vector], Vector]


def quantity_of(fit: ScalingFit, constants: Vector, quantity: str, compute: float) -> Vector:
    """Value of a parameter, or of the best allocation of a budget (FLOP), for each row of constants ``(m, n_params)``."""
    if quantity in fit.symbols:
        return constants[:, fit.form.index(quantity)]
    if quantity not in QUANTITIES:
        raise InputError(f"quantity: {quantity!r} was given (allowed: {', '.join((*fit.symbols, *QUANTITIES))})")
    return allocation(fit.form, constants, np.array([compute]))[quantity][:, 0]


def sensitivity(
    fit: ScalingFit,
    quantity: str = "tokens_per_param",
    *,
    compute: float | None = None,
    deltas: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1),
    drop_lowest: Sequence[float] = (0.02, 0.05),
    windows: Sequence[tuple[float, float]] = ((0.0, 0.75), (0.25, 1.0)),
    conventions: Mapping[str, Convention] | None = None,
) -> pd.DataFrame:
    """Fit again under every choice that a paper makes in silence, one at a time.

    Parameters
    ----------
    fit : ScalingFit
        The fit to be questioned.
    quantity : str
        A parameter, or ``params``, ``tokens``, ``tokens_per_param``, ``loss``, ``a`` or ``b`` of the best allocation.
    compute : float, optional
        Budget of the allocation, FLOP; ten times the largest run when left out.
    deltas : sequence of float
        Of Huber's loss on ln L.
    drop_lowest : sequence of float
        Shares of the runs with the fewest tokens a parameter to leave out: a rule on inputs, never on the loss.
    windows : sequence of tuple
        Quantiles of compute between which runs are kept.
    conventions : mapping, optional
        Other ways to count parameters, by name: functions of ``params`` ``(n,)``.

    Returns
    -------
    pandas.DataFrame
        ``choice``, ``setting``, ``runs``, ``value``, ``ratio`` (to the fit's own value), ``shift`` (in standard errors of the
        fit) and ``converged``; the fit itself is first.
    """
    budget = float(10 * fit.scale(fit.problem.x, "compute").max() if compute is None else compute)
    own = float(quantity_of(fit, np.asarray([fit.estimate]), quantity, budget)[0])
    draws = quantity_of(fit, np.asarray(fit.draws), quantity, budget) if len(fit.draws) > 1 else np.array([np.nan])
    se = float(np.std(draws, ddof=1)) if len(draws) > 1 else np.nan
    rows = [{"choice": "as fitted", "setting": "", "runs": fit.nobs, "value": own, "converged": fit.convergence.converged}]
    for choice, setting, problem in _variants(fit, deltas, drop_lowest, windows, conventions or {}):
        point = solve_point(fit.form, problem)
        other = as_fit(fit, point)
        value = float(quantity_of(other, np.asarray([other.estimate]), quantity, budget)[0])
        converged = point.convergence.converged
        rows.append({"choice": choice, "setting": setting, "runs": other.nobs, "value": value, "converged": converged})
    frame = pd.DataFrame(rows)
    return frame.assign(ratio=frame["value"] / own, shift=(frame["value"] - own) / se)


def _variants(
    fit: ScalingFit,
    deltas: Sequence[float],
    drop_lowest: Sequence[float],
    windows: Sequence[tuple[float, float]],
    conventions: Mapping[str, Convention],
) -> Iterator[tuple[str, str, Problem]]:
    problem, law = fit.problem, fit.form
    for delta in deltas:
        yield "delta", f"{delta:g}", replace(problem, objective=Objective("huber", delta=delta))
    yield "delta", "auto", replace(problem, objective=Objective("huber", delta="auto"))
    yield "objective", "l2 of ln L", replace(problem, objective=Objective("l2"))
    yield "objective", "l2 of L", replace(problem, objective=Objective("l2", on="raw"))
    if {"params", "tokens"} <= set(law.inputs):
        ratio = problem.x[law.inputs.index("tokens")] / problem.x[law.inputs.index("params")]
        for share in drop_lowest:
            least = float(np.quantile(ratio, share))
            yield "outliers", f"D/N >= {least:.3g}", problem.rows(ratio >= least)
    C = fit.scale(problem.x, "compute")
    for low, high in windows:
        ends = np.quantile(C, [low, high])
        yield "window", f"{ends[0]:.2g} to {ends[1]:.2g} FLOP", problem.rows((ends[0] <= C) & (ends[1] >= C))
    for name, convert in conventions.items():
        i = law.inputs.index("params")
        x = problem.x
        x[i] = convert(x[i])
        yield "params", name, replace(problem, inputs=tuple(tuple(row) for row in x.tolist()))

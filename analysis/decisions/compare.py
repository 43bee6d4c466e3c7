"""Which law predicts best, and whether two systems differ."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.fitting.bootstrap import weights
from analysis.fitting.objectives import Objective
from analysis.fitting.result import check_level
from analysis.fitting.selection import aicc
from analysis.laws.forms import find_form
from analysis.laws.parametric import Law
from analysis.laws.problem import Point, solve_point, solve_weights
from analysis.laws.scaling_fit import ScalingFit
from curselab.errors import InputError


def compare_laws(fit: ScalingFit, laws: Sequence[str | Law], *, by: str = "compute", min_train: float = 0.2) -> pd.DataFrame:
    """Compare laws on the runs of a fit, by how they predict larger runs from smaller ones.

    Parameters
    ----------
    fit : ScalingFit
        Gives the runs and the objective.
    laws : sequence of str or Law
        With the same inputs as the law of the fit.
    by, min_train
        As in :meth:`ScalingFit.validate`; all laws predict the same runs.

    Returns
    -------
    pandas.DataFrame
        One row a law, the best prediction first: ``law``, ``n_params``, ``held_out`` (predictions), ``mean_error`` and
        ``largest_error`` (relative, of held-out runs), ``aicc`` and ``delta_aicc`` (of a least-squares fit of ln L to all
        runs). Criteria of runs that were fitted cannot see a wrong form beyond them: trust the held-out error.
    """
    forms = [find_form(law) for law in laws]
    for form in forms:
        if form.inputs != fit.form.inputs:
            raise InputError(f"law {form.name} reads {', '.join(form.inputs)}, the fit has {', '.join(fit.form.inputs)}")
    share = max(min_train, 4 * max(len(form.symbols) for form in forms) / fit.nobs)
    tables, rows = [], []
    for form in forms:
        problem = replace(fit.problem, fixed=(), ties=(), bounds=())
        squares = solve_point(form, replace(problem, objective=Objective("l2")))
        other = replace(fit, form=form, problem=problem, symbols=form.symbols, units=form.units)
        tables.append(other.validate(by=by, min_train=share))
        rows.append({"law": form.name, "n_params": len(form.symbols), "aicc": aicc(squares.resid, len(form.symbols))})
    common = set.intersection(*(set(table["origin"]) for table in tables))
    for row, table in zip(rows, tables, strict=True):
        error = np.abs(np.expm1(table.loc[table["origin"].isin(common), "error"]))
        row |= {"held_out": len(error), "mean_error": error.mean(), "largest_error": error.max()}
    frame = pd.DataFrame(rows).sort_values("mean_error", ignore_index=True)
    frame["delta_aicc"] = frame["aicc"] - frame["aicc"].min()
    return frame[["law", "n_params", "held_out", "mean_error", "largest_error", "aicc", "delta_aicc"]]


def compare_systems(
    a: ScalingFit, b: ScalingFit, *inputs: ArrayLike, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Compare two systems that were run at the same settings, such as two architectures on one grid.

    Parameters
    ----------
    a, b : ScalingFit
        Of one law, to runs at the same inputs.
    *inputs : array_like
        Where to compare the predicted losses, as in ``predict``, ``(n,)`` each.
    resamples : int
        Cluster bootstrap in which both systems draw the same settings, so that what they share cancels.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        The inputs, ``ratio`` (loss of b over loss of a), ``lower``, ``upper`` and ``differs`` (the interval leaves out one).
    """
    level = check_level(level)
    if a.form.name != b.form.name or a.problem.inputs != b.problem.inputs:
        raise InputError("compare_systems: two fits of one law to runs at the same settings are needed")
    x = a.read_inputs(inputs, {})
    labels = pd.factorize(pd.Series(list(zip(*a.problem.inputs, strict=True))))[0].astype(np.intp)
    rows = weights("cluster", labels, resamples=resamples, rng=np.random.default_rng(seed))
    ends = [solve_weights(fit.form, fit.problem, fit.form.solver(fit.estimate), rows) for fit in (a, b)]
    good = ends[0].converged & ends[1].converged
    curves = [fit.form.model.log_loss(end.theta[good], x) for fit, end in zip((a, b), ends, strict=True)]
    ratio = b.form.predict(b.estimate, *x) / a.form.predict(a.estimate, *x)
    lower, upper = np.quantile(np.exp(curves[1] - curves[0]), [(1 - level) / 2, (1 + level) / 2], axis=0)
    frame = pd.DataFrame(dict(zip(a.form.inputs, x, strict=True)))
    return frame.assign(ratio=ratio, lower=lower, upper=upper, differs=(lower > 1) | (upper < 1))


def as_fit(fit: ScalingFit, point: Point) -> ScalingFit:
    """Return the fit with another optimum and without draws."""
    return replace(
        fit,
        problem=point.problem,
        estimate=tuple(fit.form.natural(point.theta).tolist()),
        draws=(),
        resid=tuple(point.resid.tolist()),
        objective=point.value,
        convergence=point.convergence,
        counts=replace(fit.counts, n_runs=len(point.resid)),
    )

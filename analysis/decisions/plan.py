r"""Which runs to train next, so that one quantity becomes known.

With the resamples as a sample of what is still possible, a new run with noise variance :math:`s^2` at a setting with predicted
loss :math:`m` lowers the variance of a quantity :math:`q`, to first order, by

.. math:: \frac{\mathrm{cov}(q, m)^2}{\mathrm{var}(m) + s^2},

which needs no refit. Several runs are chosen one after the other, each conditional on those before. Source: the expected
posterior variance of linear Bayesian design (Chaloner and Verdinelli 1995, Statistical Science 10(3), section 2); exact for a
linear law. Known failure: it trusts the law, so it sends runs where the law, if true, says most, and never tests the law.
"""

import numpy as np
import pandas as pd

from analysis.decisions.sensitivity import quantity_of
from analysis.laws.scaling_fit import ScalingFit
from curselab.errors import InputError


def plan(
    fit: ScalingFit,
    candidates: pd.DataFrame,
    *,
    quantity: str = "tokens_per_param",
    compute: float | None = None,
    runs: int = 3,
    per_flop: bool = False,
) -> pd.DataFrame:
    """Choose the runs that narrow the interval of a quantity most.

    Parameters
    ----------
    fit : ScalingFit
        With resamples.
    candidates : pandas.DataFrame
        Settings that could be run: a column for each input of the law.
    quantity : str
        As in ``sensitivity``; its logarithm, where all resamples are positive.
    compute : float, optional
        Budget of the allocation, FLOP; ten times the largest run when left out.
    runs : int
        How many to choose; a setting may be chosen again.
    per_flop : bool
        Prefer the largest fall of variance for each FLOP.

    Returns
    -------
    pandas.DataFrame
        The chosen settings in order, ``width`` (of the interval after this run, relative to now) and ``gain`` (share of the
        variance that this run removes).
    """
    if len(fit.draws) < 50:
        raise InputError(f"plan: {len(fit.draws)} resamples, 50 or more are needed; fit with bootstrap=1000")
    if len(candidates) == 0 or runs < 1:
        raise InputError("plan: one candidate and one run or more are needed")
    columns = [candidates[name].to_numpy(dtype=float) for name in fit.form.inputs if name in candidates]
    x = fit.read_inputs(tuple(columns), {})
    budget = float(10 * fit.scale(fit.problem.x, "compute").max() if compute is None else compute)
    draws = np.asarray(fit.draws)
    q = quantity_of(fit, draws, quantity, budget)
    q = np.log(q) if (q > 0).all() else q
    n, p = fit.nobs, len(fit.symbols)
    noise = float(np.sum(np.asarray(fit.resid) ** 2)) / max(n - p, 1)
    cost = fit.scale(x, "compute") if per_flop else np.ones(x.shape[1])
    m = fit.form.model.log_loss(fit.form.solver(draws), x)
    both = np.cov(np.column_stack([q, m]), rowvar=False)
    first, rows = both[0, 0], []
    for _ in range(runs):
        fall = both[0, 1:] ** 2 / (np.diag(both)[1:] + noise)
        best = int(np.argmax(fall / cost))
        before, column = both[0, 0], both[:, best + 1]
        both = both - np.outer(column, column) / (both[best + 1, best + 1] + noise)
        chosen = {name: x[i, best] for i, name in enumerate(fit.form.inputs)}
        rows.append(chosen | {"width": np.sqrt(both[0, 0] / first), "gain": 1 - both[0, 0] / before})
    return pd.DataFrame(rows)

r"""Model size and tokens that spend a compute budget best.

For :math:`L = E + A N^{-\alpha} + B D^{-\beta}`, or any rising function of the two power terms, and :math:`C = 6 N D`,

.. math:: N^* = G (C/6)^a, \quad D^* = G^{-1} (C/6)^b, \quad G = \left(\frac{\alpha A}{\beta B}\right)^{1/(\alpha+\beta)},
          \quad a = \frac{\beta}{\alpha+\beta}, \quad b = \frac{\alpha}{\alpha+\beta}

Source: Hoffmann et al. (2022), arXiv:2203.15556, Eq. 4; 6 FLOP a parameter and token as there, without attention. Known
failure: rounded constants (two digits of the exponents) move :math:`D^*/N^*` at 5.76e23 FLOP from 59 to 93.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.result import check_level
from analysis.laws.parametric import Law
from analysis.laws.scaling_fit import FLOP_PER_PARAM_TOKEN, ScalingFit
from curselab.errors import InputError

Vector = NDArray[np.float64]
QUANTITIES = ("params", "tokens", "tokens_per_param", "loss", "a", "b")


def optimal(fit: ScalingFit, compute: ArrayLike, *, level: float | None = None) -> pd.DataFrame:
    """Find the size and tokens with the lowest loss of each budget, with intervals.

    Parameters
    ----------
    fit : ScalingFit
        Of a law with one power term of ``params`` and one of ``tokens``.
    compute : array_like
        Training compute, FLOP, ``(n,)`` or one number.
    level : float, optional
        Of the percentile intervals; the level of the fit when left out.

    Returns
    -------
    pandas.DataFrame
        One row a budget and quantity: ``compute``, ``quantity``, ``value``, ``se``, ``lower``, ``upper``, ``extrapolated``
        (budget outside those fitted) and ``warning`` (the code ``extrapolating`` there, else empty). Quantities: ``params``,
        ``tokens``, ``tokens_per_param``, ``loss`` (nats/token) and the exponents ``a`` (of params) and ``b`` (of tokens). No
        interval (NaN) where both exponents are not identified.
    """
    level = check_level(fit.level if level is None else level)
    budgets = np.atleast_1d(np.asarray(compute, dtype=float))
    if not (np.isfinite(budgets).all() and (budgets > 0).all()):
        raise InputError("compute: positive finite FLOP are needed")
    best = allocation(fit.form, np.asarray([fit.estimate]), budgets)
    seen = fit.scale(fit.problem.x, "compute")
    known = len(fit.draws) > 1 and not {exponent for _, exponent, _ in fit.form.powers} & set(fit.unidentified)
    spread = allocation(fit.form, np.asarray(fit.draws), budgets) if known else None
    rows = []
    for i, budget in enumerate(budgets):
        outside = not seen.min() <= budget <= seen.max()
        for name in QUANTITIES:
            nothing = np.full(2, np.nan)
            sample = None if spread is None else spread[name][:, i]
            bounds = nothing if sample is None else fit.interval(sample, level)
            rows.append(
                {
                    "compute": budget,
                    "quantity": name,
                    "value": best[name][0, i],
                    "se": np.nan if sample is None else np.std(sample, ddof=1),
                    "lower": bounds[0],
                    "upper": bounds[1],
                    "extrapolated": outside,
                    "warning": "extrapolating" if outside else "",
                }
            )
    return pd.DataFrame(rows)


def allocation(law: Law, constants: Vector, compute: Vector) -> dict[str, Vector]:
    """Evaluate the closed form for each row of constants ``(m, n_params)`` and budget ``(n,)``: ``(m, n)`` each."""
    terms = {name: (size, exponent) for size, exponent, name in law.powers}
    if set(terms) != {"params", "tokens"}:
        raise InputError(f"law {law.name} has no power terms of params and tokens, so no closed form of the best allocation")
    A, alpha, B, beta = (constants[:, law.index(symbol), None] for name in ("params", "tokens") for symbol in terms[name])
    product = compute / FLOP_PER_PARAM_TOKEN
    a = beta / (alpha + beta)
    with np.errstate(all="ignore"):  # a wild resample may have no finite optimum
        params = np.exp((np.log(alpha * A) - np.log(beta * B)) / (alpha + beta)) * product**a
        tokens = product / params
        x = np.stack([params, tokens])
        loss = np.stack(
            [law.predict(row, *(x[0 if name == "params" else 1, i] for name in law.inputs)) for i, row in enumerate(constants)]
        )
    ones = np.ones_like(product)
    return {
        "params": params,
        "tokens": tokens,
        "tokens_per_param": tokens / params,
        "loss": loss,
        "a": a * ones,
        "b": (1 - a) * ones,
    }

"""Profile intervals: the values of a parameter at which the others, refitted, still fit the runs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from analysis.fitting.objectives import Objective

Vector = NDArray[np.float64]
_ROUNDS = 60
_WIDEST = 40  # doublings of the first step; an end further out is none


def sharpness(objective: Objective, resid: Vector, weights: Vector) -> float:
    r"""Return what turns a rise of the objective into half a chi-squared: :math:`E\psi' / E\psi^2`.

    For squares this is one over the variance of the residuals. The derivative is that of the mean :math:`\psi` over a shift
    of all residuals by half a robust standard deviation each way times :math:`n^{-1/5}`, since the :math:`\psi` of nearly
    absolute errors has hardly any derivative of its own.

    References
    ----------
    Ronchetti (1982); Hampel et al. (1986), Robust Statistics, section 7.2: the tau test.
    """
    spread = float(np.median(np.abs(resid))) / 0.6745
    h = max(0.5 * spread * len(resid) ** -0.2, np.finfo(float).tiny)
    slope = float(np.mean(weights * (objective.psi(resid + h) - objective.psi(resid - h)))) / (2 * h)
    return float(slope / np.mean((weights * objective.psi(resid)) ** 2))


def profile_ends(
    rise: Callable[[Vector], Vector], centre: float, step: float, *, level: float, dof: int, scale: float
) -> tuple[float, float]:
    """Find where twice the scaled rise of the objective passes the F quantile.

    Parameters
    ----------
    rise : callable
        Objective at given values ``(batch,)`` of the parameter, with the others refitted, less that at the optimum.
    centre : float
        Value at the optimum.
    step : float
        A first guess of the distance to the ends, above zero.
    level : float
        Of the interval.
    dof : int
        Runs less parameters.
    scale : float
        From :func:`sharpness`.

    Returns
    -------
    tuple of float
        Lower and upper end; infinite where the objective never rises enough.
    """
    threshold = float(f_distribution.ppf(level, 1, dof)) / (2 * scale)
    sides = np.array([-1.0, 1.0])
    inner, outer = np.zeros(2), np.full(2, step)
    for _ in range(_WIDEST):
        short = rise(centre + sides * outer) < threshold
        if not short.any():
            break
        inner, outer = np.where(short, outer, inner), np.where(short, 2 * outer, outer)
    else:
        outer = np.where(short, np.inf, outer)
    for _ in range(_ROUNDS):
        middle = np.where(np.isfinite(outer), 0.5 * (inner + outer), inner)
        if np.all(np.abs(outer - inner)[np.isfinite(outer)] <= 1e-9 * (abs(centre) + step)):
            break
        short = rise(centre + sides * middle) < threshold
        inner, outer = np.where(short, middle, inner), np.where(short | ~np.isfinite(outer), outer, middle)
    lower, upper = centre + sides * outer
    return float(lower), float(upper)

"""Interval of a ratio of two estimates with normal errors, such as the vertex of a parabola."""

import numpy as np
from numpy.typing import NDArray


def ratio_interval(
    numerator: float, denominator: float, cov: NDArray[np.float64], *, quantile: float
) -> tuple[float, float] | None:
    """Interval of ``numerator / denominator`` by Fieller (1954, J. R. Stat. Soc. B 16(2)), exact for normal errors.

    It holds every ratio r for which ``numerator - r * denominator`` is no further from zero than ``quantile`` standard errors.

    Parameters
    ----------
    numerator, denominator : float
        Estimates.
    cov : numpy.ndarray
        Their covariance, ``(2, 2)``, numerator first.
    quantile : float
        Of Student's t (or of the normal distribution, where the covariance is known).

    Returns
    -------
    tuple of two floats, or None
        None where the denominator is not significantly different from zero: no bounded interval exists.
    """
    a = denominator**2 - quantile**2 * cov[1, 1]
    b = numerator * denominator - quantile**2 * cov[0, 1]
    c = numerator**2 - quantile**2 * cov[0, 0]
    if a <= 0:
        return None
    root = np.sqrt(max(b**2 - a * c, 0.0))  # never below zero but by rounding
    return float((b - root) / a), float((b + root) / a)

"""Test that means along a grid never rise (or never fall), and Holm's correction for several such tests."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

Vector = NDArray[np.float64]


def departure(means: Vector, weights: Vector, *, increasing: bool) -> float:
    """Weighted sum of squares between the means and their nearest monotone sequence (pool adjacent violators)."""
    fitted = isotonic_regression(means, weights=weights, increasing=increasing).x
    return float(np.sum(weights * (means - fitted) ** 2))


def monotone_test(
    means: Vector, counts: Vector, sigma: float, dof: int, *, increasing: bool, resamples: int, rng: np.random.Generator
) -> float:
    """Test that the true means are monotone in their order.

    Parameters
    ----------
    means : numpy.ndarray
        Observed means, ``(n_points,)``.
    counts : numpy.ndarray
        Observations behind each mean, ``(n_points,)``.
    sigma : float
        Pooled standard deviation of one observation, with ``dof`` degrees of freedom.
    increasing : bool
        The null hypothesis: never falls (True) or never rises (False).
    resamples : int
        Of the null distribution.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    float
        p-value, from ``1 / (resamples + 1)`` to 1.

    Notes
    -----
    The null distribution is simulated at equal means, where it is largest of all monotone sequences (Robertson, Wright and
    Dykstra 1988, Order Restricted Statistical Inference, section 2.3), so the level holds for every one of them. Simulating
    at the fitted sequence would reject too often, since that sequence keeps part of the noise. Statistic and simulation are
    both divided by their own variance estimate, so few seeds cost power but not the level.
    """
    observed = departure(means, counts, increasing=increasing)
    # rounding alone must not make a departure of equal means
    if observed <= np.finfo(float).eps * float(np.sum(counts * means**2)):
        return 1.0
    if sigma == 0:
        return 1 / (resamples + 1)
    noise = rng.standard_normal((resamples, len(means))) / np.sqrt(counts)
    scale = rng.chisquare(dof, resamples) / dof
    simulated = np.array([departure(row, counts, increasing=increasing) for row in noise]) / scale
    return float((1 + np.sum(simulated >= observed / sigma**2)) / (resamples + 1))


def holm(p_values: ArrayLike) -> Vector:
    """Adjust p-values so that the chance of any false rejection stays at the level (Holm 1979); ``(n_tests,)``."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted

"""Test that means along a grid never rise (or never fall), and Holm's correction for several such tests."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


def departures(rows: Vector, weights: Vector, *, increasing: bool) -> Vector:
    """Weighted sums of squares between rows of means and their nearest monotone sequences.

    Parameters
    ----------
    rows : numpy.ndarray
        ``(n_rows, n_points)``.
    weights : numpy.ndarray
        ``(n_points,)``.
    increasing : bool
        Whether the sequences never fall, or never rise.

    Returns
    -------
    numpy.ndarray
        ``(n_rows,)``.

    Notes
    -----
    At i the nearest rising sequence is the largest over j <= i of the least over k >= i of the means of j .. k (Robertson,
    Wright and Dykstra 1988, section 1.4). So all rows are done at once, in a tenth of the time of one pool of adjacent
    violators a row.
    """
    y = rows if increasing else -rows
    first, last = np.triu_indices(len(weights))
    total, size = (np.insert(np.cumsum(part, axis=-1), 0, 0.0, axis=-1) for part in (weights * y, weights))
    means = np.full((len(y), len(weights), len(weights)), np.inf)
    means[:, first, last] = (total[:, last + 1] - total[:, first]) / (size[last + 1] - size[first])
    least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    fitted = np.maximum.accumulate(least, axis=-2).diagonal(axis1=-2, axis2=-1)
    return np.asarray(np.sum(weights * (y - fitted) ** 2, axis=-1))


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
    observed = departures(means[None], counts, increasing=increasing)[0]
    # rounding alone must not make a departure of equal means
    if observed <= np.finfo(float).eps * float(np.sum(counts * means**2)):
        return 1.0
    if sigma == 0:
        return 1 / (resamples + 1)
    noise = rng.standard_normal((resamples, len(means))) / np.sqrt(counts)
    scale = rng.chisquare(dof, resamples) / dof
    simulated = departures(noise, counts, increasing=increasing) / scale
    return float((1 + np.sum(simulated >= observed / sigma**2)) / (resamples + 1))


def holm(p_values: ArrayLike) -> Vector:
    """Adjust p-values so that the chance of any false rejection stays at the level (Holm 1979); ``(n_tests,)``."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted

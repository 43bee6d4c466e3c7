r"""Curves of many groups fitted together, each drawn to the others as far as its own points leave it open (partial pooling).

.. math:: y_{gj} \sim N(f(\theta_g, x_{gj}),\ \sigma^2 / w_{gj}), \qquad \theta_g \sim N(\mu, \Omega)

Empirical Bayes: mu and Omega are estimated from all groups by EM, with each group's curve taken as linear around its optimum
(Lindstrom and Bates 1990, Biometrics 46(3)). A weak prior counts as one more group, so that a spread is never estimated to be
nothing from a few groups, and a single group with few points still has an answer. Posterior covariances hold the uncertainty
of mu (Kass and Steffey 1989, JASA 84(407), to first order), not that of Omega.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Curve = Callable[[Vector, Vector], tuple[Vector, Vector]]
"""``theta (n_groups, p), x (n_groups, n)`` -> values ``(n_groups, n)`` and derivatives ``(n_groups, n, p)``."""

_ROUNDS = 300
_TOLERANCE = 1e-8
_STEP = 2.0  # longest step of a parameter: they are logarithms, or of the size of one


@dataclass(frozen=True, slots=True)
class Pooled:
    """Estimates of every group."""

    theta: Vector
    """Posterior means, ``(n_groups, p)``."""
    cov: Vector
    """Posterior covariances, ``(n_groups, p, p)``."""
    mean: Vector
    """mu, ``(p,)``."""
    spread: Vector
    """Omega, ``(p, p)``."""
    sigma: float
    """Standard deviation of an observation of weight one."""
    converged: bool


def fit_pooled(
    curve: Curve, x: Vector, y: Vector, weights: Vector, *, centre: Vector, scale: Vector, sigma: float | None = None
) -> Pooled:
    """Fit one curve a group.

    Parameters
    ----------
    curve : callable
        Values and derivatives.
    x, y, weights : numpy.ndarray
        ``(n_groups, n)``; a weight of zero where a group has fewer points.
    centre, scale : numpy.ndarray
        Weak prior of a group's parameters and its standard deviations, ``(p,)``.
    sigma : float, optional
        Standard deviation of an observation of weight one, where it is known from repeats; else it is estimated.
    """
    n_groups = len(x)
    theta, mean = np.tile(centre, (n_groups, 1)), centre.copy()
    spread, prior = np.diag(scale**2), np.diag(scale**2)
    variance = sigma**2 if sigma is not None else float(np.sum(weights * (y - y.mean()) ** 2) / max(weights.sum(), 1.0))
    converged = False
    for _ in range(_ROUNDS):
        value, slope = curve(theta, x)
        precision = np.linalg.inv(spread)
        weighted = slope.transpose(0, 2, 1) * (weights / max(variance, 1e-300))[:, None, :]
        hessian = weighted @ slope + precision
        gradient = (weighted @ (y - value)[..., None])[..., 0] - (theta - mean) @ precision
        step = np.clip(np.linalg.solve(hessian, gradient[..., None])[..., 0], -_STEP, _STEP)
        theta, cov = theta + step, np.linalg.inv(hessian)
        new_mean = (theta.sum(axis=0) + centre) / (n_groups + 1)
        apart = np.concatenate([theta, centre[None]]) - new_mean
        new_spread = (apart.T @ apart + cov.sum(axis=0) + prior) / (n_groups + 1)
        if sigma is None:
            left = curve(theta, x)[0] - y
            unexplained = np.einsum("gnp,gpq,gnq,gn->", slope, cov, slope, weights)
            variance = float((np.sum(weights * left**2) + unexplained) / max(np.count_nonzero(weights), 1))
        moved = max(float(np.abs(step).max()), float(np.abs(new_mean - mean).max()), _apart(new_spread, spread))
        mean, spread = new_mean, new_spread
        if moved < _TOLERANCE:
            converged = True
            break
    # what the mean is uncertain by reaches each group as far as the group leans on it
    lean = cov @ np.linalg.inv(spread)
    of_mean = (spread + cov.mean(axis=0)) / (n_groups + 1)
    cov = cov + lean @ of_mean @ lean.transpose(0, 2, 1)
    return Pooled(theta, cov, mean, spread, float(np.sqrt(variance)), converged)


def _apart(new: Vector, old: Vector) -> float:
    return float(np.abs(new - old).max() / np.abs(old).max())

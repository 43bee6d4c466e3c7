"""Nonlinear least squares from many starts, plain or Huber, with evidence that the best end point is an optimum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from analysis.fitting.result import Convergence

Vector = NDArray[np.float64]
Residual = Callable[[Vector], Vector]
Bounds = tuple[float | Sequence[float], float | Sequence[float]]
Jacobian = Callable[[Vector], NDArray[np.float64]]

# at the rounding of double precision: a looser stop leaves a Huber fit visibly short of its optimum (arXiv:2404.10102)
_TOLERANCE = 1e-15
_MAX_EVALUATIONS = 1000
_GRADIENT = 1e-5
_SAME_OPTIMUM = 1e-6


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best end point of all starts."""

    theta: Vector
    """Parameters, ``(n_params,)``."""
    objective: float
    """Sum of Huber losses, or half the sum of squares."""
    convergence: Convergence


def multistart(
    residual: Residual,
    jacobian: Jacobian,
    starts: Sequence[ArrayLike],
    *,
    delta: float | None = None,
    bounds: Bounds = (-np.inf, np.inf),
) -> Optimum:
    """Minimise a sum of squared or Huber losses from each start and keep the best.

    Parameters
    ----------
    residual, jacobian : callable
        Map parameters ``(n_params,)`` to residuals ``(n,)`` and their exact derivatives ``(n, n_params)``.
    starts : sequence of array_like
        Starting points, ``(n_params,)`` each.
    delta : float, optional
        Where Huber's loss turns from quadratic to linear, in units of the residual; None is plain least squares.
    bounds : tuple
        Lower and upper bounds, a number or ``(n_params,)`` each. An end point on a bound is no optimum: it counts as not
        converged.

    Returns
    -------
    Optimum
        The best end point, with the share of starts that reached it and its gradient.

    Notes
    -----
    Residuals are divided by their own scale first, since the optimiser's tolerances are in part absolute: the answer must not
    depend on the unit of the loss.
    """
    scales = [delta or float(np.sqrt(np.mean(residual(np.asarray(start, dtype=float)) ** 2))) or 1.0 for start in starts]
    ends = [
        _minimise(residual, jacobian, np.asarray(s, dtype=float), scale, delta, bounds)
        for s, scale in zip(starts, scales, strict=True)
    ]
    theta, best = min(ends, key=lambda end: end[1])
    r, j = residual(theta), jacobian(theta)
    # noise-free data end at rounding error, where a relative measure has no meaning
    floor = 0.5 * len(r) * (64 * np.finfo(float).eps) ** 2
    same = sum(objective <= best * (1 + _SAME_OPTIMUM) + floor for _, objective in ends)
    gradient = 0.0 if best <= floor else _cosine(j, r if delta is None else np.clip(r, -delta, delta))
    found = Convergence(starts=len(ends), starts_at_optimum=int(same), gradient=gradient, converged=gradient <= _GRADIENT)
    return Optimum(theta, best, found)


def _minimise(
    residual: Residual,
    jacobian: Jacobian,
    start: Vector,
    scale: float,
    delta: float | None,
    bounds: Bounds,
) -> tuple[Vector, float]:
    def scaled(theta: Vector) -> Vector:
        return residual(theta) / scale

    def scaled_jacobian(theta: Vector) -> NDArray[np.float64]:
        return jacobian(theta) / scale

    end = least_squares(
        scaled,
        start,
        scaled_jacobian,
        bounds=bounds,
        method="trf",
        x_scale="jac",
        loss="linear" if delta is None else "huber",
        ftol=_TOLERANCE,
        xtol=_TOLERANCE,
        gtol=_TOLERANCE,
        max_nfev=_MAX_EVALUATIONS,
    )
    return end.x, float(end.cost) * scale**2


def _cosine(jacobian: NDArray[np.float64], influence: Vector) -> float:
    size = np.linalg.norm(jacobian, axis=0) * np.linalg.norm(influence)
    return float(np.max(np.abs(jacobian.T @ influence) / np.maximum(size, np.finfo(float).tiny)))

"""Nonlinear least squares from many starts, plain or Huber, with evidence that the best end point is an optimum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import least_squares

from analysis.fitting.result import Convergence

Vector = NDArray[np.float64]
Residual = Callable[[Vector], Vector]
Bounds = tuple[float | Sequence[float], float | Sequence[float]]
Jacobian = Callable[[Vector], NDArray[np.float64]]

# at the rounding of double precision: a looser stop leaves a Huber fit visibly short of its optimum (arXiv:2404.10102)
_TOLERANCE = 1e-15
_EVALUATIONS = 1000
_GRADIENT = 1e-5
_ROUNDING = 64 * np.finfo(float).eps  # of a residual of order 1
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
    evaluations: int = _EVALUATIONS,
    tolerance: float = _TOLERANCE,
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
    evaluations : int
        Most evaluations a start. A warm start needs ten; only valleys that are all but flat need thousands.
    tolerance : float
        Relative, of the objective, the parameters and the gradient, where a start stops.

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
        _minimise(residual, jacobian, np.asarray(s, dtype=float), scale, delta, bounds, evaluations, tolerance)
        for s, scale in zip(starts, scales, strict=True)
    ]
    theta, best = min(ends, key=lambda end: end[1])
    r, j = residual(theta), jacobian(theta)
    pull = r if delta is None else np.clip(r, -delta, delta)
    # noise-free data end at rounding error, where a relative measure has no meaning
    floor = 0.5 * len(r) * _ROUNDING**2
    known = _ROUNDING * np.sqrt(len(r)) / max(float(np.linalg.norm(pull)), np.finfo(float).tiny)
    same = sum(objective <= best * (1 + _SAME_OPTIMUM) + floor for _, objective in ends)
    gradient = 0.0 if best <= floor else _cosine(j, pull)
    converged = gradient <= max(_GRADIENT, known)
    found = Convergence(starts=len(ends), starts_at_optimum=int(same), gradient=gradient, converged=converged)
    return Optimum(theta, best, found)


def _minimise(
    residual: Residual,
    jacobian: Jacobian,
    start: Vector,
    scale: float,
    delta: float | None,
    bounds: Bounds,
    evaluations: int,
    tolerance: float,
) -> tuple[Vector, float]:
    def scaled(theta: Vector) -> Vector:
        return residual(theta) / scale

    def scaled_jacobian(theta: Vector) -> NDArray[np.float64]:
        return jacobian(theta) / scale

    # a trial step may leave what a double can hold; the optimiser refuses it when the residuals are not finite
    with np.errstate(all="ignore"):
        end = least_squares(
            scaled,
            start,
            scaled_jacobian,
            bounds=bounds,
            method="trf",
            x_scale="jac",
            loss="linear" if delta is None else "huber",
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
            max_nfev=evaluations,
        )
    return end.x, float(end.cost) * scale**2


def _cosine(jacobian: NDArray[np.float64], influence: Vector) -> float:
    size = np.linalg.norm(jacobian, axis=0) * np.linalg.norm(influence)
    return float(np.max(np.abs(jacobian.T @ influence) / np.maximum(size, np.finfo(float).tiny)))


def standard_errors(jacobian: NDArray[np.float64], resid: Vector) -> Vector:
    """Standard errors of least squares under independent noise of one variance.

    Parameters
    ----------
    jacobian : numpy.ndarray
        Of the residuals at the optimum, ``(n, n_params)``.
    resid : numpy.ndarray
        Residuals there, ``(n,)``.

    Returns
    -------
    numpy.ndarray
        ``(n_params,)``; infinite where the Jacobian does not determine the parameters.

    Notes
    -----
    From the triangle of a QR decomposition of the Jacobian with columns of length 1: its cross product would square a
    condition number that reaches 1e8 in ordinary problems.
    """
    n, n_params = jacobian.shape
    length = np.linalg.norm(jacobian, axis=0)
    triangle = np.linalg.qr(jacobian / np.where(length > 0, length, 1.0), mode="r")
    pivots = np.abs(np.diag(triangle))
    if n <= n_params or not pivots.min() > np.finfo(float).eps * pivots.max():
        return np.full(n_params, np.inf)
    inverse = solve_triangular(triangle, np.eye(n_params))
    return np.asarray(np.linalg.norm(inverse, axis=1) / length * np.linalg.norm(resid) / np.sqrt(n - n_params))

"""Profile intervals of every parameter of a least-squares fit; one without two finite ends is not identified."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

Vector = NDArray[np.float64]
Residual = Callable[[NDArray[Any]], NDArray[Any]]
_TOLERANCE = 1e-10
_EVALUATIONS = 60
_HUGE = 1e100
_WIDEST = 12  # doublings of the first step; an end further out is none
_HALVINGS = 10
_STEP = 1e-30
_COLLINEAR = 1e-8
_PART = 1e-3  # of a direction of length one


def solve_squares(residual: Residual, start: Vector, *, evaluations: int = _EVALUATIONS) -> tuple[Vector, float]:
    """Minimise half a sum of squares from one start, with derivatives by a complex step: parameters and value."""

    def finite(theta: NDArray[Any]) -> NDArray[Any]:
        r = residual(theta)
        return np.where(np.isfinite(r), r, _HUGE)

    with np.errstate(all="ignore"):
        end = least_squares(
            finite,
            start,
            jac="cs",
            x_scale="jac",
            max_nfev=evaluations,
            ftol=_TOLERANCE,
            xtol=_TOLERANCE,
            gtol=_TOLERANCE,
        )
    return end.x, float(end.cost)


def profile_intervals(residual: Residual, theta: Vector, which: list[int], *, level: float) -> list[tuple[float, float]]:
    """Find for some parameters the values at which the others, refitted, still fit.

    Parameters
    ----------
    residual : callable
        Parameters ``(n_params,)`` to residuals ``(n,)``; analytic.
    theta : numpy.ndarray
        The optimum.
    which : list of int
        Positions of the parameters.
    level : float
        Of the intervals.

    Returns
    -------
    list of tuple
        Lower and upper ends; infinite where the fit never becomes worse by more than the F quantile.
    """
    resid = residual(theta)
    best, dof = 0.5 * float(resid @ resid), len(resid) - len(theta)
    allowed = best * float(f_distribution.ppf(level, 1, dof)) / dof

    def end(i: int, side: int) -> float:
        others = np.delete(np.arange(len(theta)), i)
        warm = theta[others]

        def excess(distance: float) -> float:
            nonlocal warm

            def held(free: NDArray[Any]) -> NDArray[Any]:
                whole = np.empty(len(theta), dtype=free.dtype)
                whole[others], whole[i] = free, theta[i] + side * distance
                return residual(whole)

            warm, cost = solve_squares(held, warm)
            return cost - best - allowed

        inner, outer = 0.0, 0.05 * max(abs(float(theta[i])), 0.1)
        for _ in range(_WIDEST):
            if excess(outer) > 0:
                break
            inner, outer = outer, 2 * outer
        else:
            return float(side * np.inf)
        # halving, since what a warm start finds may depend a little on where it came from
        for _ in range(_HALVINGS):
            middle = 0.5 * (inner + outer)
            inner, outer = (inner, middle) if excess(middle) > 0 else (middle, outer)
        return float(theta[i] + side * outer)

    lost = undetermined(residual, theta)
    return [(-np.inf, np.inf) if lost[i] else (end(i, -1), end(i, 1)) for i in which]


def undetermined(residual: Residual, theta: Vector) -> NDArray[np.bool_]:
    """Parameters that can move along some direction without moving any residual, ``(n_params,)``."""
    with np.errstate(all="ignore"):
        J = np.stack([residual(theta + 1j * _STEP * unit).imag / _STEP for unit in np.eye(len(theta))], axis=1)
    length = np.linalg.norm(J, axis=0)
    nothing = length <= _COLLINEAR * length.max()
    _, singular, directions = np.linalg.svd(J / np.where(nothing, 1.0, length), full_matrices=False)
    free = directions[singular <= _COLLINEAR * singular.max()]
    return np.asarray(nothing | (np.abs(free) > _PART).any(axis=0))

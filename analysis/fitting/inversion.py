r"""At which x a falling curve has a given value, and what that is worth: measured, extrapolated, or below the curve's floor.

For a curve g of ln x with noise on both sides, to first order :math:`var(\ln x) = (var(y) + var(g)) / g'(\ln x)^2`: where the
curve is flat, noise becomes a wide answer. Callers draw both sides and invert every draw.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from curselab.errors import InputError

Vector = NDArray[np.float64]
_HALVINGS = 80

MEASURED, EXTRAPOLATED, BELOW_FLOOR = "measured", "extrapolated", "below_floor"
"""What an inverse is; ``below_floor``: the value is reached at no x, and the inverse is infinite."""


@dataclass(frozen=True, slots=True)
class Inverse:
    """ln x at which a curve has given values."""

    log_x: Vector
    """``(...)``; infinite below the floor."""
    state: NDArray[np.str_]
    """Of each, one of the three above."""


def states(log_x: ArrayLike, measured: tuple[float, float]) -> NDArray[np.str_]:
    """Say of each ln x whether it lies within the measured ones, with rounding."""
    x = np.asarray(log_x, dtype=float)
    slack = 1e-9 * (1 + abs(measured[1]))
    inside = (x >= measured[0] - slack) & (x <= measured[1] + slack)
    return np.where(np.isposinf(x), BELOW_FLOOR, np.where(inside, MEASURED, EXTRAPOLATED))


def invert(
    curve: Callable[[Vector], Vector], value: ArrayLike, *, measured: tuple[float, float], reach: float = np.log(1e6)
) -> Inverse:
    """Invert any falling curve by bisection.

    Parameters
    ----------
    curve : callable
        ``ln x (n,) -> y (n,)``, never rising.
    value : array_like
        y, ``(n,)``.
    measured : tuple of two floats
        Smallest and largest ln x of the data behind the curve.
    reach : float
        How far beyond them an answer is looked for, in ln x. A value that the curve has not reached by then lies below its
        floor; one above the curve's start is put at the start.

    Raises
    ------
    InputError
        The curve rises from one end of the search to the other.
    """
    y = np.atleast_1d(np.asarray(value, dtype=float))
    low, high = np.full(len(y), measured[0] - reach), np.full(len(y), measured[1] + reach)
    top, bottom = curve(low), curve(high)
    if np.any(bottom > top):
        raise InputError("curve: it rises with x, a falling curve is needed (fit one by monotone_curve)")
    floor = y < bottom
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = curve(middle) > y
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    log_x = np.where(floor, np.inf, 0.5 * (low + high))
    return Inverse(log_x, states(log_x, measured))


def monotone_curve(log_x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Callable[[Vector], Vector]:
    """Return the nearest falling sequence of points (pool adjacent violators), with straight lines between and beyond.

    Parameters
    ----------
    log_x, y : array_like
        Points, ``(n,)``, two different x or more.
    weights : array_like, optional
        Of the points.
    """
    order = np.argsort(np.asarray(log_x, dtype=float), kind="stable")
    x, values = np.asarray(log_x, dtype=float)[order], np.asarray(y, dtype=float)[order]
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)[order]
    at, group = np.unique(x, return_inverse=True)
    if len(at) < 2:
        raise InputError(f"curve: {len(at)} different x were given, 2 or more are needed")
    total = np.bincount(group, w)
    fitted = isotonic_regression(np.bincount(group, w * values) / total, weights=total, increasing=False).x

    def curve(points: Vector) -> Vector:
        p = np.asarray(points, dtype=float)
        slopes = np.diff(fitted) / np.diff(at)
        before, after = slopes[0] * np.minimum(p - at[0], 0), slopes[-1] * np.maximum(p - at[-1], 0)
        return np.asarray(np.interp(p, at, fitted) + before + after)

    return curve

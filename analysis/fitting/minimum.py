"""Where a curve through few noisy points has its minimum: a parabola through the points around the lowest one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
_MIN_POINTS = 3
_GOOD_POINTS = 5


@dataclass(frozen=True, slots=True)
class Minima:
    """Minima of several curves over one grid."""

    position: Vector
    """Vertex of the local parabola, clipped to its window, in the unit of x, ``(n_curves,)``."""
    interior: NDArray[np.bool_]
    """The lowest point is no end of the grid and the parabola opens upwards with its vertex inside, ``(n_curves,)``."""
    lowest: NDArray[np.intp]
    """Index of the lowest point, ``(n_curves,)``."""


def window(x: Vector, centre: int, *, half_width: float) -> NDArray[np.intp]:
    """Points within ``half_width`` of ``x[centre]``, extended to the nearest five where there are five.

    Parameters
    ----------
    x : numpy.ndarray
        Rising grid, ``(n_points,)``.
    centre : int
        Index of the lowest point.
    half_width : float
        In the unit of x.

    Returns
    -------
    numpy.ndarray
        Indices, rising.
    """
    distance = np.abs(x - x[centre])
    inside = int((distance <= half_width * (1 + 1e-9)).sum())
    nearest = np.argsort(distance, kind="stable")
    return np.sort(nearest[: max(inside, min(_GOOD_POINTS, len(x)))])


def local_minima(x: Vector, curves: Vector, *, half_width: float) -> Minima:
    """Find the minimum of each curve.

    Parameters
    ----------
    x : numpy.ndarray
        Rising grid, ``(n_points,)``, three points or more.
    curves : numpy.ndarray
        Values, ``(n_curves, n_points)``.
    half_width : float
        Of the window around the lowest point, in the unit of x.

    Notes
    -----
    A parabola through all points is biased where one side is steeper; the window keeps the bias small and the clip keeps a
    flat curve from sending the vertex to infinity.
    """
    lowest = curves.argmin(axis=1)
    position = np.empty(len(curves))
    interior = np.zeros(len(curves), dtype=bool)
    for centre in np.unique(lowest):
        which = lowest == centre
        inside = window(x, int(centre), half_width=half_width)
        design = np.vander(x[inside] - x[centre], 3, increasing=True)
        _, slope, bend = np.linalg.lstsq(design, curves[which][:, inside].T, rcond=None)[0]
        low, high = x[inside[0]] - x[centre], x[inside[-1]] - x[centre]
        opens = bend > 0
        # a parabola that opens downwards is lowest at an end: the point itself is then the best guess
        vertex = np.where(opens, -slope / np.where(opens, 2 * bend, 1.0), 0.0)
        position[which] = x[centre] + np.clip(vertex, low, high)
        interior[which] = opens & (vertex > low) & (vertex < high) & (0 < centre < len(x) - 1)
    return Minima(position, interior, lowest)

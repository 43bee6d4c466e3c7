r"""Least squares of many curves over one set of points, for forms that are linear in all but a few shape parameters.

.. math:: y_{bi} = \sum_k c_{bk}\, \phi_k(x_i; \nu_b) + \text{noise}

The sizes c are solved exactly at any shape nu (variable projection: Golub and Pereyra 1973, SIAM J. Numer. Anal. 10(2)), so a
grid of shapes serves all curves at once, and only the best shape of each is refined, by Gauss and Newton with the Jacobian of
Kaufman (1975, BIT 15). Two or three shape parameters leave no room for missed optima beyond the grid's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Numbers = NDArray[Any]
"""Real, or complex where derivatives are taken by a complex step."""

_ROUNDS = 40
_GAIN = 1e-7  # of the sum of squares: a step that brings less was the last
_STUCK = 1e4
_STEP = 1e-30
_TINY = 1e-12  # of the largest pivot: a size below it is not determined, and is left at zero


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparableForm:
    """A family of curves."""

    name: str
    formula: str
    basis: Callable[[Numbers, Vector], Numbers]
    """Shapes ``(batch, n_shapes)`` and inputs ``(n_inputs, n)`` to the columns, ``(batch, n, n_sizes)``; analytic."""
    nodes: Callable[[Vector], Vector]
    """Inputs to the grid of shapes, ``(n_nodes, n_shapes)``; its corners bound the refinement."""
    n_sizes: int
    n_shapes: int

    @property
    def n_params(self) -> int:
        """Free parameters."""
        return self.n_sizes + self.n_shapes


@dataclass(frozen=True, slots=True)
class Curves:
    """Fitted curves of one form."""

    form: SeparableForm
    shapes: Vector
    """``(n_curves, n_shapes)``."""
    sizes: Vector
    """``(n_curves, n_sizes)``."""
    resid: Vector
    """Observed less fitted, times the root of the weights, ``(n_curves, n)``."""

    def at(self, x: Vector) -> Vector:
        """Values at inputs ``(n_inputs, n)``: ``(n_curves, n)``."""
        return np.asarray((self.form.basis(self.shapes, x) @ self.sizes[..., None])[..., 0])

    def tangent(self, x: Vector) -> Vector:
        """Derivatives of the values at ``x`` by the sizes and the shapes: ``(n_curves, n, n_params)``."""
        slopes = _by_shapes(self.form, self.shapes, self.sizes, x)
        return np.concatenate([self.form.basis(self.shapes, x), *(slope[..., None] for slope in slopes)], axis=-1)


def fit_curves(form: SeparableForm, x: Vector, y: Vector, weights: Vector | None = None) -> Curves:
    """Fit each row of ``y``.

    Parameters
    ----------
    form : SeparableForm
        What to fit.
    x : numpy.ndarray
        Inputs, ``(n_inputs, n)``.
    y : numpy.ndarray
        Curves, ``(n_curves, n)``.
    weights : numpy.ndarray, optional
        Of the points, ``(n,)``; only their ratios count.
    """
    root = np.ones(x.shape[1]) if weights is None else np.sqrt(weights / weights.mean())
    goal = y * root
    nodes = form.nodes(x)
    shapes = nodes[_best_nodes(form, nodes, x, goal, root)]
    if form.n_shapes:
        shapes = _refine(form, shapes, x, goal, root, bounds=(nodes.min(axis=0), nodes.max(axis=0)))
    resid, sizes, _ = _project(form, shapes, x, goal, root)
    return Curves(form, shapes, sizes, resid)


def _best_nodes(form: SeparableForm, nodes: Vector, x: Vector, goal: Vector, root: Vector) -> NDArray[np.intp]:
    columns, _ = _orthogonal(form.basis(nodes, x) * root[:, None])
    explained = ((columns.transpose(0, 2, 1) @ goal.T) ** 2).sum(axis=1)  # (n_nodes, n_curves)
    return np.asarray(explained.argmax(axis=0))


def _orthogonal(columns: Vector) -> tuple[Vector, Vector]:
    """Orthonormal columns, with those that others already span set to zero, and the triangle."""
    length = np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), np.finfo(float).tiny)
    q, r = np.linalg.qr(columns / length)
    pivots = np.abs(np.diagonal(r, axis1=1, axis2=2))
    q = q * (pivots > _TINY)[:, None, :]
    return q, r * length


def _project(form: SeparableForm, shapes: Vector, x: Vector, goal: Vector, root: Vector) -> tuple[Vector, Vector, Vector]:
    """Residuals, sizes and orthonormal columns at the best sizes of given shapes."""
    q, r = _orthogonal(form.basis(shapes, x) * root[:, None])
    onto = (q.transpose(0, 2, 1) @ goal[..., None])[..., 0]
    lost = np.asarray(~q.any(axis=1))
    triangle = r + lost[:, :, None] * np.eye(form.n_sizes)
    sizes = np.linalg.solve(triangle, onto[..., None])[..., 0]
    return goal - (q @ onto[..., None])[..., 0], np.where(lost, 0.0, sizes), q


def _refine(
    form: SeparableForm, shapes: Vector, x: Vector, goal: Vector, root: Vector, *, bounds: tuple[Vector, Vector]
) -> Vector:
    """Levenberg and Marquardt on the shapes of all curves, each with its own damping, inside the grid's corners."""
    shapes, damping = shapes.copy(), np.full(len(goal), 1e-3)
    left = np.arange(len(goal))
    for _ in range(_ROUNDS):
        now, y = shapes[left], goal[left]
        resid, sizes, q = _project(form, now, x, y, root)
        J = _jacobian(form, now, sizes, q, x, root)
        pull = (J.transpose(0, 2, 1) @ resid[..., None])[..., 0]
        # a shape that lies on its bound and would leave it is held
        held = ((now <= bounds[0]) & (pull < 0)) | ((now >= bounds[1]) & (pull > 0))
        J, pull = np.where(held[:, None, :], 0.0, J), np.where(held, 0.0, pull)
        square = J.transpose(0, 2, 1) @ J
        size = np.maximum(np.einsum("bii->bi", square), np.finfo(float).tiny)
        damped = square + np.eye(form.n_shapes) * (damping[left, None] * size + held)[:, None, :]
        step = np.clip(np.linalg.solve(damped, pull[..., None])[..., 0], -1.0, 1.0)
        trial = np.clip(now + step, *bounds)
        value, new = ((r**2).sum(axis=1) for r in (resid, _project(form, trial, x, y, root)[0]))
        better = new < value
        shapes[left] = np.where(better[:, None], trial, now)
        damping[left] = np.where(better, damping[left] / 5, damping[left] * 5)
        done = np.where(better, value - new <= _GAIN * value, damping[left] > _STUCK)
        left = left[~done]
        if not len(left):
            break
    return shapes


def _jacobian(form: SeparableForm, shapes: Vector, sizes: Vector, q: Vector, x: Vector, root: Vector) -> Vector:
    """Derivatives of the fitted curve by the shapes, less what the sizes take up: ``(n_curves, n, n_shapes)``."""
    slopes = [slope * root for slope in _by_shapes(form, shapes, sizes, x)]
    return np.stack([slope - (q @ (q.transpose(0, 2, 1) @ slope[..., None]))[..., 0] for slope in slopes], axis=-1)


def _by_shapes(form: SeparableForm, shapes: Vector, sizes: Vector, x: Vector) -> list[Vector]:
    """Derivative of the values by each shape at fixed sizes, ``(n_curves, n)`` each."""
    changes = [form.basis(shapes + 1j * _STEP * unit, x).imag / _STEP for unit in np.eye(form.n_shapes)]
    return [np.asarray((change @ sizes[..., None])[..., 0]) for change in changes]

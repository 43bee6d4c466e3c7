r"""Values, gradients and Hessians of thousands of small fits at once: many weightings of one design.

The model is a sum of exponentials of forms that are linear in the parameters, :math:`m_i = \sum_k \exp(v_{ki} \cdot \phi)`.
With the shares :math:`p_k` of the terms, the gradient of :math:`\ln m` is :math:`g = \sum_k p_k v_k` and its Hessian
:math:`\sum_k p_k v_k v_k' - g g'`; the Hessian of an objective :math:`\sum_i w_i \rho(r_i)` is then

.. math:: \sum_i w_i (\rho'' - \rho') g g' + \sum_{ik} w_i \rho' p_k v_k v_k'

for residuals of :math:`\ln m`, and the same with :math:`\rho'' m^2` and :math:`\rho' m` in place of :math:`\rho'' - \rho'` and
:math:`\rho'` for residuals of :math:`m`. All problems share the :math:`v_k`, so each block of the Hessians of a whole batch is
one product of (batch, n) with (n, few).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int, Array, NDArray[np.intp]]

_ROUNDING = 16 * np.finfo(float).eps
_FLAT = 1e-2  # weight of the rows beyond the threshold in the matrix that stands in for an indefinite Hessian


@dataclass(frozen=True, slots=True)
class Problem:
    """One design and objective; a batch of problems differs in weights, starts and fixed parameters.

    ``phi`` is (free parameters, fixed parameters, 1); the 1 carries the observed loss.
    """

    design: Array
    """``v_k`` of each term and row, ``(n_terms, n_phi, n)``, its last slice minus ln of the observed loss."""
    n_free: int
    scale: Array | None
    """Observed loss ``(n,)`` where residuals are of the loss itself, None where they are of its logarithm."""
    delta: float
    """Where the objective turns linear; infinite for squares."""
    tilt: float
    """Weight of under-prediction; 0.5 for both sides alike."""
    lower: Array
    """Of the free parameters, ``(n_free,)``."""
    upper: Array

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return int(self.design.shape[2])

    @property
    def rounding(self) -> float:
        """Size of a residual that is rounding error alone."""
        unit = 1 + np.abs(self.design[0, -1]).max() if self.scale is None else self.scale.max()
        return float(_ROUNDING * unit)

    def residual(self, phi: Array) -> Array:
        """Predicted minus observed, ``(batch, n)``."""
        total = np.exp(phi @ self.design).sum(axis=0)
        return np.asarray(np.log(total) if self.scale is None else self.scale * (total - 1))

    def linear(self, phi: Array, step: Array) -> tuple[Array, Array]:
        """Residuals, and their first-order change along a step ``(batch, n_free)``; ``(batch, n)`` each."""
        share = np.exp(phi @ self.design)
        total, change = share.sum(axis=0), (share * (step @ self.design[:, : self.n_free])).sum(axis=0)
        if self.scale is None:
            return np.log(total), change / total
        return self.scale * (total - 1), self.scale * change

    def side(self, resid: Array) -> Array | float:
        """Weight of each residual's side, ``(batch, n)``."""
        return 1.0 if self.tilt == 0.5 else np.where(resid < 0, 2 * self.tilt, 2 * (1 - self.tilt))

    def pairs(self) -> list[Pair]:
        """Products of two terms' ``v``, and where in the triangle of the Hessian their non-zero columns go."""
        rows, columns = np.triu_indices(self.n_free)
        found = []
        for k, a in enumerate(self.design):
            for m, b in enumerate(self.design[k:], start=k):
                features = a[rows] * b[columns]
                if m > k:
                    features = features + b[rows] * a[columns]
                slots = np.flatnonzero(features.any(axis=1))
                found.append((k, m, np.ascontiguousarray(features[slots].T), slots))
        return found


def derivatives(
    problem: Problem, pairs: list[Pair], phi: Array, weights: Array, *, indefinite: bool = True
) -> tuple[Array, Array, Array]:
    """Value ``(batch,)``, gradient ``(batch, n_free)`` and Hessian ``(batch, n_free, n_free)``.

    Where ``indefinite`` is False a matrix that is never indefinite stands in for the Hessian: that of Gauss and Newton on the
    rows in the quadratic part, and a little of iteratively reweighted least squares on the others.
    """
    n_free = problem.n_free
    share = phi @ problem.design
    np.exp(share, out=share)
    value, first, second = _pulls(problem, sum(share[1:], start=share[0]), weights, indefinite=indefinite)
    gradient, triangle = np.zeros((len(phi), n_free)), np.zeros((len(phi), n_free * (n_free + 1) // 2))
    for k, m, features, slots in pairs:
        if k == m:
            pull, bend = first * share[k], second * share[k]
            gradient += pull @ problem.design[k, :n_free].T
            product = bend * share[k]
            if indefinite:
                product += pull
        else:
            product = bend * share[m]
        triangle[:, slots] += product @ features
    hessian = np.empty((len(phi), n_free, n_free))
    rows, columns = np.triu_indices(n_free)
    hessian[:, rows, columns] = triangle
    hessian[:, columns, rows] = triangle
    return value, gradient, hessian


def _pulls(problem: Problem, total: Array, weights: Array, *, indefinite: bool) -> tuple[Array, Array, Array]:
    """Value ``(batch,)``, and what multiplies each row's terms in the gradient and their products in the Hessian.

    ``total`` is the predicted over the observed loss, ``(batch, n)``.
    """
    resid = np.log(total) if problem.scale is None else problem.scale * (total - 1)
    clipped = np.clip(resid, -problem.delta, problem.delta)
    if problem.tilt != 0.5:
        weights = weights * problem.side(resid)
    influence = weights * clipped
    value = np.einsum("bn,bn->b", influence, resid) - 0.5 * np.einsum("bn,bn->b", influence, clipped)
    quadratic = clipped == resid
    if indefinite:
        bend = weights * quadratic
    else:
        bend = weights * np.where(quadratic, 1.0, _FLAT * clipped / np.where(quadratic, 1.0, resid))
    if problem.scale is not None:
        return value, influence * problem.scale, bend * problem.scale**2
    if indefinite:
        bend -= influence
    inverse = 1 / total
    influence *= inverse
    inverse *= inverse
    bend *= inverse
    return value, influence, bend


def certificate(problem: Problem, phi: Array, weights: Array, gradient: Array) -> tuple[Array, Array]:
    """Largest component of the gradient, free of units and of the weights' scale, and to what it is known; ``(batch,)`` each.

    It is 0 at an optimum and at most 1: the cosine between the weighted influences and a column of the Jacobian, except that a
    column is taken as long as if its term were the whole loss. A term that vanishes is then at its optimum, which is zero.
    """
    resid = problem.residual(phi)
    slope = 1.0 if problem.scale is None else problem.scale
    column = np.sqrt(weights @ (np.abs(problem.design[:, : problem.n_free]).max(axis=0) * slope).T ** 2)
    influence = problem.side(resid) * np.clip(resid, -problem.delta, problem.delta)
    pull = np.sqrt(np.einsum("bn,bn,bn->b", weights, influence, influence))
    # residuals of noise-free data are rounding, and have no direction
    known = problem.rounding * np.sqrt(weights.sum(axis=1)) / (pull + np.finfo(float).tiny)
    return np.max(np.abs(gradient) / (column * pull[:, None] + np.finfo(float).tiny), axis=1, initial=0.0), known

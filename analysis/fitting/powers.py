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

from analysis.fitting.target import Array, Rows, Target

Pair = tuple[int, int, Array, NDArray[np.intp]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTerms(Target):
    """A sum of power terms; ``phi`` is (free parameters, fixed parameters, 1), and the 1 carries the observed loss."""

    design: Array
    """``v_k`` of each term and row, ``(n_terms, n_phi, n)``, its last slice minus ln of the observed loss."""
    pairs: tuple[Pair, ...]
    """From :func:`term_pairs`."""
    scale: Array | None
    """Observed loss ``(n,)`` where residuals are of the loss itself, None where they are of its logarithm."""

    def residual(self, phi: Array) -> Array:
        """See ``Target``."""
        return self._resid(np.exp(phi @ self.design).sum(axis=0))

    def _resid(self, total: Array) -> Array:
        """Residuals from the predicted over the observed loss, ``(batch, n)`` each."""
        return np.asarray(np.log(total) if self.scale is None else self.scale * (total - 1))

    def linear(self, phi: Array, step: Array) -> tuple[Array, Array]:
        """See ``Target``."""
        share = np.exp(phi @ self.design)
        total, change = share.sum(axis=0), (share * (step @ self.design[:, : self.n_free])).sum(axis=0)
        return self._resid(total), change / total if self.scale is None else self.scale * change

    def derivatives(self, phi: Array, rows: Rows, *, indefinite: bool = True) -> tuple[Array, Array, Array]:
        """See ``Target``."""
        n_free = self.n_free
        share = phi @ self.design
        np.exp(share, out=share)
        value, first, second = self._term_pulls(sum(share[1:], start=share[0]), rows, indefinite=indefinite)
        gradient, triangle = np.zeros((len(phi), n_free)), np.zeros((len(phi), n_free * (n_free + 1) // 2))
        for k, m, features, slots in self.pairs:
            if k == m:
                pull, bend = first * share[k], second * share[k]
                gradient += pull @ self.design[k, :n_free].T
                product = bend * share[k]
                if indefinite:
                    product += pull
            else:
                product = bend * share[m]
            triangle[:, slots] += product @ features
        hessian = np.empty((len(phi), n_free, n_free))
        across, down = np.triu_indices(n_free)
        hessian[:, across, down] = triangle
        hessian[:, down, across] = triangle
        return value, gradient, hessian

    def _term_pulls(self, total: Array, rows: Rows, *, indefinite: bool) -> tuple[Array, Array, Array]:
        """Value, and what multiplies each row's terms in the gradient and their products in the Hessian."""
        value, influence, bend = self.pulls(rows.residual(self._resid(total)), rows.weights, indefinite=indefinite)
        if self.scale is not None:
            return value, influence * self.scale, bend * self.scale**2
        if indefinite:
            bend -= influence
        inverse = 1 / total
        influence *= inverse
        inverse *= inverse
        bend *= inverse
        return value, influence, bend

    def lengths(self, phi: Array, weights: Array) -> Array:
        """See ``Target``; a column is as long as if its term were the whole loss, so one that vanishes is at its optimum."""
        slope = 1.0 if self.scale is None else self.scale
        return np.asarray(np.sqrt(weights @ (np.abs(self.design[:, : self.n_free]).max(axis=0) * slope).T ** 2))


def term_pairs(design: Array, n_free: int) -> tuple[Pair, ...]:
    """Products of two terms' ``v``, and where in the triangle of the Hessian their non-zero columns go."""
    across, down = np.triu_indices(n_free)
    found = []
    for k, a in enumerate(design):
        for m, b in enumerate(design[k:], start=k):
            features = a[across] * b[down]
            if m > k:
                features = features + b[across] * a[down]
            slots = np.flatnonzero(features.any(axis=1))
            found.append((k, m, np.ascontiguousarray(features[slots].T), slots))
    return tuple(found)

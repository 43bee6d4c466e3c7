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


@dataclass(frozen=True, slots=True)
class Products:
    """Columns of two terms' ``v v'`` that are not zero, for one product with (batch, n)."""

    features: Array
    """``(n, n_slots)``."""
    slots: NDArray[np.intp]
    """Where they go in the triangle of the Hessian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTerms(Target):
    """A sum of power terms; ``phi`` is (free parameters, fixed parameters, 1), and the 1 carries the observed loss.

    A free constant term enters linearly, as the parameter ``floor``, so that it can be zero.
    """

    design: Array
    """``v_k`` of each power term and row, ``(n_terms, n_phi, n)``, its last slice minus ln of the observed loss."""
    constant: Array
    """The smallest over the observed loss, which the floor multiplies, ``(n,)``."""
    products: tuple[tuple[Products, ...], ...]
    """From :func:`term_products`: of each term with itself, those after it, and the floor."""
    scale: Array | None
    """Observed loss ``(n,)`` where residuals are of the loss itself, None where they are of its logarithm."""

    def _shares(self, phi: Array) -> tuple[Array, Array]:
        """Power terms ``(n_terms, batch, n)`` and the prediction ``(batch, n)``, over the observed loss."""
        share = phi @ self.design
        np.exp(share, out=share)
        total = sum(share[1:], start=share[0])
        return share, total if self.floor is None else total + phi[:, self.floor, None] * self.constant

    def _resid(self, total: Array) -> Array:
        """Residuals from the predicted over the observed loss, ``(batch, n)`` each."""
        return np.asarray(np.log(total) if self.scale is None else self.scale * (total - 1))

    def residual(self, phi: Array) -> Array:
        """See ``Target``."""
        return self._resid(self._shares(phi)[1])

    def linear(self, phi: Array, step: Array) -> tuple[Array, Array]:
        """See ``Target``."""
        share, total = self._shares(phi)
        change = (share * (step @ self.design[:, : self.n_free])).sum(axis=0)
        if self.floor is not None:
            change += step[:, self.floor, None] * self.constant
        return self._resid(total), change / total if self.scale is None else self.scale * change

    def derivatives(self, phi: Array, rows: Rows, *, indefinite: bool = True) -> tuple[Array, Array, Array]:
        """See ``Target``."""
        n_free = self.n_free
        share, total = self._shares(phi)
        value, first, second = self._term_pulls(total, rows, indefinite=indefinite)
        gradient, triangle = np.zeros((len(phi), n_free)), np.zeros((len(phi), n_free * (n_free + 1) // 2))
        for k, (own, *others) in enumerate(self.products):
            pull, bend = first * share[k], second * share[k]
            gradient += pull @ self.design[k, :n_free].T
            for later, both in zip(share[k + 1 :], others, strict=False):
                triangle[:, both.slots] += (bend * later) @ both.features
            if self.floor is not None:
                triangle[:, others[-1].slots] += bend @ others[-1].features
            bend *= share[k]
            if indefinite:
                bend += pull
            triangle[:, own.slots] += bend @ own.features
        hessian = np.empty((len(phi), n_free, n_free))
        across, down = np.triu_indices(n_free)
        hessian[:, across, down] = triangle
        hessian[:, down, across] = triangle
        if self.floor is not None:
            gradient[:, self.floor] = first @ self.constant
            hessian[:, self.floor, self.floor] = second @ self.constant**2
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
        column = np.abs(self.design[:, : self.n_free]).max(axis=0)
        if self.floor is not None:
            column[self.floor] = self.constant
        slope = 1.0 if self.scale is None else self.scale
        return np.asarray(np.sqrt(weights @ (column * slope).T ** 2))


def term_products(design: Array, constant: Array, n_free: int, floor: int | None) -> tuple[tuple[Products, ...], ...]:
    """Products of the terms' ``v``, for :class:`PowerTerms`."""
    across, down = np.triu_indices(n_free)
    unit = np.zeros((n_free, design.shape[2]))
    if floor is not None:
        unit[floor] = constant

    def products(a: Array, b: Array, *, same: bool = False) -> Products:
        features = a[across] * b[down]
        if not same:
            features = features + b[across] * a[down]
        slots = np.flatnonzero(features.any(axis=1))
        return Products(np.ascontiguousarray(features[slots].T), slots)

    others = [] if floor is None else [unit]
    return tuple(
        (products(a, a, same=True), *(products(a, b) for b in (*design[k + 1 :], *others))) for k, a in enumerate(design)
    )

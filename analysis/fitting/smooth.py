"""A law of any form as the batched solver sees it: residuals and their exact Jacobian for many parameters at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from analysis.fitting.target import Array, Rows, Target

_STEP = float(np.cbrt(np.finfo(float).eps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Smooth(Target):
    """Predictions as a function of ``phi`` ``(batch, n_phi)``; ``observed`` and they have the unit of the residuals."""

    decrement: ClassVar[float] = 1e-14  # a step with the second derivatives of another point ends less near
    observed: Array
    """``(n,)``."""
    predict: Callable[[Array], Array]
    """``(batch, n_phi) -> (batch, n)``."""
    jacobian: Callable[[Array], Array]
    """Derivatives by the free parameters, ``(batch, n_phi) -> (batch, n, n_free)``."""
    bend: Array
    """Second derivatives of the predictions at one point, ``(n, n_free * n_free)``: see :func:`second_derivatives`."""

    def residual(self, phi: Array) -> Array:
        """See ``Target``."""
        return self.predict(phi) - self.observed

    def linear(self, phi: Array, step: Array) -> tuple[Array, Array]:
        """See ``Target``."""
        return self.residual(phi), np.einsum("bnf,bf->bn", self.jacobian(phi), step)

    def derivatives(self, phi: Array, rows: Rows, *, indefinite: bool = True) -> tuple[Array, Array, Array]:
        """See ``Target``; second derivatives of the law are those of one point, which touches the speed, not the optimum."""
        value, pull, stiffness = self.pulls(rows.residual(self.residual(phi)), rows.weights, indefinite=indefinite)
        J = self.jacobian(phi)
        gradient = (pull[:, None] @ J)[:, 0]
        hessian = J.transpose(0, 2, 1) @ (stiffness[:, :, None] * J)
        if indefinite:
            hessian += (pull @ self.bend).reshape(hessian.shape)
        return value, gradient, hessian

    def lengths(self, phi: Array, weights: Array) -> Array:
        """See ``Target``."""
        J = self.jacobian(phi)
        return np.asarray(np.sqrt(np.einsum("bn,bnf,bnf->bf", weights, J, J)))


def second_derivatives(jacobian: Callable[[Array], Array], phi: Array, n_free: int) -> Array:
    """Differences of an exact Jacobian at one point ``(n_phi,)``: ``(n, n_free * n_free)``."""
    size = _STEP * np.maximum(np.abs(phi[:n_free]), 1.0)
    steps = np.diag(size) @ np.eye(n_free, len(phi))
    ahead, behind = jacobian(phi + steps), jacobian(phi - steps)
    columns = (ahead - behind) / (2 * size[:, None, None])  # (n_free, n, n_free)
    both = 0.5 * (columns.transpose(1, 0, 2) + columns.transpose(1, 2, 0))
    return np.ascontiguousarray(both.reshape(len(both), -1))

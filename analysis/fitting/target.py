"""What the batched solver needs to know of a law on a table: residuals, derivatives and the loss of a residual."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDING = 16 * np.finfo(float).eps
NOTHING = 1e-18  # of the smallest loss: the logarithm of a floor that is zero
_FLAT = 1e-2  # weight of the rows beyond the threshold in the matrix that stands in for an indefinite Hessian


@dataclass(frozen=True, slots=True)
class Rows:
    """Where the problems of a batch differ on the rows of their common table."""

    weights: Array
    """Zero or more, ``(batch, n)``."""
    shift: Array | None = None
    """Added to the residuals, ``(batch, n)``: the common observations less each problem's own, in units of the residual."""

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, which: slice | NDArray[np.bool_]) -> "Rows":
        return Rows(self.weights[which], None if self.shift is None else self.shift[which])

    def residual(self, common: Array) -> Array:
        """Residuals of each problem ``(batch, n)`` from those of the common observations."""
        return common if self.shift is None else common + self.shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(ABC):
    """A law on a table, and an objective. Of a point ``phi`` ``(batch, n_phi)``, the first parameters are free."""

    decrement: ClassVar[float] = 1e-12
    """Share of the objective that one more step would gain: where it is less, a full step ends at rounding error."""
    delta: float
    """Where the objective turns linear; infinite for squares."""
    tilt: float
    """Weight of under-prediction; 0.5 for both sides alike."""
    lower: Array
    """Of the free parameters, ``(n_free,)``."""
    upper: Array
    floor: int | None
    """The free parameter that is a constant term itself, in units of the smallest loss: its optimum may be its bound 0."""
    log_unit: float
    """Ln of the smallest loss."""
    rounding: float
    """Size of a residual that is rounding error alone."""

    @property
    def n_free(self) -> int:
        """Free parameters."""
        return len(self.lower)

    @abstractmethod
    def residual(self, phi: Array) -> Array:
        """Predicted minus common observed, ``(batch, n)``."""

    @abstractmethod
    def linear(self, phi: Array, step: Array) -> tuple[Array, Array]:
        """Residuals, and their first-order change along a step ``(batch, n_free)``; ``(batch, n)`` each."""

    @abstractmethod
    def derivatives(self, phi: Array, rows: Rows, *, indefinite: bool = True) -> tuple[Array, Array, Array]:
        """Value ``(batch,)``, gradient ``(batch, n_free)`` and Hessian ``(batch, n_free, n_free)``.

        Where ``indefinite`` is False a matrix that is never indefinite stands in for the Hessian: that of Gauss and Newton on
        the rows in the quadratic part, and a little of iteratively reweighted least squares on the others.
        """

    @abstractmethod
    def lengths(self, phi: Array, weights: Array) -> Array:
        """Weighted lengths of the columns of the Jacobian, which make a gradient a cosine, ``(batch, n_free)``."""

    def from_logs(self, logs: Array) -> Array:
        """Points inside the bounds, from the same with the constant term as a logarithm; ``(batch, n_phi)`` each."""
        phi = logs.copy()
        if self.floor is not None:
            phi[:, self.floor] = np.exp(phi[:, self.floor] - self.log_unit)
        phi[:, : self.n_free] = np.clip(phi[:, : self.n_free], self.lower, self.upper)
        return phi

    def at_bound(self, phi: Array) -> NDArray[np.bool_]:
        """Which free parameters lie on a bound, ``(batch, n_free)``."""
        at = phi[:, : self.n_free]
        return np.asarray((at <= self.lower) | (at >= self.upper))

    def held(self, phi: Array, gradient: Array) -> NDArray[np.bool_]:
        """Which free parameters lie on a bound that the objective falls towards, ``(batch, n_free)``."""
        at = phi[:, : self.n_free]
        return np.asarray((at <= self.lower) & (gradient > 0) | (at >= self.upper) & (gradient < 0))

    def side(self, resid: Array) -> Array | float:
        """Weight of each residual's side, ``(batch, n)``."""
        return 1.0 if self.tilt == 0.5 else np.where(resid < 0, 2 * self.tilt, 2 * (1 - self.tilt))

    def pulls(self, resid: Array, weights: Array, *, indefinite: bool) -> tuple[Array, Array, Array]:
        """Value ``(batch,)``, and the first and second derivative of each row's weighted loss, ``(batch, n)``."""
        clipped = np.clip(resid, -self.delta, self.delta)
        if self.tilt != 0.5:
            weights = weights * self.side(resid)
        influence = weights * clipped
        value = np.einsum("bn,bn->b", influence, resid) - 0.5 * np.einsum("bn,bn->b", influence, clipped)
        quadratic = clipped == resid
        if not indefinite:
            return value, influence, weights * np.where(quadratic, 1.0, _FLAT * clipped / np.where(quadratic, 1.0, resid))
        return value, influence, weights * quadratic


def to_logs(phi: Array, floor: int | None, log_unit: float) -> Array:
    """Points ``(..., n_phi)`` with the constant term as a logarithm; that of zero is the logarithm of next to nothing."""
    if floor is None:
        return phi
    logs = phi.copy()
    logs[..., floor] = np.log(np.maximum(logs[..., floor], NOTHING)) + log_unit
    return logs


def certificate(target: Target, phi: Array, rows: Rows, gradient: Array) -> tuple[Array, Array]:
    """Largest component of the gradient, free of units and of the weights' scale, and to what it is known; ``(batch,)`` each.

    It is 0 at an optimum and at most 1: the cosine between the weighted influences and a column of the Jacobian. A parameter
    on a bound that the objective falls towards has none.
    """
    gradient = np.where(target.held(phi, gradient), 0.0, gradient)
    resid, weights = rows.residual(target.residual(phi)), rows.weights
    influence = target.side(resid) * np.clip(resid, -target.delta, target.delta)
    pull = np.sqrt(np.einsum("bn,bn,bn->b", weights, influence, influence))
    # residuals of noise-free data are rounding, and have no direction
    known = target.rounding * np.sqrt(weights.sum(axis=1)) / (pull + np.finfo(float).tiny)
    size = target.lengths(phi, weights) * pull[:, None] + np.finfo(float).tiny
    return np.max(np.abs(gradient) / size, axis=1, initial=0.0), known

"""A posynomial law on a table, as the batched solver sees it, and the grid of exponents that it starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from analysis.fitting.objectives import Objective
from analysis.fitting.powers import PowerTerms, term_products
from analysis.fitting.reduction import Bounds, Fixed, Reduction, Ties, limits, reduce
from analysis.fitting.target import ROUNDING, to_logs
from curselab.errors import InputError

Array = NDArray[np.float64]

_EXPONENTS = (0.1, 0.2, 0.35, 0.5, 0.8, 1.2)
_COARSE = (0.2, 0.5, 1.2)  # where more than three exponents are free
_LEAST_SHARE = 1e-3  # of the loss, for a term that the linear fit sets to zero


@dataclass(frozen=True, slots=True)
class Posed:
    """A law on data. Points ``phi`` are (free parameters, fixed parameters, 1)."""

    target: PowerTerms
    reduction: Reduction
    objective: Objective
    design: Array
    """``v_k`` of all terms, the constant one by its logarithm, ``(n_terms, n_phi + 1, n)``."""

    def start(self, theta: Array) -> Array:
        """Points ``(batch, n_phi + 1)`` of parameters ``(batch, n_params)``, inside the bounds and constraints."""
        phi = self.reduction.phi(theta)
        return self.target.from_logs(np.hstack([phi, np.ones((len(phi), 1))]))

    def theta(self, phi: Array) -> Array:
        """Parameters ``(batch, n_params)`` of points ``(batch, n_phi + 1)``."""
        return self.reduction.theta(to_logs(phi, self.target.floor, self.target.log_unit)[:, :-1])

    def value(self, phi: Array, weights: Array) -> Array:
        """Objective of each point, ``(batch,)``."""
        return np.asarray(np.einsum("bn,bn->b", weights, self.objective.rho(self.target.residual(phi))))


def pose(
    coefficients: Sequence[Sequence[float]],
    x: ArrayLike,
    y: ArrayLike,
    objective: Objective,
    *,
    fixed: Fixed | None = None,
    ties: Ties | None = None,
    bounds: Bounds | None = None,
) -> Posed:
    """Check a table, centre its logarithms and write the law in its free parameters.

    Parameters
    ----------
    coefficients : sequence
        Of the law, ``(n_terms, n_exponents)``.
    x, y : array_like
        Logarithms ``(n, n_exponents)`` and ln loss ``(n,)``.
    objective : Objective
        With its threshold resolved.
    fixed, ties, bounds
        As in :func:`analysis.fitting.posynomial.solve`.

    Raises
    ------
    InputError
        Numbers that are not finite or shapes that do not fit.
    """
    C, x, y = np.asarray(coefficients, dtype=float), np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != (len(y), C.shape[1]) or y.ndim != 1 or not len(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"data: x {x.shape} and y {y.shape} were given, finite (n, {C.shape[1]}) and (n,) are needed")
    reduction = reduce(C, x.mean(axis=0), fixed=fixed, ties=ties)
    n_terms, floor, unit = len(C), _floor(reduction, C), float(y.min())
    design = np.empty((n_terms, reduction.matrix.shape[1] + 1, len(y)))
    for k, row in enumerate(C):
        # only this term's own scale, and the logarithms that its exponents multiply
        design[k, :-1] = (reduction.matrix[k] + (row * x) @ reduction.matrix[n_terms:]).T
    design[:, -1] = -y
    powers = design if floor is None else design[reduction.matrix[:n_terms, floor] == 0]
    lower, upper = _limits(reduction, bounds, floor, unit)
    target = PowerTerms(
        design=powers,
        constant=np.exp(unit - y),
        products=term_products(powers, np.exp(unit - y), reduction.n_free, floor),
        scale=None if objective.on == "log" else np.exp(y),
        delta=objective.threshold,
        tilt=objective.tilt,
        lower=lower,
        upper=upper,
        floor=floor,
        log_unit=unit,
        rounding=ROUNDING * float(1 + np.abs(y).max() if objective.on == "log" else np.exp(y).max()),
    )
    return Posed(target, reduction, objective, design)


def _floor(reduction: Reduction, C: Array) -> int | None:
    """Which free scale is that of a constant term alone; none where the law would be nothing else."""
    for i in range(reduction.n_scales):
        terms = reduction.matrix[: len(C), i] != 0
        if terms.sum() == 1 < len(C) and not C[terms].any():
            return i
    return None


def _limits(reduction: Reduction, bounds: Bounds | None, floor: int | None, unit: float) -> tuple[Array, Array]:
    """Bounds of the free parameters as the solver has them, with the floor as it is instead of its logarithm."""
    lower, upper = limits(reduction, bounds)
    for i in range(reduction.n_scales):
        if i == floor:
            lower[i], upper[i] = np.exp(lower[i] - unit), np.exp(upper[i] - unit)
        elif np.isfinite([lower[i], upper[i]]).any():
            raise InputError(f"bounds of scale {reduction.groups[i][0]} were given (allowed: exponents, and a constant term)")
    return lower, upper


def grid_starts(posed: Posed, weights: Array, *, keep: int) -> Array:
    """Fit the factors of the terms for each point of a grid of exponents and return the best points, ``(keep, n_phi + 1)``.

    The factors are a non-negative least-squares fit of the relative error, whatever the objective; the objective ranks them.
    """
    target, reduction = posed.target, posed.reduction
    n_scales, n_exponents = reduction.n_scales, target.n_free - reduction.n_scales
    values = _EXPONENTS if n_exponents <= 3 else _COARSE
    axes = [
        np.unique(np.clip(values, low, high))
        for low, high in zip(target.lower[n_scales:], target.upper[n_scales:], strict=True)
    ]
    grid = np.array(list(product(*axes)))
    phi = np.ones((len(grid), posed.design.shape[1]))
    phi[:, :n_scales] = 0
    phi[:, n_scales : target.n_free] = grid
    # fixed values that differ between problems start from their middle
    phi[:, target.n_free : -1] = np.median(reduction.fixed, axis=0)
    belongs = posed.design[:, :n_scales, 0] == 1  # (n_terms, n_scales)
    root = np.sqrt(weights)
    for point in phi:
        share = np.exp(np.clip(point @ posed.design, None, 300.0)) * root
        known = share[~belongs.any(axis=1)].sum(axis=0)
        factor = nnls((belongs.T @ share).T, root - known)[0] if n_scales else np.zeros(0)
        size = (belongs.T @ share).sum(axis=1) / root.sum()
        point[:n_scales] = np.log(np.maximum(factor, _LEAST_SHARE / size))
    phi = target.from_logs(phi)
    value = posed.value(phi, np.broadcast_to(weights, (len(phi), len(weights))))
    return phi[np.argsort(value, kind="stable")[:keep]]

"""A posynomial law on a table, as the batched solver sees it, and the grid of exponents that it starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from analysis.fitting.objectives import Objective
from analysis.fitting.powers import PowerTerms, term_pairs
from analysis.fitting.reduction import Reduction, reduce
from analysis.fitting.target import NEARLY_NOTHING, NOTHING, ROUNDING
from curselab.errors import InputError

Array = NDArray[np.float64]
Fixed = Mapping[int, ArrayLike]
Ties = Sequence[tuple[int, int]]
Bounds = tuple[ArrayLike, ArrayLike]

_EXPONENTS = (0.1, 0.2, 0.35, 0.5, 0.8, 1.2)
_COARSE = (0.2, 0.5, 1.2)  # where more than three exponents are free
_LEAST_SHARE = 1e-3  # of the loss, for a term that the linear fit sets to zero


@dataclass(frozen=True, slots=True)
class Posed:
    """A law on data. Points ``phi`` are (free parameters, fixed parameters, 1)."""

    target: PowerTerms
    reduction: Reduction
    objective: Objective

    def start(self, theta: Array) -> Array:
        """Points ``(batch, n_phi + 1)`` of parameters ``(batch, n_params)``, inside the bounds and constraints."""
        phi = self.reduction.phi(theta)
        n_free = self.target.n_free
        phi[:, :n_free] = np.clip(phi[:, :n_free], self.target.lower, self.target.upper)
        return np.hstack([phi, np.ones((len(phi), 1))])

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
    n_terms = len(C)
    design = np.empty((n_terms, reduction.matrix.shape[1] + 1, len(y)))
    for k, row in enumerate(C):
        # only this term's own scale, and the logarithms that its exponents multiply
        design[k, :-1] = (reduction.matrix[k] + (row * x) @ reduction.matrix[n_terms:]).T
    design[:, -1] = -y
    lower, upper, vanishing = _bounds(reduction, C, y, bounds)
    return Posed(
        PowerTerms(
            design=design,
            pairs=term_pairs(design, reduction.n_free),
            scale=None if objective.on == "log" else np.exp(y),
            delta=objective.threshold,
            tilt=objective.tilt,
            lower=lower,
            upper=upper,
            vanishing=vanishing,
            rounding=ROUNDING * float(1 + np.abs(y).max() if objective.on == "log" else np.exp(y).max()),
        ),
        reduction,
        objective,
    )


def _bounds(reduction: Reduction, C: Array, y: Array, bounds: Bounds | None) -> tuple[Array, Array, Array]:
    """Lower and upper bounds of the free parameters, and below what a constant term may vanish."""
    lower, upper, vanishing = (np.full(reduction.n_free, end) for end in (-np.inf, np.inf, -np.inf))
    for i in range(reduction.n_scales):
        terms = np.flatnonzero(reduction.matrix[: len(C), i])
        if not C[terms].any():
            lower[i], vanishing[i] = y.min() + np.log(NOTHING), y.min() + np.log(NEARLY_NOTHING)
    if bounds is None:
        return lower, upper, vanishing
    low, high = (np.broadcast_to(np.asarray(bound, dtype=float), C.shape[1]) for bound in bounds)
    for i, group in enumerate(reduction.exponents, start=reduction.n_scales):
        lower[i], upper[i] = low[list(group)].max(), high[list(group)].min()
        if not lower[i] < upper[i]:
            raise InputError(f"bounds of the exponents: {lower[i]:g} to {upper[i]:g} was given, a range is needed")
    return lower, upper, vanishing


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
    phi = np.ones((len(grid), target.design.shape[1]))
    phi[:, :n_scales] = 0
    phi[:, n_scales : target.n_free] = grid
    # fixed values that differ between problems start from their middle
    phi[:, target.n_free : -1] = np.median(reduction.fixed, axis=0)
    belongs = target.design[:, :n_scales, 0] == 1  # (n_terms, n_scales)
    root = np.sqrt(weights)
    for point in phi:
        share = np.exp(np.clip(point @ target.design, None, 300.0)) * root
        known = share[~belongs.any(axis=1)].sum(axis=0)
        factor = nnls((belongs.T @ share).T, root - known)[0] if n_scales else np.zeros(0)
        size = (belongs.T @ share).sum(axis=1) / root.sum()
        point[:n_scales] = np.log(np.maximum(factor, _LEAST_SHARE / size))
    value = posed.value(phi, np.broadcast_to(weights, (len(phi), len(weights))))
    return phi[np.argsort(value, kind="stable")[:keep]]

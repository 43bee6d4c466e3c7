"""Sums of absolute residuals for a batch of problems: the optimum passes through as many rows as there are parameters.

Huber's loss with ever smaller thresholds finds these rows, least squares on them alone meets them exactly, and their
multipliers tell whether the point is an optimum (Koenker and Bassett 1978, Econometrica 46(1), theorem 3.3).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.newton import Ends, minimise
from analysis.fitting.target import Array, Rows, Target

# thresholds relative to the residuals, each one started from the solution of the last
_SMALLER = 10.0 ** -np.arange(7)
_NEAR = 100.0  # last thresholds, within which a row may be one that is passed through
_SAMPLE = 400  # problems whose residuals set the first threshold


def minimise_l1(target: Target, phi: Array, rows: Rows) -> Ends:
    """Minimise sums of absolute residuals; arguments and returns as in :func:`analysis.fitting.newton.minimise`.

    Where rows are enough to determine a point, ``gradient`` is by how much the largest multiplier exceeds one.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        resid = np.abs(rows[:_SAMPLE].residual(target.residual(phi[:_SAMPLE])))
    scale = max(float(np.median(resid[np.isfinite(resid)])), 1e6 * target.rounding)
    for shrink in _SMALLER:
        near = replace(target, delta=scale * shrink)
        ends = minimise(near, phi, rows)
        phi = ends.phi
    resid = np.where(rows.weights > 0, np.abs(rows.residual(target.residual(phi))), np.inf)
    value, gradient = _sum(target, phi, rows), ends.gradient.copy()
    bound = target.at_bound(phi)
    for pattern in np.unique(bound, axis=0):
        needed = target.n_free - int(pattern.sum())
        nearest = np.sort(resid, axis=1)[:, max(needed - 1, 0)]
        some = (bound == pattern).all(axis=1) & (nearest < _NEAR * near.delta)
        if not some.any():
            continue
        through = resid[some] <= np.maximum(nearest[some], near.delta)[:, None]
        at = phi[some][0, : target.n_free]
        only = replace(
            target, delta=np.inf, lower=np.where(pattern, at, target.lower), upper=np.where(pattern, at, target.upper)
        )
        exact = minimise(only, phi[some], replace(rows[some], weights=through.astype(float))).phi
        after = _sum(target, exact, rows[some])
        better = after <= value[some]
        phi[some] = np.where(better[:, None], exact, phi[some])
        value[some] = np.minimum(after, value[some])
        excess = _excess(target, phi[some], rows[some], through, pattern)
        gradient[some] = np.where(better, np.minimum(excess, gradient[some]), gradient[some])
    return Ends(phi, value, gradient, ends.known)


def _sum(target: Target, phi: Array, rows: Rows) -> Array:
    return np.asarray(np.einsum("bn,bn->b", rows.weights, np.abs(rows.residual(target.residual(phi)))))


def _excess(target: Target, phi: Array, rows: Rows, through: NDArray[np.bool_], bound: NDArray[np.bool_]) -> Array:
    """By how much the multipliers of the rows passed through leave [-1, 1] where they balance all other rows, ``(batch,)``."""
    sign = np.where(through, 0.0, np.sign(rows.residual(target.residual(phi))))
    units = np.eye(target.n_free)
    J = np.stack([target.linear(phi, np.broadcast_to(unit, (len(phi), len(unit))))[1] for unit in units], axis=1)
    J = J * rows.weights[:, None]
    J /= np.linalg.norm(J, axis=2, keepdims=True) + np.finfo(float).tiny
    pull, free = np.einsum("bfn,bn->bf", J, sign), ~bound
    found = np.empty(len(phi))
    for i, (slopes, others) in enumerate(zip(J, pull, strict=True)):
        multipliers = np.linalg.lstsq(slopes[free][:, through[i]], -others[free], rcond=None)[0]
        rest = others + slopes[:, through[i]] @ multipliers
        outward = np.where(phi[i, : target.n_free] <= target.lower, -rest, rest)[bound]
        off = np.abs(rest[free]).max(initial=0.0), outward.max(initial=0.0), np.abs(multipliers).max(initial=0.0) - 1
        found[i] = max(*off, 0.0)
    return found

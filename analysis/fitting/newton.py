"""Semismooth Newton for a batch of problems that share a design: exact once the set of small residuals is right.

Huber's second derivative jumps where a residual passes the threshold (Qi and Sun 1993, Mathematical Programming 58), and few
residuals may lie inside. Where the Hessian is then not positive definite, a direction comes from a matrix that is, and its
length from a line search on the linearised residuals, across their kinks (Madsen and Nielsen 1990, BIT 30, for linear models).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.target import Array, Rows, Target, certificate

_BATCH = 400  # problems at once, so that their buffers stay in the cache
_ITERATIONS = 300
_MOST_FAILURES = 15  # refused steps in a row
_LONGEST_STEP = 2.0  # in log units: a factor of 7
_DAMPING = 1e-12


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a batch ended, in the order of the starts."""

    phi: Array
    """``(batch, n_phi)``."""
    value: Array
    """``(batch,)``."""
    gradient: Array
    """See :func:`analysis.fitting.target.certificate`, ``(batch,)``."""
    known: Array
    """To what the gradient is known, ``(batch,)``."""


def minimise(target: Target, phi: Array, rows: Rows) -> Ends:
    """Minimise every problem of a batch from its own start.

    Parameters
    ----------
    target : Target
        What all problems share.
    phi : numpy.ndarray
        Starts, ``(batch, n_phi)``.
    rows : Rows
        Where they differ.
    """
    ends, found = np.empty(phi.shape), np.empty((3, len(phi)))
    # a trial step may leave what a double can hold; its value is then no smaller and it is refused
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for first in range(0, len(phi), _BATCH):
            some = slice(first, first + _BATCH)
            ends[some], found[0, some], gradient = _newton(target, phi[some], rows[some])
            found[1:, some] = certificate(target, ends[some], rows[some], gradient)
    return Ends(ends, *found)


def _newton(target: Target, start: Array, rows: Rows) -> tuple[Array, Array, Array]:
    """Take Newton steps on all problems until each is done; problems that are done leave the batch.

    Returns end points, their values and their gradients.
    """
    live, free = np.arange(len(start)), slice(0, target.n_free)
    ends, values, gradients = start.copy(), np.empty(len(start)), np.empty((len(start), target.n_free))
    phi, failed = start.copy(), np.zeros(len(start), dtype=int)
    value, gradient, hessian = target.derivatives(phi, rows)
    floor = 0.5 * target.rounding * min(target.rounding, target.delta) * rows.weights.sum(axis=1)
    for _ in range(_ITERATIONS):
        at, held = phi[:, free], target.held(phi, gradient)
        step, plain = _direction(target, phi, rows, gradient, hessian, held, failed)
        fall = -np.einsum("bf,bf->b", np.where(held, 0.0, gradient), step)
        last = plain & (np.abs(fall) <= target.decrement * value + floor)
        trial = phi.copy()
        trial[:, free] = np.clip(at + step, target.lower, target.upper)
        new_value, new_gradient, new_hessian = target.derivatives(trial, rows)
        better = new_value <= np.where(last, value * (1 + target.decrement) + floor, value)
        phi[better], value[better] = trial[better], new_value[better]
        gradient[better], hessian[better] = new_gradient[better], new_hessian[better]
        failed = np.where(better, 0, failed + 1)
        ends[live], values[live], gradients[live] = phi, value, gradient
        going = ~last & (failed < _MOST_FAILURES)
        if not going.any():
            break
        if not going.all():
            live, phi, value, gradient, hessian = live[going], phi[going], value[going], gradient[going], hessian[going]
            failed, rows, floor = failed[going], rows[going], floor[going]
    return ends, values, gradients


def _direction(
    target: Target,
    phi: Array,
    rows: Rows,
    gradient: Array,
    hessian: Array,
    held: NDArray[np.bool_],
    failed: NDArray[np.intp],
) -> tuple[Array, NDArray[np.bool_]]:
    """Steps ``(batch, n_free)``, and which of them are Newton's own.

    After one refusal the step's length is searched, after more it is also turned towards the gradient (Levenberg).
    """
    damping = np.where(failed < 2, _DAMPING, 10.0 ** (failed - 5.0))
    at = phi[:, : target.n_free]
    step, definite = _inside(target, at, hessian, gradient, damping, held)
    if not definite.all():
        lost = ~definite
        _, _, safe = target.derivatives(phi[lost], rows[lost], indefinite=False)
        step[lost], _ = _inside(target, at[lost], safe, gradient[lost], damping[lost], held[lost])
    step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(np.abs(step).max(axis=1, keepdims=True), _LONGEST_STEP))
    plain = definite & (failed == 0)
    if not plain.all():
        step[~plain] *= _length(target, phi[~plain], rows[~plain], step[~plain])[:, None]
    return step, plain


def _inside(
    target: Target, at: Array, hessian: Array, gradient: Array, damping: Array, held: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_]]:
    """Solve for steps within the bounds: where one leaves them, it ends there and the other parameters know."""
    step, definite = _solve(hessian, gradient, damping, held)
    beyond = ((at + step < target.lower) | (at + step > target.upper)) & ~held
    some = beyond.any(axis=1)
    if some.any():
        short = np.where(beyond, np.clip(at + step, target.lower, target.upper) - at, 0.0)[some]
        pulled = gradient[some] + np.einsum("bfg,bg->bf", hessian[some], short)
        rest, still = _solve(hessian[some], pulled, damping[some], (held | beyond)[some])
        step[some], definite[some] = rest + short, definite[some] & still
    return step, definite


def _length(target: Target, phi: Array, rows: Rows, step: Array) -> Array:
    """Minimise along each step with the residuals taken as linear in its length, by bisection; ``(batch,)``."""
    resid, change = target.linear(phi, step)
    resid = rows.residual(resid)
    pull = rows.weights * change
    low, high = np.zeros(len(phi)), _LONGEST_STEP / (np.abs(step).max(axis=1) + np.finfo(float).tiny)
    length: Array = np.minimum(1.0, high)
    for _ in range(8):
        moved = resid + length[:, None] * change
        influence = target.side(moved) * np.clip(moved, -target.delta, target.delta)
        falling = np.einsum("bn,bn->b", pull, influence) < 0
        low, high = np.where(falling, length, low), np.where(falling, high, length)
        # the right length may be orders of magnitude away
        length = np.where(low > 0, np.sqrt(low * high), high / 4)
    return length


def _solve(hessian: Array, gradient: Array, damping: Array, held: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """Solve for each problem's step by elimination, whose pivots tell which matrices are positive definite."""
    batch, n = gradient.shape
    if held.any():
        hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
        hessian[:, np.arange(n), np.arange(n)] += held
        gradient = np.where(held, 0.0, gradient)
    diagonal = np.einsum("bff->bf", hessian)
    definite = (diagonal > 0).all(axis=1)
    size = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    table = np.empty((n, n + 1, batch))  # the batch last, where it is contiguous
    table[:, :n] = (hessian / (size[:, :, None] * size[:, None, :])).transpose(1, 2, 0)
    table[:, n] = -(gradient / size).T
    table[np.arange(n), np.arange(n)] += damping
    for i in range(n):
        definite &= table[i, i] > 0
        row = table[i] / np.where(table[i, i] > 0, table[i, i], 1.0)
        table[:, i:] -= table[:, i, None] * row[i:]
        table[i] = row
    return table[:, n].T / size, definite

"""Free parameters of a posynomial law whose others are fixed or tied, with logarithms centred so that they come apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curselab.errors import InputError

Array = NDArray[np.float64]
Fixed = Mapping[int, ArrayLike]
Ties = Sequence[tuple[int, int]]
Bounds = Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Reduction:
    """``theta = matrix @ phi``, where ``phi`` is (free scales, free exponents, fixed parameters)."""

    matrix: Array
    """``(n_params, n_phi)``."""
    n_scales: int
    """Free scales; a scale that stands for several is one."""
    n_free: int
    fixed: Array
    """Values of the fixed parameters, ``(batch, n_fixed)``, with a batch of one where all problems share them."""
    groups: tuple[tuple[int, ...], ...]
    """Which parameters each free one stands for."""

    def phi(self, theta: Array) -> Array:
        """``phi`` ``(batch, n_phi)`` of ``theta`` ``(batch, n_params)``: the fixed at their values, the tied at their mean."""
        free, rest = self.matrix[:, : self.n_free], self.matrix[:, self.n_free :]
        fixed = np.broadcast_to(self.fixed, (len(theta), self.fixed.shape[1]))
        return np.hstack([(theta - fixed @ rest.T) @ np.linalg.pinv(free).T, fixed])

    def theta(self, phi: Array) -> Array:
        """Parameters ``(batch, n_params)`` of ``phi`` ``(batch, n_phi)``."""
        return np.asarray(phi @ self.matrix.T)


def reduce(
    coefficients: Array,
    centre: Array,
    *,
    fixed: Fixed | None = None,
    ties: Ties | None = None,
) -> Reduction:
    """Find the free parameters.

    Parameters
    ----------
    coefficients : numpy.ndarray
        Of the law, ``(n_terms, n_exponents)``; without terms, all parameters are alike.
    centre : numpy.ndarray
        Mean logarithms, ``(n_exponents,)``.
    fixed : mapping
        Parameter to value: a number, or one a problem ``(batch,)``.
    ties : sequence of pairs
        Parameters that are equal: two scales or two exponents.

    Raises
    ------
    InputError
        No such parameter, a tie of a scale with an exponent, or one parameter fixed to two values.
    """
    n_terms, n_exponents = coefficients.shape
    fixed, groups = dict(fixed or {}), _groups(n_terms, n_exponents, dict(fixed or {}), ties or ())
    free = [group for group in groups if not set(group) & set(fixed)]
    held = [group for group in groups if set(group) & set(fixed)]
    ordered = free + held
    matrix = np.zeros((n_terms + n_exponents, len(ordered)))
    for column, group in enumerate(ordered):
        matrix[list(group), column] = 1
    # the free scales are those at the centre of the logarithms: a fixed one stays where the law has it
    exponents = matrix[n_terms:]
    for group in free:
        if group[0] < n_terms:
            matrix[list(group)] -= coefficients[list(group)].mean(axis=0) * centre @ exponents
    values = [_value([fixed[i] for i in group if i in fixed], group) for group in held]
    batch = max((len(value) for value in values), default=1)
    return Reduction(
        matrix,
        n_scales=sum(group[0] < n_terms for group in free),
        n_free=len(free),
        fixed=np.stack([np.broadcast_to(v, batch) for v in values], axis=1) if values else np.zeros((1, 0)),
        groups=tuple(free),
    )


def limits(reduction: Reduction, bounds: Bounds | None) -> tuple[Array, Array]:
    """Lower and upper bounds of the free parameters, ``(n_free,)`` each; of tied ones what they share.

    Parameters
    ----------
    reduction : Reduction
        Which parameters are free.
    bounds : mapping
        Parameter to lower and upper bound.

    Raises
    ------
    InputError
        No such parameter, or nothing between the bounds.
    """
    bounds, n_params = bounds or {}, len(reduction.matrix)
    if not set(bounds) <= set(range(n_params)):
        raise InputError(f"bounds of parameter {max(bounds)!r} were given (allowed: 0 to {n_params - 1})")
    lower, upper = np.full(reduction.n_free, -np.inf), np.full(reduction.n_free, np.inf)
    for i, group in enumerate(reduction.groups):
        for low, high in (bounds[j] for j in group if j in bounds):
            lower[i], upper[i] = max(lower[i], low), min(upper[i], high)
        if not lower[i] < upper[i]:
            raise InputError(f"bounds of parameter {group[0]}: {lower[i]:g} to {upper[i]:g} was given, a range is needed")
    return lower, upper


def _groups(n_terms: int, n_exponents: int, fixed: Fixed, ties: Ties) -> list[tuple[int, ...]]:
    """Sets of equal parameters, scales first."""
    label = list(range(n_terms + n_exponents))
    for i in [*fixed, *(i for tie in ties for i in tie)]:
        if i not in range(len(label)):
            raise InputError(f"parameter {i!r} was fixed or tied (allowed: 0 to {len(label) - 1})")
    for i, j in ties:
        if (i < n_terms) != (j < n_terms):
            raise InputError(f"parameters {i} and {j} were tied, two scales (below {n_terms}) or two exponents are needed")
        label = [label[i] if one == label[j] else one for one in label]
    return [tuple(i for i, one in enumerate(label) if one == name) for name in dict.fromkeys(label)]


def _value(values: list[ArrayLike], group: tuple[int, ...]) -> Array:
    first, *others = (np.atleast_1d(np.asarray(value, dtype=float)) for value in values)
    if any(not np.array_equal(first, other) for other in others) or not np.isfinite(first).all() or first.ndim != 1:
        raise InputError(f"parameters {group}: fixed to {values}, one finite value is needed")
    return first

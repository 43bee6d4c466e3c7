r"""Laws that are sums of power terms, fitted thousands at a time without starting values.

.. math:: \ln m = \ln \sum_k \exp\Big(s_k + \sum_j C_{kj} \gamma_j x_j\Big)

with scales :math:`s_k`, exponents :math:`\gamma_j` and logarithms :math:`x_j`. L = E + A/N^alpha + B/D^beta has three terms
with the scales ln A, ln B and ln E, the exponents alpha and beta, and :math:`C = ((-1, 0), (0, -1), (0, 0))`.

Starts come from a grid of exponents, where the factors of the terms are a linear non-negative fit (variable projection, Golub
and Pereyra 1973); the objective itself is then solved by :mod:`analysis.fitting.newton`. A bootstrap is a set of weights.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.least_absolute import minimise_l1
from analysis.fitting.newton import minimise
from analysis.fitting.objectives import Objective
from analysis.fitting.objectives import objective as as_objective
from analysis.fitting.posed import Posed, grid_starts, pose
from analysis.fitting.reduction import Bounds, Fixed, Ties
from analysis.fitting.target import Rows
from curselab.errors import InputError

Array = NDArray[np.float64]
_SEEDS = 8
_GRADIENT = 1e-8


@dataclass(frozen=True, slots=True)
class Posynomial:
    """``log m = LSE_k(scale_k + sum_j C[k, j] exponent_j x_j)``; parameters are (scales, exponents)."""

    coefficients: tuple[tuple[float, ...], ...]
    """C, ``(n_terms, n_exponents)``."""

    @property
    def n_terms(self) -> int:
        """Terms, and so scales."""
        return len(self.coefficients)

    @property
    def n_params(self) -> int:
        """Scales and exponents."""
        return self.n_terms + len(self.coefficients[0])

    def terms(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Logarithms of the terms, ``(..., n, n_terms)``, of parameters ``(..., n_params)`` at ``x`` ``(n, n_exponents)``."""
        theta, x = np.asarray(theta, dtype=float), np.asarray(x, dtype=float)
        power = theta[..., None, self.n_terms :] * x
        return np.asarray(theta[..., None, : self.n_terms] + power @ np.asarray(self.coefficients).T)

    def log_value(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Ln m, ``(..., n)``, of parameters ``(..., n_params)`` at ``x`` ``(n, n_exponents)``."""
        return np.asarray(np.logaddexp.reduce(self.terms(theta, x), axis=-1))


@dataclass(frozen=True, slots=True)
class Solutions:
    """End points of a batch of fits, with the evidence that each is an optimum."""

    theta: Array
    """``(batch, n_params)``."""
    value: Array
    """Sum over rows of weight times loss of the residual, ``(batch,)``."""
    gradient: Array
    """Largest component of the gradient as a cosine, ``(batch,)``: 0 at an optimum, free of all units."""
    converged: NDArray[np.bool_]
    """The gradient is zero to eight digits, or to the rounding of the residuals, ``(batch,)``."""
    at_bound: NDArray[np.bool_]
    """A parameter lies on its bound, such as a constant term that is zero, and the others are at their optimum given that;
    ``(batch,)``."""

    def __getitem__(self, which: Any) -> "Solutions":
        return Solutions(
            self.theta[which], self.value[which], self.gradient[which], self.converged[which], self.at_bound[which]
        )


def seeds(
    form: Posynomial,
    x: ArrayLike,
    y: ArrayLike,
    objective: str | Objective,
    *,
    keep: int = 8,
    weights: ArrayLike | None = None,
    fixed: Fixed | None = None,
    ties: Ties | None = None,
    bounds: Bounds | None = None,
) -> Array:
    """Best starts over a grid of exponents, with the factors of the terms fitted to each.

    Parameters
    ----------
    form, x, y, objective, fixed, ties, bounds
        As in :func:`solve`.
    keep : int
        Starts to return.
    weights : array_like, optional
        Of the rows, ``(n,)``.

    Returns
    -------
    numpy.ndarray
        Parameters, best first, ``(keep, n_params)``, or fewer where the grid is smaller.
    """
    what = resolve(objective, form, x, y, fixed=fixed, ties=ties, bounds=bounds)
    posed = pose(form.coefficients, x, y, what, fixed=fixed, ties=ties, bounds=bounds)
    n = posed.target.design.shape[2]
    row = np.ones(n) if weights is None else _weights(weights, n)[0]
    return posed.theta(grid_starts(posed, row, keep=keep))


def resolve(
    objective: str | Objective,
    form: Posynomial,
    x: ArrayLike,
    y: ArrayLike,
    *,
    fixed: Fixed | None = None,
    ties: Ties | None = None,
    bounds: Bounds | None = None,
) -> Objective:
    """Give an objective whose ``delta`` is ``auto`` the number that the residuals of a median fit of the data imply."""
    what = as_objective(objective)
    if what.delta != "auto":
        return what
    median = Objective("l1", on=what.on)
    found = solve(form, x, y, objective=median, fixed=fixed, ties=ties, bounds=bounds)
    posed = pose(form.coefficients, x, y, median, fixed=fixed, ties=ties, bounds=bounds)
    return what.with_residuals(posed.target.residual(posed.start(found.theta))[0])


def solve(
    form: Posynomial,
    x: ArrayLike,
    y: ArrayLike,
    *,
    objective: str | Objective,
    weights: ArrayLike | None = None,
    starts: ArrayLike | None = None,
    fixed: Fixed | None = None,
    ties: Ties | None = None,
    bounds: Bounds | None = None,
) -> Solutions:
    """Fit a law to one table under many weightings, or from many starts.

    Parameters
    ----------
    form : Posynomial
        The law.
    x : array_like
        Logarithm that each exponent multiplies, ``(n, n_exponents)``.
    y : array_like
        ln loss, ``(n,)``, or one row a problem ``(batch, n)``.
    objective : str or Objective
        What to minimise. A ``delta`` of ``auto`` is found once, on the unweighted data.
    weights : array_like, optional
        Of the rows, zero or more, ``(batch, n)``; one problem of unit weights when left out.
    starts : array_like, optional
        Parameters ``(n_params,)``, or one start a problem ``(batch, n_params)``. Without any, the best of all seeds on the
        unweighted data is the start of every problem.
    fixed : mapping, optional
        Parameters (by position) that keep a value: a number, or one a problem ``(batch,)``, as a profile needs.
    ties : sequence of pairs, optional
        Parameters that are equal: two scales or two exponents.
    bounds : mapping, optional
        Lower and upper bound of exponents (by position), or of the logarithm of a constant term.

    Returns
    -------
    Solutions
        In the order of the weights, of the starts, or of the rows of ``y``.

    Raises
    ------
    InputError
        Numbers that are not finite, shapes that do not fit, or a parameter that does not exist.
    """
    y = np.asarray(y, dtype=float)
    middle = y if y.ndim != 2 else y.mean(axis=0)
    what = resolve(objective, form, x, middle, fixed=fixed, ties=ties, bounds=bounds)
    posed = pose(form.coefficients, x, middle, what, fixed=fixed, ties=ties, bounds=bounds)
    start = None if starts is None else np.atleast_2d(np.asarray(starts, dtype=float))
    if start is not None and (start.shape[1] != form.n_params or not np.isfinite(start).all()):
        raise InputError(f"starts: shape {start.shape} was given, {form.n_params} finite parameters a start are needed")
    w = np.ones((1, len(middle))) if weights is None else _weights(weights, len(middle))
    if start is None:
        grid = grid_starts(posed, np.ones(len(middle)), keep=_SEEDS)
        ends = _polish(posed, grid, Rows(np.ones((len(grid), len(middle)))))
        best = int(np.nanargmin(ends.value))
        if weights is None and y.ndim == 1 and len(posed.reduction.fixed) == 1:
            return ends[[best]]
        start = ends.theta[[best]]
    numbers = {len(start), len(w), len(posed.reduction.fixed), len(np.atleast_2d(y))}
    batch = max(numbers)
    if numbers - {1, batch}:
        raise InputError(f"weights, starts, responses and fixed values: {sorted(numbers)} were given, 1 or {batch} is needed")
    rows = Rows(np.broadcast_to(w, (batch, len(middle))), shifts(y, middle, what))
    return _polish(posed, posed.start(np.broadcast_to(start, (batch, form.n_params))), rows)


def shifts(y: Array, middle: Array, objective: Objective) -> Array | None:
    """What residuals of other observations ``(batch, n)`` have beyond those of ``middle`` ``(n,)``; nothing where none are."""
    if y.ndim != 2:
        return None
    if not np.isfinite(y).all():
        raise InputError("y: one finite ln loss a run and problem is needed")
    return middle - y if objective.on == "log" else np.exp(middle) - np.exp(y)


def _polish(posed: Posed, phi: Array, rows: Rows) -> Solutions:
    target = posed.target
    ends = (minimise_l1 if posed.objective.kind == "l1" else minimise)(target, phi, rows)
    return Solutions(
        theta=posed.theta(ends.phi),
        value=ends.value,
        gradient=ends.gradient,
        converged=ends.gradient <= np.maximum(_GRADIENT, ends.known),
        at_bound=np.asarray(target.at_bound(ends.phi).any(axis=1)),
    )


def _weights(weights: ArrayLike, n: int) -> Array:
    values = np.atleast_2d(np.asarray(weights, dtype=float))
    if values.ndim != 2 or values.shape[1] != n or not (np.isfinite(values) & (values >= 0)).all():
        raise InputError(f"weights: shape {values.shape} was given, finite weights (batch, {n}) from 0 are needed")
    return values

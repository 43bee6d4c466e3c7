"""What a law is: a formula with named parameters, what is known about it, and how it is solved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.objectives import Objective
from analysis.fitting.posynomial import Posynomial, Solutions, seeds, solve
from analysis.fitting.reduction import Bounds, Fixed, Ties
from curselab.errors import InputError

if TYPE_CHECKING:
    from analysis.laws.scaling_fit import ScalingFit

Vector = NDArray[np.float64]


_LOG_RANGE = -700.0, 700.0


class Model(Protocol):
    """A law as the optimiser sees it, over ``theta``: parameters, or logarithms of those that are positive."""

    def log_loss(self, theta: Vector, inputs: Vector) -> Vector:
        """Return ln L of ``theta`` ``(..., n_params)`` at ``inputs`` ``(n_inputs, n)``: ``(..., n)``."""
        ...

    def solve(
        self,
        inputs: Vector,
        log_loss: Vector,
        *,
        objective: Objective,
        weights: Vector | None = None,
        starts: Vector | None = None,
        fixed: Fixed | None = None,
        ties: Ties | None = None,
        bounds: Bounds | None = None,
    ) -> Solutions:
        """Minimise the objective for each row of ``weights``, or of ``log_loss`` where that has two dimensions.

        Without ``starts``, one problem a start of the law's own. Constraints are those of
        :func:`analysis.fitting.posynomial.solve`, by position in ``theta``.
        """
        ...


@dataclass(frozen=True, slots=True)
class PosynomialModel:
    """A sum of power terms, for the batched solver."""

    form: Posynomial
    reads: tuple[int, ...]
    """Which input each exponent belongs to."""

    def log_loss(self, theta: Vector, inputs: Vector) -> Vector:
        """See ``Model``."""
        C = np.asarray(self.form.coefficients, dtype=float)
        x = np.log(inputs)[list(self.reads)]
        total = None
        for k, row in enumerate(C):
            powers = (theta[..., len(C) :] * row) @ x
            term = theta[..., k, None] + powers
            total = term if total is None else np.logaddexp(total, term)
        return np.asarray(total)

    def solve(
        self,
        inputs: Vector,
        log_loss: Vector,
        *,
        objective: Objective,
        weights: Vector | None = None,
        starts: Vector | None = None,
        fixed: Fixed | None = None,
        ties: Ties | None = None,
        bounds: Bounds | None = None,
    ) -> Solutions:
        """See ``Model``."""
        x = np.log(inputs)[list(self.reads)].T
        constraints: dict[str, Any] = {"fixed": fixed, "ties": ties, "bounds": bounds}
        if starts is None:
            row = None if weights is None else weights[0]
            starts = seeds(self.form, x, log_loss, objective, weights=row, **constraints)
            weights = np.ones((len(starts), len(log_loss))) if row is None else np.tile(row, (len(starts), 1))
        return solve(self.form, x, log_loss, objective=objective, weights=weights, starts=starts, **constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A parametric law of the loss.

    Parameters run in one order everywhere: ``symbols``, ``units``, ``positive`` and the columns of every array of parameters.
    """

    name: str
    formula: str
    symbols: tuple[str, ...]
    units: tuple[str, ...]
    positive: tuple[bool, ...]
    """Parameters that are solved for as logarithms."""
    inputs: tuple[str, ...]
    """What the loss depends on: ``params`` (parameters), ``tokens``, ``compute`` (FLOP) or a name of the user's."""
    source: str
    valid: str
    """Range of validity and known failures, in one line."""
    model: Model = field(repr=False, compare=False)
    powers: tuple[tuple[str, str, str], ...] = ()
    """Power terms: size, exponent, and the input that they fall with."""
    floor: str = ""
    """Symbol of the irreducible loss, where the law has one."""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict, repr=False, compare=False)
    """Constants of papers by label, with the source in the label."""

    def natural(self, theta: Vector) -> Vector:
        """Parameters of ``theta`` ``(..., n_params)``; a size that no double holds is the nearest that one does."""
        return np.where(self.positive, np.exp(np.clip(np.where(self.positive, theta, 0.0), *_LOG_RANGE)), theta)

    def solver(self, natural: ArrayLike) -> Vector:
        """``theta`` of parameters ``(..., n_params)``."""
        values = np.asarray(natural, dtype=float)
        return np.where(self.positive, np.log(np.where(self.positive, values, 1.0)), values)

    def index(self, symbol: str) -> int:
        """Position of a parameter.

        Raises
        ------
        InputError
            The law has no such parameter.
        """
        if symbol not in self.symbols:
            raise InputError(f"parameter {symbol!r} was given (allowed in law {self.name}: {', '.join(self.symbols)})")
        return self.symbols.index(symbol)

    def vector(self, constants: Mapping[str, float] | ArrayLike) -> Vector:
        """Parameters by name, or in order, as an array."""
        if isinstance(constants, Mapping):
            constants = [constants[symbol] for symbol in self.symbols]
        return np.asarray(constants, dtype=float)

    def predict(self, constants: Mapping[str, float] | ArrayLike, *inputs: ArrayLike) -> Vector:
        """Evaluate the law.

        Parameters
        ----------
        constants : mapping or array_like
            Parameters, by name or in order ``(..., n_params)``.
        *inputs : array_like
            One array ``(n,)`` or number for each of ``self.inputs``.

        Returns
        -------
        numpy.ndarray
            Loss, ``(..., n)``.
        """
        values = np.stack(np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in inputs)))
        flat = values.reshape(len(inputs), -1)
        with np.errstate(divide="ignore"):
            theta = self.solver(self.vector(constants))
        loss = np.exp(self.model.log_loss(theta, flat))
        return loss.reshape(theta.shape[:-1] + values.shape[1:])

    def fit(self, data: Any = None, **options: Any) -> "ScalingFit":
        """Fit the law to a table; the options are those of ``analysis.fit_scaling_law``."""
        from analysis.laws.scaling import fit_scaling_law

        return fit_scaling_law(data, law=self, **options)


def posynomial_law(
    name: str, *, terms: Sequence[tuple[str, str, str]], floor: str = "", inputs: tuple[str, ...], **about: Any
) -> Law:
    """Build a law ``L = floor + sum of size / input^exponent``.

    Parameters
    ----------
    name : str
        Of the law.
    terms : sequence of tuple
        Size, exponent and input of each power term, such as ``("A", "alpha", "params")``.
    floor : str
        Symbol of the irreducible loss; empty for a law without one.
    inputs : tuple of str
        What the loss depends on.
    **about
        Further fields of ``Law``.
    """
    offset = 1 if floor else 0
    C = [[0.0] * len(terms) for _ in range(offset + len(terms))]
    for k in range(len(terms)):
        C[offset + k][k] = -1.0
    symbols = ((floor,) if floor else ()) + tuple(t[0] for t in terms) + tuple(t[1] for t in terms)
    n_scales = offset + len(terms)
    return Law(
        name=name,
        symbols=symbols,
        units=("nats/token",) * n_scales + ("1",) * len(terms),
        positive=(True,) * n_scales + (False,) * len(terms),
        inputs=inputs,
        floor=floor,
        powers=tuple(terms),
        model=PosynomialModel(Posynomial(tuple(map(tuple, C))), tuple(inputs.index(t[2]) for t in terms)),
        **about,
    )

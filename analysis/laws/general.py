"""Laws that are no sums of powers: an outer exponent, or a function of the user's own."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from analysis.fitting.least_absolute import minimise_l1
from analysis.fitting.newton import minimise
from analysis.fitting.objectives import Objective
from analysis.fitting.posynomial import Solutions, shifts
from analysis.fitting.reduction import Bounds, Fixed, Reduction, Ties, limits, reduce
from analysis.fitting.smooth import Smooth, second_derivatives
from analysis.fitting.target import NOTHING, ROUNDING, Rows, to_logs
from analysis.laws.parametric import Law
from curselab.errors import InputError

Vector = NDArray[np.float64]
Function = Callable[[Vector, Vector], Vector]
Starts = Callable[[Vector, Vector], Vector]
Numbers = NDArray[Any]
"""Real, or complex where derivatives are taken by a complex step."""

_TOLERANCE = 1e-14
_GRADIENT = 1e-5


@dataclass(frozen=True, slots=True)
class GeneralModel:
    """ln L and its derivatives as functions of ``theta`` and ``inputs``, both for many ``theta`` at once."""

    function: Function
    """``(..., n_params), (n_inputs, n) -> (..., n)``."""
    jacobian: Function
    """``(..., n_params), (n_inputs, n) -> (..., n, n_params)``."""
    starts: Starts
    """``inputs, ln L -> (n_starts, n_params)``."""
    floor: int | None = None
    """Position of the logarithm of a constant term, which may be zero."""

    def log_loss(self, theta: Vector, inputs: Vector) -> Vector:
        """See ``Model``."""
        return self.function(theta, inputs)

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
        """See ``Model``: a trust region from the law's own starts, then and from given ones the batched solver."""
        middle = log_loss if log_loss.ndim == 1 else log_loss.mean(axis=0)
        begin = np.atleast_2d(self.starts(inputs, middle) if starts is None else starts)
        w = np.ones((1, len(middle))) if weights is None else np.atleast_2d(weights)
        reduction = reduce(np.zeros((0, begin.shape[1])), np.zeros(begin.shape[1]), fixed=fixed, ties=ties)
        size = max(len(begin), len(w), len(np.atleast_2d(log_loss)), len(reduction.fixed))
        logs = reduction.phi(np.broadcast_to(begin, (size, begin.shape[1])))
        rows = Rows(np.broadcast_to(w, (size, len(middle))), shifts(log_loss, middle, objective))
        target = self._target(inputs, middle, objective, reduction, bounds, logs[0])
        phi = target.from_logs(logs)
        if starts is None and target.n_free:
            smooth = replace(target, tilt=0.5, delta=np.inf if objective.kind == "l1" else target.delta)
            phi = np.stack([trust_region(smooth, start, row) for start, row in zip(phi, rows.weights, strict=True)])
        ends = (minimise_l1 if objective.kind == "l1" else minimise)(target, phi, rows)
        return Solutions(
            theta=reduction.theta(to_logs(ends.phi, target.floor, target.log_unit)),
            value=ends.value,
            gradient=ends.gradient,
            converged=ends.gradient <= np.maximum(_GRADIENT, ends.known),
            at_bound=np.asarray(target.at_bound(ends.phi).any(axis=1)),
        )

    def _target(
        self, inputs: Vector, log_loss: Vector, objective: Objective, reduction: Reduction, bounds: Bounds | None, at: Vector
    ) -> Smooth:
        """The law on a table, in its free parameters; second derivatives are those at one point ``(n_phi,)``."""
        raw, unit, n_free = objective.on == "raw", float(log_loss.min()), reduction.n_free
        floor = reduction.groups.index((self.floor,)) if (self.floor,) in reduction.groups else None

        def predict(phi: Vector) -> Vector:
            m = self.function(reduction.theta(to_logs(phi, floor, unit)), inputs)
            return np.exp(m) if raw else m

        def jacobian(phi: Vector) -> Vector:
            slopes = self.jacobian(reduction.theta(to_logs(phi, floor, unit)), inputs) @ reduction.matrix[:, :n_free]
            if floor is not None:
                slopes[..., floor] /= np.maximum(phi[..., floor, None], NOTHING)
            return slopes * predict(phi)[..., None] if raw else slopes

        observed = np.exp(log_loss) if raw else log_loss
        lower, upper = limits(reduction, bounds)
        if floor is not None:
            lower[floor], upper[floor] = np.exp(lower[floor] - unit), np.exp(upper[floor] - unit)
        smooth = Smooth(
            delta=objective.threshold,
            tilt=objective.tilt,
            lower=lower,
            upper=upper,
            floor=floor,
            log_unit=unit,
            rounding=ROUNDING * float(np.abs(observed).max() + (not raw)),
            observed=observed,
            predict=predict,
            jacobian=jacobian,
            bend=np.zeros((len(observed), n_free * n_free)),
        )
        with np.errstate(all="ignore"):
            bend = second_derivatives(jacobian, smooth.from_logs(at[None])[0], n_free)
        return replace(smooth, bend=np.where(np.isfinite(bend), bend, 0.0))


def trust_region(target: Smooth, start: Vector, weights: Vector) -> Vector:
    """Minimise one problem from one start ``(n_phi,)``; a row's weight stands outside Huber's function."""
    n_free, used = target.n_free, weights > 0

    def whole(free: Vector) -> Vector:
        return np.append(free, start[n_free:])[None]

    def residual(free: Vector) -> Vector:
        return np.asarray(target.residual(whole(free))[0, used])

    def jacobian(free: Vector) -> Vector:
        return np.asarray(target.jacobian(whole(free))[0, used])

    with np.errstate(all="ignore"):
        first = target.residual(start[None])[0, used]
        if not np.isfinite(first).all():
            return start
        # the optimiser's tolerances are in part absolute, so residuals come in their own scale
        robust = bool(np.isfinite(target.delta))
        scale = target.delta if robust else float(np.sqrt(np.mean(first**2))) or 1.0
        end = least_squares(
            residual,
            start[:n_free],
            jacobian,
            bounds=(target.lower, target.upper),
            f_scale=scale,
            loss=lambda z: _weighted(z, weights[used], robust=robust),  # type: ignore[arg-type]  # its stub wants a function of any z
            x_scale="jac",
            ftol=_TOLERANCE,
            xtol=_TOLERANCE,
            gtol=_TOLERANCE,
            max_nfev=500,
        ).x
    return np.append(end, start[n_free:])


def _weighted(z: Vector, w: Vector, *, robust: bool) -> Vector:
    """Weighted loss and its first two derivatives in ``z``, the squared residual over the squared scale."""
    if not robust:
        return np.stack([w * z, w, 0 * w])
    inner, root = z <= 1, np.sqrt(np.maximum(z, 1.0))
    return np.stack([w * np.where(inner, z, 2 * root - 1), w / root, np.where(inner, 0.0, -0.5 * w / root**3)])


def custom_law(
    function: Callable[..., Vector],
    names: Sequence[str],
    jacobian: Callable[..., Vector] | None = None,
    *,
    start: Mapping[str, float] | Sequence[Mapping[str, float]],
    inputs: Sequence[str] = ("params", "tokens"),
    units: Mapping[str, str] | None = None,
    positive: Sequence[str] = (),
    name: str = "custom",
) -> Law:
    """Make a law of a function.

    Parameters
    ----------
    function : callable
        ``function(*inputs, *parameters)`` returns the loss ``(n,)``; inputs are arrays ``(n,)``, parameters numbers.
    names : sequence of str
        Parameters in the order of the function's arguments.
    jacobian : callable, optional
        The same arguments; derivatives of the loss by the parameters, ``(n, n_params)``. Left out, they are taken by a complex
        step where the function takes complex numbers, else by central differences.
    start : mapping, or sequence of mappings
        Where to start; several starts find several optima.
    inputs : sequence of str
        What the loss depends on.
    units : mapping, optional
        Of the parameters.
    positive : sequence of str
        Parameters to be solved for as logarithms, which keeps them above zero.
    name : str
        Of the law.
    """
    names, inputs = tuple(names), tuple(inputs)
    given = [start] if isinstance(start, Mapping) else list(start)
    for point in given:
        if set(point) != set(names):
            raise InputError(
                f"start: {', '.join(point) or 'nothing'} was given, a value for each of {', '.join(names)} is needed"
            )
    logs = np.array([symbol in positive for symbol in names])
    begin = np.array([[point[symbol] for symbol in names] for point in given], dtype=float)
    if (begin[:, logs] <= 0).any():
        raise InputError(f"start: a value of zero or less was given for one of {', '.join(positive)}, which are positive")

    def natural(theta: Numbers) -> list[Numbers]:
        return [np.exp(value) if log else value for value, log in zip(np.moveaxis(theta, -1, 0), logs, strict=True)]

    def log_loss(theta: Numbers, x: Vector) -> Numbers:
        return np.log(broadcast(lambda *values: function(*x, *values) + 0 * x[0], natural(theta)))

    def derivative(theta: Vector, x: Vector) -> Vector:
        if jacobian is None:
            return differentiate(lambda point: log_loss(point, x), theta)
        values = natural(theta)
        chain = np.where(logs, np.stack(values, axis=-1), 1.0)
        slopes = np.stack([jacobian(*x, *row) for row in np.stack(values, axis=-1).reshape(-1, len(names))])
        return slopes.reshape(*theta.shape[:-1], -1, len(names)) * chain[..., None, :] / np.exp(log_loss(theta, x))[..., None]

    begin[:, logs] = np.log(begin[:, logs])
    return Law(
        name=name,
        formula=f"L = {name}({', '.join((*inputs, *names))})",
        symbols=names,
        units=tuple((units or {}).get(symbol, "1") for symbol in names),
        positive=tuple(logs.tolist()),
        inputs=inputs,
        source="the user's function",
        valid="unknown",
        model=GeneralModel(log_loss, derivative, lambda x, y: begin),
    )


def broadcast(function: Callable[..., Numbers], values: Sequence[Numbers]) -> Numbers:
    """Evaluate a function of numbers for arrays of them: at once where it can, else one after the other.

    Parameters
    ----------
    function : callable
        Takes as many numbers as there are ``values`` and returns ``(n,)``.
    values : sequence of array
        Of one shape.

    Returns
    -------
    array
        That shape and ``(n,)``.
    """
    table = np.stack(values, axis=-1)
    flat = table.reshape(-1, len(values))
    ends = [np.asarray(function(*flat[i])) for i in {0, len(flat) - 1}]
    shape = (len(flat), *ends[0].shape)
    if len(flat) > 1:
        # a function of arrays may fail in any way on what it was not written for, or mean something else
        with contextlib.suppress(Exception):
            together = np.asarray(function(*flat.T[:, :, None]))
            if together.shape == shape and all(
                np.allclose(together[i], end, rtol=1e-12, atol=0, equal_nan=True) for i, end in zip((0, -1), ends, strict=True)
            ):
                return together.reshape(*table.shape[:-1], -1)
        ends = [np.asarray(function(*row)) for row in flat]
    return np.stack(ends).reshape(*table.shape[:-1], -1)


def differentiate(function: Callable[[Numbers], Numbers], theta: Vector) -> Vector:
    """Differentiate ``(..., n_params) -> (..., n)``: complex step where it works (exact), else central differences.

    Returns ``(..., n, n_params)``.

    Notes
    -----
    A function that drops the imaginary part without a word (``abs``, ``float``) is found by comparing the two at the first
    point.

    References
    ----------
    Squire and Trapp (1998), SIAM Review 40(1): complex step. Step of the differences: Nocedal and Wright (2006), section 8.1.
    """
    units = np.eye(theta.shape[-1])

    def central(point: Vector) -> Vector:
        size = np.finfo(float).eps ** (1 / 3) * np.maximum(np.abs(point), 1.0)
        ends = [(function(point + size * unit), function(point - size * unit)) for unit in units]
        return np.stack([(high - low).real / (2 * size[..., i, None]) for i, (high, low) in enumerate(ends)], axis=-1)

    try:
        with np.errstate(all="ignore"):
            exact = np.stack([function(theta + 1e-30j * unit).imag / 1e-30 for unit in units], axis=-1)
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return central(theta)
    check = central(theta.reshape(-1, len(units))[0])
    first = exact.reshape(-1, *check.shape)[0]
    agree = np.allclose(first, check, rtol=1e-4, atol=1e-6 * float(np.max(np.abs(check), initial=0.0)))
    return exact if agree else central(theta)

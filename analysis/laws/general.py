"""Laws that are no sums of powers: an outer exponent, or a function of the user's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from analysis.fitting.objectives import Objective
from analysis.fitting.posynomial import Solutions
from analysis.laws.parametric import Law
from curselab.errors import InputError

Vector = NDArray[np.float64]
Function = Callable[[Vector, Vector], Vector]
Starts = Callable[[Vector, Vector], Vector]

_TOLERANCE = 1e-14
_GRADIENT = 1e-5


@dataclass(frozen=True, slots=True)
class GeneralModel:
    """ln L and its derivatives as functions of ``theta`` and ``inputs``."""

    function: Function
    """``(..., n_params), (n_inputs, n) -> (..., n)``."""
    jacobian: Function
    """``(n_params,), (n_inputs, n) -> (n, n_params)``."""
    starts: Starts
    """``inputs, ln L -> (n_starts, n_params)``."""

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
        fixed: Mapping[int, float | Vector] | None = None,
    ) -> Solutions:
        """See ``Model``; one problem after the other."""
        if objective.kind not in ("l2", "huber"):
            raise InputError(f"objective: {objective.kind} was given, a law that is no sum of powers takes l2 or huber")
        begin = np.atleast_2d(self.starts(inputs, log_loss) if starts is None else starts)
        rows = np.ones((1, len(log_loss))) if weights is None else np.atleast_2d(weights)
        held = fixed or {}
        size = max([len(begin), len(rows), *(np.size(value) for value in held.values())])
        begin = np.broadcast_to(begin, (size, begin.shape[1])).copy()
        for index, number in held.items():
            begin[:, index] = number
        free = np.array([i for i in range(begin.shape[1]) if i not in held])
        ends = [
            self._minimise(inputs, log_loss, objective, row, start, free)
            for row, start in zip(np.broadcast_to(rows, (size, rows.shape[1])), begin, strict=True)
        ]
        theta, value, gradient = (np.array(column, dtype=float) for column in zip(*ends, strict=True))
        return Solutions(theta=theta, value=value, gradient=gradient, converged=gradient <= _GRADIENT)

    def _minimise(
        self, inputs: Vector, log_loss: Vector, objective: Objective, weights: Vector, start: Vector, free: NDArray[np.intp]
    ) -> tuple[Vector, float, float]:
        """One problem by a trust region; the row's weight stands outside Huber's function, as in the batched solver."""
        raw, used = objective.on == "raw", weights > 0
        x, y, w = inputs[:, used], log_loss[used], weights[used]

        def whole(part: Vector) -> Vector:
            theta = start.copy()
            theta[free] = part
            return theta

        def residual(part: Vector) -> Vector:
            with np.errstate(all="ignore"):
                m = self.function(whole(part), x)
                return np.asarray(np.exp(m) - np.exp(y) if raw else m - y)

        def jacobian(part: Vector) -> Vector:
            with np.errstate(all="ignore"):
                slopes = self.jacobian(whole(part), x)[:, free]
                return slopes * np.exp(self.function(whole(part), x))[:, None] if raw else slopes

        first = residual(start[free])
        if not np.isfinite(first).all():
            return start, np.inf, np.inf
        # the optimiser's tolerances are in part absolute, so residuals come in their own scale
        delta = None if objective.kind == "l2" else float(objective.delta or np.inf)
        scale = delta or float(np.sqrt(np.mean(first**2))) or 1.0
        if len(free) == 0:
            end = start[free]
        else:
            end = least_squares(
                residual,
                start[free],
                jacobian,
                f_scale=scale,
                loss=lambda z: _weighted(z, w, robust=delta is not None),  # type: ignore[arg-type]  # its stub wants a function of any z
                x_scale="jac",
                ftol=_TOLERANCE,
                xtol=_TOLERANCE,
                gtol=_TOLERANCE,
                max_nfev=500,
            ).x
        r = residual(end)
        value = 0.5 * scale**2 * float(_weighted((r / scale) ** 2, w, robust=delta is not None)[0].sum())
        psi = w * (r if delta is None else np.clip(r, -delta, delta))
        J = jacobian(end)
        size = np.linalg.norm(J, axis=0) * np.linalg.norm(psi)
        floor = 0.5 * float(w.sum()) * (64 * np.finfo(float).eps) ** 2
        cosine = np.abs(J.T @ psi) / np.maximum(size, np.finfo(float).tiny)
        return whole(end), value, 0.0 if value <= floor else float(np.max(cosine, initial=0.0))


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

    def natural(theta: NDArray[np.generic]) -> list[np.generic]:
        return [np.exp(value) if log else value for value, log in zip(theta, logs, strict=True)]

    def single(theta: NDArray[np.generic], x: Vector) -> Vector:
        return np.asarray(np.log(function(*x, *natural(theta)) + 0 * x[0]))

    def log_loss(theta: Vector, x: Vector) -> Vector:
        flat = [single(row, x) for row in theta.reshape(-1, len(names))]
        return np.asarray(flat).reshape(*theta.shape[:-1], x.shape[1])

    def derivative(theta: Vector, x: Vector) -> Vector:
        if jacobian is None:
            return differentiate(lambda point: single(point, x), theta)
        values = natural(theta)
        chain = np.where(logs, np.array(values, dtype=float), 1.0)
        return np.asarray(jacobian(*x, *values) * chain / np.exp(single(theta, x))[:, None])

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


def differentiate(function: Callable[[Vector], Vector], theta: Vector) -> Vector:
    """Differentiate ``(n_params,) -> (n,)``: complex step where it works (exact), else central differences; ``(n, n_params)``.

    Notes
    -----
    A function that drops the imaginary part without a word (``abs``, ``float``) is found by comparing the two.

    References
    ----------
    Squire and Trapp (1998), SIAM Review 40(1): complex step. Step of the differences: Nocedal and Wright (2006), section 8.1.
    """
    size = np.finfo(float).eps ** (1 / 3) * np.maximum(np.abs(theta), 1.0)
    steps = np.diag(size)
    central = np.stack(
        [(function(theta + s) - function(theta - s)) / (2 * h) for s, h in zip(steps, size, strict=True)], axis=1
    )
    try:
        with np.errstate(all="ignore"):
            exact = np.stack([function(theta + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(theta))], axis=1)
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return central
    agree = np.allclose(exact, central, rtol=1e-4, atol=1e-6 * float(np.max(np.abs(central), initial=0.0)), equal_nan=False)
    return np.asarray(exact) if agree else central

"""One estimation problem: runs, law, objective and weights, and its solutions in the law's own parameters."""

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.bootstrap import Kind, weights, wild_signs
from analysis.fitting.objectives import Objective
from analysis.fitting.posynomial import Solutions
from analysis.fitting.result import Convergence
from analysis.laws.parametric import Law

Vector = NDArray[np.float64]
_SAME_OPTIMUM = 1e-6
_RIVAL = 1e-2  # a second optimum this close, relative to the best, makes the answer doubtful
_ROUNDING = 1e-24  # of a squared residual: noise-free data


class Constraints(TypedDict):
    """Constraints of ``Model.solve``."""

    fixed: dict[int, ArrayLike]
    ties: list[tuple[int, int]]
    bounds: dict[int, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Runs in one order of rows, so that the order in which they came cannot change a digit."""

    inputs: tuple[tuple[float, ...], ...]
    """What the law reads, ``(n_inputs, n)``."""
    loss: tuple[float, ...]
    """Observed loss, nats/token, ``(n,)``."""
    weights: tuple[float, ...]
    """Of each run in the objective, mean one, ``(n,)``."""
    clusters: tuple[int, ...]
    """Group of runs that share a cause of error, whole numbers from 0, ``(n,)``."""
    objective: Objective
    fixed: tuple[tuple[str, float], ...] = ()
    """Parameters that are held, with their values."""
    ties: tuple[tuple[str, str], ...] = ()
    """Parameters that are equal."""
    bounds: tuple[tuple[str, float | None, float | None], ...] = ()
    """Parameters with their least and largest value, None where there is none."""

    @property
    def x(self) -> Vector:
        """Inputs, ``(n_inputs, n)``."""
        return np.asarray(self.inputs, dtype=float)

    @property
    def log_loss(self) -> Vector:
        """Ln L, ``(n,)``."""
        return np.asarray(np.log(np.asarray(self.loss, dtype=float)))

    @property
    def w(self) -> Vector:
        """Weights, ``(n,)``."""
        return np.asarray(self.weights, dtype=float)

    @property
    def groups(self) -> NDArray[np.intp]:
        """Clusters, ``(n,)``."""
        return np.asarray(self.clusters, dtype=np.intp)

    def rows(self, keep: NDArray[np.bool_]) -> "Problem":
        """Return the problem of some of the runs."""
        return replace(
            self,
            inputs=tuple(tuple(row) for row in self.x[:, keep].tolist()),
            loss=tuple(np.asarray(self.loss)[keep].tolist()),
            weights=tuple((self.w[keep] / self.w[keep].mean()).tolist()),
            clusters=tuple(np.unique(self.groups[keep], return_inverse=True)[1].tolist()),
        )

    def n_free(self, law: Law) -> int:
        """Parameters that are fitted; tied ones are one."""
        return len(law.symbols) - len(self.fixed) - len(self.ties)

    def constraints(self, law: Law) -> "Constraints":
        """What is fixed, tied and bounded, as the solver counts parameters."""

        def solver(symbol: str, value: float) -> float:
            with np.errstate(divide="ignore"):
                return float(np.log(value)) if law.positive[law.index(symbol)] else value

        return {
            "fixed": {law.index(symbol): solver(symbol, value) for symbol, value in self.fixed},
            "ties": [(law.index(a), law.index(b)) for a, b in self.ties],
            "bounds": {
                law.index(symbol): (
                    -np.inf if low is None else solver(symbol, low),
                    np.inf if high is None else solver(symbol, high),
                )
                for symbol, low, high in self.bounds
            },
        }


@dataclass(frozen=True, slots=True)
class Point:
    """The best of all starts."""

    theta: Vector
    value: float
    resid: Vector
    """Predicted minus observed ln L, ``(n,)``."""
    convergence: Convergence
    rival: Vector | None
    """Parameters of a second optimum that is nearly as good."""
    problem: Problem
    """As it was solved: a ``delta`` of ``auto`` is a number here."""


def solve_point(law: Law, problem: Problem) -> Point:
    """Solve from the law's own starts."""
    if problem.objective.delta == "auto":
        first = solve_point(law, replace(problem, objective=replace(problem.objective, delta=1e-3)))
        resid = first.resid * (np.asarray(problem.loss) if problem.objective.on == "raw" else 1.0)
        problem = replace(problem, objective=problem.objective.with_residuals(resid))
    y = problem.log_loss
    ends = law.model.solve(problem.x, y, objective=problem.objective, weights=problem.w[None], **problem.constraints(law))
    best = int(np.argmin(np.where(np.isfinite(ends.value), ends.value, np.inf)))
    theta, value = ends.theta[best], float(ends.value[best])
    floor = 0.5 * len(y) * _ROUNDING
    same = ends.value <= value * (1 + _SAME_OPTIMUM) + floor
    convergence = Convergence(
        starts=len(ends.value),
        starts_at_optimum=int(same.sum()),
        gradient=float(ends.gradient[best]),
        converged=bool(ends.converged[best]),
    )
    near = ends.converged & ~same & (ends.value <= value * (1 + _RIVAL))
    rival = law.natural(ends.theta[int(np.flatnonzero(near)[0])]) if near.any() else None
    return Point(theta, value, law.model.log_loss(theta, problem.x) - y, convergence, rival, problem)


def solve_weights(law: Law, problem: Problem, theta: Vector, rows: Vector) -> Solutions:
    """Solve again with other weights ``(batch, n)``, from the point estimate."""
    return law.model.solve(
        problem.x,
        problem.log_loss,
        objective=problem.objective,
        weights=rows * problem.w,
        starts=theta,
        **problem.constraints(law),
    )


def solve_wild(law: Law, problem: Problem, point: Point, signs: Vector) -> Solutions:
    """Solve for losses whose residuals were multiplied by ``signs`` ``(batch, n)``, from the point estimate."""
    n, p = len(problem.loss), problem.n_free(law)
    # residuals of a fit are smaller than the noise was
    resid = point.resid * np.sqrt(n / max(n - p, 1))
    fitted = problem.log_loss + point.resid
    return law.model.solve(
        problem.x,
        fitted - signs * resid,
        objective=problem.objective,
        weights=problem.w[None],
        starts=point.theta,
        **problem.constraints(law),
    )


def draw(law: Law, point: Point, kind: Kind, *, resamples: int, seed: int) -> tuple[Vector, int]:
    """Refit resamples: parameters of those that converged ``(n_converged, n_params)``, and how many did not."""
    if resamples == 0:
        return np.empty((0, len(law.symbols))), 0
    problem, rng = point.problem, np.random.default_rng(seed)
    if kind == "wild":
        ends = solve_wild(law, problem, point, wild_signs(problem.groups, resamples=resamples, rng=rng))
    else:
        rows = weights(kind, problem.groups, resamples=resamples, rng=rng)
        ends = solve_weights(law, problem, point.theta, rows)
    natural = law.natural(ends.theta)
    good = ends.converged & np.isfinite(natural).all(axis=1)
    return natural[good], int(resamples - good.sum())

"""Which parameters of a law the runs determine, and what else its reader must know."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.fitting.bootstrap import FEW_CLUSTERS
from analysis.fitting.result import Note
from analysis.laws.parametric import Law
from analysis.laws.problem import Point

Vector = NDArray[np.float64]

_MIN_LEVELS = 3  # distinct sizes that one power term needs: two are met by any exponent
_EXPONENT_RANGE = (0.01, 3.0)
_MAX_RELATIVE_WIDTH = 2.0  # of an interval: about a relative standard error of one half
_ZERO_SHARE = 0.01  # of the smallest loss: an irreducible loss below it cannot be told from none
_MAX_NOT_CONVERGED = 0.1
_L1_SHARE = 0.5  # of the runs in the quadratic zone: with fewer, Huber's loss is nearly the absolute error

Judgement = tuple[set[str], list[Note]]


def judge(law: Law, point: Point, draws: Vector, *, not_converged: int, kind: str, level: float) -> Judgement:
    """Name the parameters that the data do not determine, and note what else matters.

    Parameters
    ----------
    law : Law
        What was fitted.
    point : Point
        The optimum.
    draws : numpy.ndarray
        Refits of the resamples, ``(n_draws, n_params)``.
    not_converged : int
        Resamples without a refit.
    kind : str
        Of the bootstrap.
    level : float
        Of the intervals.
    """
    lost, notes = _of_point(law, point)
    held = {symbol for symbol, _ in point.problem.fixed}
    if len(draws) + not_converged == 0:
        notes.append(Note("no_intervals", "no resamples, so no standard errors and no intervals"))
    else:
        for part in (_of_draws(law, point, draws, level), _of_resampling(law, point, draws, not_converged, kind)):
            lost |= part[0]
            notes += part[1]
    return lost - held, notes + _of_objective(point)


def _of_point(law: Law, point: Point) -> Judgement:
    problem, natural = point.problem, law.natural(point.theta)
    lost: set[str] = set()
    notes: list[Note] = []
    if not point.convergence.converged:
        lost |= set(law.symbols)
        notes.append(Note("not_converged", f"no start reached an optimum, gradient {point.convergence.gradient:.1e}"))
    if law.floor and natural[law.index(law.floor)] < _ZERO_SHARE * min(problem.loss):
        lost.add(law.floor)
        notes.append(
            Note("not_identified", f"{law.floor} is below {_ZERO_SHARE:.0%} of the smallest loss: no sign of a floor")
        )
    floor = {law.floor} if law.floor else set()
    for size, exponent, name in law.powers:
        value = natural[law.index(exponent)]
        levels = len(np.unique(problem.x[law.inputs.index(name)]))
        if levels < _MIN_LEVELS and not {exponent, law.floor} & dict(problem.fixed).keys():
            lost |= {exponent, size} | floor
            notes.append(Note("not_identified", f"{levels} values of {name}, {_MIN_LEVELS} are needed to identify {exponent}"))
        if not _EXPONENT_RANGE[0] < value < _EXPONENT_RANGE[1]:
            lost |= {exponent, size} | floor
            notes.append(Note("bound", f"{exponent} = {value:.3g} is outside {_EXPONENT_RANGE}"))
    for symbol in _on_bound(law, point, natural):
        lost.add(symbol)
        notes.append(Note("bound", f"{symbol} = {natural[law.index(symbol)]:.3g} lies on the bound that was given"))
    if point.rival is not None:
        other = ", ".join(f"{symbol} {value:.4g}" for symbol, value in zip(law.symbols, point.rival, strict=True))
        notes.append(Note("second_optimum", f"another optimum is within 1 % of the best: {other}"))
    return lost, notes


def _on_bound(law: Law, point: Point, natural: Vector) -> list[str]:
    """Bounded parameters that lie on their bound."""
    ends = ((symbol, end) for symbol, *ends in point.problem.bounds for end in ends if end is not None)
    return [symbol for symbol, end in ends if np.isclose(natural[law.index(symbol)], end, rtol=1e-9, atol=1e-15)]


def _of_draws(law: Law, point: Point, draws: Vector, level: float) -> Judgement:
    lost: set[str] = set()
    notes: list[Note] = []
    if len(draws) < 2:
        return set(law.symbols), []
    natural = law.natural(point.theta)
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    if law.floor:
        i, zero = law.index(law.floor), _ZERO_SHARE * min(point.problem.loss)
        if lower[i] < zero <= natural[i]:
            lost.add(law.floor)
            span = f"{law.floor} reaches zero, from {lower[i]:.3g} to {upper[i]:.3g}"
            notes.append(Note("not_identified", f"the interval of {span}"))
    sizes = {exponent: size for size, exponent, _ in law.powers}
    for i, symbol in enumerate(law.symbols):
        if not law.positive[i] and upper[i] - lower[i] > _MAX_RELATIVE_WIDTH * abs(natural[i]):
            lost |= {symbol} | ({sizes[symbol]} if symbol in sizes else set())
            notes.append(Note("not_identified", f"{symbol} is only known from {lower[i]:.3g} to {upper[i]:.3g}"))
    return lost, notes


def _of_resampling(law: Law, point: Point, draws: Vector, not_converged: int, kind: str) -> Judgement:
    lost: set[str] = set()
    notes: list[Note] = []
    n_clusters, resamples = int(point.problem.groups.max()) + 1, len(draws) + not_converged
    if n_clusters < FEW_CLUSTERS:
        text = f"{n_clusters} clusters of runs: intervals ({kind}) from under {FEW_CLUSTERS} tend to be too short"
        notes.append(Note("few_clusters", text))
    if not_converged:
        notes.append(Note("non_converged_resamples", f"{not_converged} of {resamples} resamples did not converge"))
        if not_converged > _MAX_NOT_CONVERGED * resamples:
            lost |= set(law.symbols)
    return lost, notes


def _of_objective(point: Point) -> list[Note]:
    objective = point.problem.objective
    if objective.kind != "huber" or objective.on != "log":
        return []
    inside = float(np.mean(np.abs(point.resid) <= objective.threshold))
    if inside >= _L1_SHARE:
        return []
    zone = f"delta {objective.threshold:g} leaves {inside:.0%} of the runs in the quadratic zone"
    return [Note("delta_l1_regime", f"{zone}: this is nearly the absolute error")]


def identifiability(law: Law, point_theta: Vector, x: Vector, draws: Vector) -> dict[str, object]:
    """Measure what the design determines.

    Parameters
    ----------
    law : Law
        What was fitted.
    point_theta : numpy.ndarray
        Parameters as the solver counts them, ``(n_params,)``.
    x : numpy.ndarray
        Inputs, ``(n_inputs, n)``.
    draws : numpy.ndarray
        Refits of resamples, ``(n_draws, n_params)``; none gives no correlations.

    Returns
    -------
    dict
        ``levels`` (distinct values of each input), ``condition`` (of the Jacobian of ln L with columns of length one, sizes
        taken at the middle of the data), ``correlation`` (DataFrame of the draws; sizes as logarithms) and ``weakest``
        (the combination of parameters that the runs know least, as weights of length one).
    """
    J = jacobian(law, point_theta, x)
    for size, exponent, name in law.powers:
        # at the middle of the data, a size and its exponent come apart; at one parameter and one token they never do
        J[:, law.index(exponent)] += np.log(x[law.inputs.index(name)]).mean() * J[:, law.index(size)]
    scaled = J / np.maximum(np.linalg.norm(J, axis=0), np.finfo(float).tiny)
    _, singular, right = np.linalg.svd(scaled, full_matrices=False)
    names = [f"ln {s}" if log else s for s, log in zip(law.symbols, law.positive, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = law.solver(draws)
        corr: Vector = np.full((len(names),) * 2, np.nan) if len(draws) < 3 else np.asarray(np.corrcoef(logs, rowvar=False))
    return {
        "levels": {name: len(np.unique(row)) for name, row in zip(law.inputs, x, strict=True)},
        "condition": float(singular[0] / max(singular[-1], np.finfo(float).tiny)),
        "correlation": pd.DataFrame(corr, index=names, columns=names),
        "weakest": dict(zip(names, right[-1].tolist(), strict=True)),
    }


def jacobian(law: Law, theta: Vector, x: Vector) -> Vector:
    """Derivatives of ln L by ``theta``, by central differences: ``(n, n_params)``."""
    size = np.finfo(float).eps ** (1 / 3) * np.maximum(np.abs(theta), 1.0)
    steps = np.diag(size)
    return np.asarray((law.model.log_loss(theta + steps, x) - law.model.log_loss(theta - steps, x)).T / (2 * size))

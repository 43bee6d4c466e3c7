r"""Best model size of each compute budget, and how it grows: the isoFLOP analysis.

.. math:: N^*(C) = G_N C^a, \qquad D^*(C) = G_D C^b, \qquad b = 1 - a

For each budget, a polynomial of :math:`\ln L` in :math:`\ln N` gives the best size; the exponents are a straight line through
their logarithms. Source: Hoffmann et al. (2022), arXiv:2203.15556, approach 2 (parabola). A parabola is biased even without
noise where the grid is wide or off centre and the two exponents differ (Czech et al. 2026, arXiv:2603.22339); a cubic is not,
but under noise its minima scatter two to three times as far. So the data choose: the cubic where AICc over all budgets says
that it pays. A budget whose curve has no minimum inside its sizes is rejected by name, never extrapolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.columns import drop_diverged, positive
from analysis.fitting.result import Bootstrap, Convergence, Counts, FitResult, Note, check_level
from analysis.fitting.selection import aicc
from analysis.laws.scaling_fit import FLOP_PER_PARAM_TOKEN
from analysis.laws.scaling_table import Source, as_pandas
from curselab.errors import InputError

Vector = NDArray[np.float64]
Curve = Literal["auto", "cubic", "parabola"]

_DEGREE: dict[Curve, int] = {"parabola": 2, "cubic": 3}
_SAME_BUDGET = 0.05  # relative: runs whose compute differs by less belong to one budget
_MIN_BUDGETS = 3
_MAX_LOST = 0.1  # of resamples without a minimum in each budget


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoflopFit(FitResult):
    """Exponents of the best size and tokens, and the minimum of each budget."""

    budgets: tuple[float, ...]
    """FLOP, ``(n_budgets,)``."""
    best_params: tuple[float, ...]
    """Best size of each budget."""
    rejected: tuple[Note, ...]
    """Budgets without a minimum, and why."""

    def optimal(self, compute: ArrayLike, *, level: float | None = None) -> pd.DataFrame:
        """Best size and tokens at other budgets (FLOP): columns ``compute, params, lower, upper, tokens, warning``.

        The code ``extrapolating`` warns of budgets outside those fitted.
        """
        level = check_level(self.level if level is None else level)
        C = np.atleast_1d(np.asarray(compute, dtype=float))
        i, j = self.symbols.index("a"), self.symbols.index("ln G_N")
        params = np.exp(self.estimate[j] + self.estimate[i] * np.log(C))
        bounds = np.full((2, len(C)), np.nan)
        if len(self.draws) > 1:
            draws = np.asarray(self.draws)
            curves = np.exp(draws[:, j, None] + draws[:, i, None] * np.log(C))
            bounds = self.interval(curves, level)
        tokens = C / (FLOP_PER_PARAM_TOKEN * params)
        outside = (min(self.budgets) > C) | (max(self.budgets) < C)
        frame = pd.DataFrame({"compute": C, "params": params, "lower": bounds[0], "upper": bounds[1], "tokens": tokens})
        return frame.assign(warning=np.where(outside, "extrapolating", ""))


def fit_isoflop(
    data: Any = None,
    *,
    flops: Source = "flops",
    params: Source = "params",
    loss: Source = "loss",
    curve: Curve = "auto",
    bootstrap: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> IsoflopFit:
    """Fit the growth of the best model size with compute.

    Parameters
    ----------
    data : DataFrame, optional
        One row a run, several sizes a budget; pandas, or what narwhals accepts. Without it, columns are given as arrays.
    flops, params, loss : str or array_like
        Columns, or arrays ``(n,)``: training compute (FLOP), parameters, loss (nats/token).
    curve : str
        ``cubic`` (five sizes a budget or more), ``parabola`` (four or more), or ``auto``: the one of smaller AICc over all
        budgets that have five sizes; the choice is in ``settings["curve"]``.
    bootstrap : int
        Resamples: each budget gets normal errors whose variance is itself drawn (scaled inverse chi-square with the degrees
        of freedom that its curve leaves), so that no size is lost and few sizes mean wide intervals.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals.

    Returns
    -------
    IsoflopFit
        ``params["a"]``, ``params["b"]`` and ``ln G_N``; ``rejected`` names the budgets that have no minimum.

    Raises
    ------
    InputError
        Fewer than three budgets have a minimum.
    """
    level = check_level(level)
    if curve not in get_args(Curve):
        raise InputError(f"curve: {curve!r} was given (allowed: {', '.join(get_args(Curve))})")
    frame, names = as_pandas(data, {"flops": flops, "params": params, "loss": loss})
    kept, n_diverged = drop_diverged(frame)
    C, N, L = (positive(kept, names[role]) for role in ("flops", "params", "loss"))
    order = np.lexsort((L, N, C))
    C, N, L = C[order], N[order], L[order]
    groups = _budgets(C)
    if curve == "auto":
        curve = _choose([(np.log(N[rows]), np.log(L[rows])) for rows in groups])
    degree = _DEGREE[curve]
    found = [_minimum(np.log(N[rows]), np.log(L[rows]), degree) for rows in groups]
    centre = np.array([np.exp(np.log(C[rows]).mean()) for rows in groups])
    good = [i for i, item in enumerate(found) if not isinstance(item, str)]
    rejected = tuple(
        Note("no_minimum", f"{centre[i]:.3g} FLOP: {item}") for i, item in enumerate(found) if isinstance(item, str)
    )
    if len(good) < _MIN_BUDGETS:
        reasons = "; ".join(note.message for note in rejected) or "no more were given"
        raise InputError(f"data: {len(good)} budgets have a minimum, {_MIN_BUDGETS} are needed ({reasons})")
    minima = np.array([found[i] for i in good], dtype=float)
    theta = _line(np.log(centre[good]), minima)
    rng = np.random.default_rng(seed)
    draws = _resample(
        [(np.log(N[groups[i]]), np.log(L[groups[i]])) for i in good], np.log(centre[good]), degree, bootstrap, rng
    )
    lost = bootstrap - len(draws)
    unknown = bootstrap > 0 and lost > _MAX_LOST * bootstrap
    notes = list(rejected)
    if lost:
        notes.append(Note("non_converged_resamples", f"{lost} of {bootstrap} resamples have a budget without a minimum"))
    resid = theta[2] + theta[0] * np.log(centre[good]) - minima
    return IsoflopFit(
        law="isoflop",
        formula="N* = G_N C^a, D* = C / (6 N*)",
        symbols=("a", "b", "ln G_N"),
        units=("1", "1", "ln(parameters)"),
        estimate=tuple(theta.tolist()),
        draws=tuple(map(tuple, draws.tolist())),
        level=level,
        resid=tuple(resid.tolist()),
        objective=0.5 * float(resid @ resid),
        counts=Counts(n_runs=len(L), n_diverged=n_diverged, n_clusters=len(good), n_seeds=1),
        convergence=Convergence(starts=1, starts_at_optimum=1, gradient=0.0, converged=True),
        bootstrap=Bootstrap(kind="parametric", resamples=bootstrap, not_converged=lost),
        status="not_identified" if unknown else "ok",
        unidentified=("a", "b", "ln G_N") if unknown else (),
        warnings=tuple(notes),
        settings={**names, "curve": curve, "seed": seed},
        budgets=tuple(centre[good].tolist()),
        best_params=tuple(np.exp(minima).tolist()),
        rejected=rejected,
    )


def _budgets(C: Vector) -> list[NDArray[np.intp]]:
    """Rows of each budget, of compute in rising order: a gap of more than 5 % starts the next."""
    starts = np.flatnonzero(np.diff(np.log(C)) > np.log1p(_SAME_BUDGET)) + 1
    return list(np.split(np.arange(len(C)), starts))


def _choose(curves: Sequence[tuple[Vector, Vector]]) -> Curve:
    """Pick the curve of smaller AICc, over the budgets that have sizes enough for either; the parabola where none has."""
    curves = [(n, y) for n, y in curves if len(np.unique(n)) >= _DEGREE["cubic"] + 2]

    def score(curve: Curve) -> float:
        resid = [y - np.polynomial.Polynomial.fit(n, y, _DEGREE[curve])(n) for n, y in curves]
        return aicc(np.concatenate(resid), (_DEGREE[curve] + 1) * len(curves))

    return min(_DEGREE, key=score) if curves else "parabola"


def _minimum(n: Vector, y: Vector, degree: int) -> float | str:
    """Minimum of a polynomial through ``(n,)`` points, or why there is none."""
    sizes = len(np.unique(n))
    if sizes < degree + 2:
        return f"{sizes} sizes, {degree + 2} are needed"
    c = np.polynomial.Polynomial.fit(n, y, degree)
    bends = c.deriv(2)
    roots = c.deriv().roots()
    real = roots[np.abs(roots.imag) < 1e-9].real
    minima = real[bends(real) > 0]
    if len(minima) == 0:
        return "the curve is not convex at any turning point"
    inside = minima[(minima > n.min()) & (minima < n.max())]
    if len(inside) == 0:
        return "the minimum is not bracketed by the sizes"
    return float(inside[0])


def _line(log_c: Vector, minima: Vector) -> Vector:
    slope, intercept = np.polyfit(log_c, minima, 1)
    return np.array([slope, 1 - slope, intercept])


def _resample(
    curves: Sequence[tuple[Vector, Vector]], log_c: Vector, degree: int, resamples: int, rng: np.random.Generator
) -> Vector:
    fitted = [np.polynomial.Polynomial.fit(n, y, degree)(n) for n, y in curves]
    rss = [float(np.sum((y - f) ** 2)) for (_, y), f in zip(curves, fitted, strict=True)]
    draws = []
    for _ in range(resamples):
        minima = [
            _minimum(n, f + np.sqrt(s / rng.chisquare(len(n) - degree - 1)) * rng.standard_normal(len(n)), degree)
            for (n, _), f, s in zip(curves, fitted, rss, strict=True)
        ]
        if not any(isinstance(item, str) for item in minima):
            draws.append(_line(log_c, np.array(minima, dtype=float)))
    return np.array(draws).reshape(-1, 3)

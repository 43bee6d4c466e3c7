"""Which family a profile of variances grows by: information criteria, seeds, extrapolation, and what words are earned.

A family is *identified* where, of ten points or more, it alone is left within 6 of the lowest AICc and wins in most seeds.
Families that contain a better one as a special case are left out, since they add a parameter that is not needed; so are those
whose parameters earn no word, where one of no more parameters is left that does: an exponential of less than one e-fold is a
straight line, a power below 0.15 a logarithm, the exponential of such a power a power; and constant is only what does not
rise in the seeds, whose interval of the exponent must lie within 0.15: seeds that differ so much that anything would fit are
no sign of a constant.

Noise of neighbouring layers is alike, which would inflate differences of AICc. How alike is measured between seeds, whatever
the family, and the log likelihood is divided by what it adds (QAICc, :func:`analysis.fitting.selection.inflation`).

Known failures: with few points, or noise above a few percent, most families are alike; a constant term that is small beside
the growth leaves a line and a power apart only by the power; a network may follow none of the families.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.result import Note, Status, check_level
from analysis.fitting.seeds import Estimate, line, over_seeds
from analysis.laws.depth_families import FAMILIES
from analysis.laws.depth_selection import FamilyFit, choose, doubts, score, word_of
from curselab.errors import InputError

Vector = NDArray[np.float64]

_LEAST_POINTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a variance grows along one axis."""

    axis: str
    x: tuple[float, ...]
    variance: tuple[float, ...]
    """Geometric mean over seeds."""
    families: tuple[FamilyFit, ...]
    """From the lowest AICc."""
    candidates: tuple[str, ...]
    """Families that the data do not tell apart, best first."""
    growth: str | None
    """Class of growth, where all candidates share one and most seeds agree; None is not identified."""
    status: Status
    """Of the family."""
    reasons: tuple[Note, ...]
    ratio: Estimate
    """Last variance over the first."""
    exponent: Estimate
    """Slope of ln v on ln x."""
    rate: Estimate
    """Slope of ln v on x."""
    rate_early: Estimate
    rate_late: Estimate
    """The same over the first and the last third: equal for an exponential, falling like 1/x for a power."""
    n_seeds: int
    level: float

    @property
    def family(self) -> str | None:
        """Name of the family; None unless identified."""
        return self.candidates[0] if self.status == "ok" else None

    def find(self, name: str) -> FamilyFit:
        """Fit of a family by name."""
        for fit in self.families:
            if fit.name == name:
                return fit
        raise InputError(f"family: {name!r} was given (fitted: {', '.join(fit.name for fit in self.families)})")

    def predict(self, x: ArrayLike, family: str | None = None) -> Vector:
        """Variance by a family, that of the lowest AICc when left out, at x ``(n,)``."""
        fit = self.families[0] if family is None else self.find(family)
        form = next(form for form in FAMILIES if form.name == fit.name)
        return np.asarray(np.exp(form.log_v(np.array(fit.theta), np.asarray(x, dtype=float), self.x[-1])))

    def frame(self) -> pd.DataFrame:
        """One row a family, from the lowest AICc."""
        return pd.DataFrame(
            [
                {
                    "family": f.name,
                    "parameters": ", ".join(f"{s} = {v:.3g}" for s, v in zip(f.symbols, f.values, strict=True)),
                    "delta_aicc": f.delta,
                    "weight": f.weight,
                    "wins": f.wins,
                    "rms": f.rms,
                    "extrapolation_rms": f.extrapolation,
                    "class": f.word,
                }
                for f in self.families
            ]
        )

    def verdict(self) -> str:
        """One line: the family, or why there is none."""
        if self.status == "ok":
            return f"{self.candidates[0]} ({self.find(self.candidates[0]).formula})"
        known = f", class {self.growth}" if self.growth else ""
        return f"family not identified{known}: {'; '.join(note.message for note in self.reasons)}"


def fit_growth(
    x: ArrayLike, variance: ArrayLike, *, seeds: ArrayLike | None = None, axis: str = "layer", level: float = 0.95
) -> Growth:
    """Choose the family by which a variance grows.

    Parameters
    ----------
    x : array_like
        Layer, depth or step of each value, above zero, ``(n,)``.
    variance : array_like
        Above zero, ``(n,)``.
    seeds : array_like, optional
        Seed of each value, ``(n,)``; all seeds have the same x. Left out, there is one profile, and no family is identified.
    axis : str
        What x is.
    level : float
        Of the intervals.

    Returns
    -------
    Growth
        With status ``not_identified`` and every reason where no family stands alone.

    Raises
    ------
    InputError
        A value is not positive and finite, seeds have different x, or there are fewer than three points.
    """
    profiles, at = _profiles(x, variance, seeds)
    return grow(at, profiles, axis=axis, level=check_level(level))


def grow(x: Vector, log_v: Vector, *, axis: str, level: float) -> Growth:
    """Choose the family of profiles of ln v ``(n_seeds, n)`` on rising x ``(n,)``; see :func:`fit_growth`."""
    families = score(x, log_v, level)
    candidates = choose(families)
    reasons = doubts(families, candidates, len(log_v), len(x))
    third = max(len(x) // 3, 2)
    return Growth(
        axis=axis,
        x=tuple(x.tolist()),
        variance=tuple(np.exp(log_v.mean(axis=0)).tolist()),
        families=families,
        candidates=tuple(fit.name for fit in candidates),
        growth=word_of(families, candidates, len(log_v), len(x)),
        status="not_identified" if reasons else "ok",
        reasons=reasons,
        ratio=geometric(over_seeds(log_v[:, -1] - log_v[:, 0], level)),
        exponent=line(np.log(x), log_v, level),
        rate=line(x, log_v, level),
        rate_early=line(x[:third], log_v[:, :third], level),
        rate_late=line(x[-third:], log_v[:, -third:], level),
        n_seeds=len(log_v),
        level=level,
    )


def _profiles(x: ArrayLike, variance: ArrayLike, seeds: ArrayLike | None) -> tuple[Vector, Vector]:
    """Give ln v as ``(n_seeds, n)`` and the rising x ``(n,)``."""
    at, v = np.asarray(x, dtype=float), np.asarray(variance, dtype=float)
    labels = np.zeros(len(at), dtype=int) if seeds is None else np.asarray(seeds)
    if not (at.ndim == 1 and at.shape == v.shape == labels.shape):
        raise InputError(f"growth: x {at.shape}, variance {v.shape} and seeds {labels.shape} were given, (n,) each is needed")
    for name, values in (("x", at), ("variance", v)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise InputError(f"growth: {name} is {values[bad][0]} in row {int(bad.argmax())}, a number above zero is needed")
    table = pd.DataFrame({"seed": labels, "x": at, "v": np.log(v)})
    if table.duplicated(["seed", "x"]).any():
        raise InputError("growth: a seed has two values at one x; give seeds, or one profile")
    wide = table.pivot_table(index="seed", columns="x", values="v")
    if wide.isna().to_numpy().any():
        raise InputError("growth: not all seeds have a value at every x; leave the others out")
    if wide.shape[1] < _LEAST_POINTS:
        raise InputError(f"growth: {wide.shape[1]} points were given, {_LEAST_POINTS} or more are needed")
    return wide.to_numpy(dtype=float), wide.columns.to_numpy(dtype=float)


def geometric(e: Estimate) -> Estimate:
    """Turn the estimate of a logarithm into one of the number itself."""
    value, lower, upper = (None if number is None else float(np.exp(number)) for number in (e.value, e.lower, e.upper))
    return Estimate(value, lower, upper, e.n)

"""Families of growth against each other: information criteria, seeds, extrapolation, and what words are earned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.result import Note
from analysis.fitting.seeds import over_seeds, slopes
from analysis.fitting.selection import aicc, inflation
from analysis.laws.depth_families import FAMILIES, MIN_BROKEN, Broken, Family

Vector = NDArray[np.float64]

CLASSES = ("none", "logarithmic", "sublinear", "linear", "superlinear", "stretched exponential", "exponential")
"""Words for growth, from slow to fast."""

DELTA = 6.0
"""Difference of AICc that sets a family apart."""

_CONTAINS = {
    "log": {"constant"},
    "linear": {"constant"},
    "quadratic": {"constant"},
    "power": {"constant", "linear"},
    "exponential": {"constant"},
    "stretched exponential": {"constant", "exponential"},
    "offset exponential": {"constant", "linear", "exponential"},
}
_LEAST_POWER = 0.15  # a smaller power of x is ln x, and the exponential of one is a power
_LEAST_FOLDS = 1.0
_UNEARNED = ("grows by less than one e-fold", f"seeds leave room for a power of {_LEAST_POWER:g}, or rise")
_LEAST_POINTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFit:
    """One family on the mean profile."""

    name: str
    formula: str
    symbols: tuple[str, ...]
    values: tuple[float, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]
    """Intervals of the parameters, from fits to the single seeds."""
    theta: tuple[float, ...]
    """The same parameters as the family solves for them."""
    rms: float | None
    """Root mean square of the residuals of ln v; None where the family fits in no way."""
    aicc: float | None
    """None where there are too few points."""
    delta: float | None
    """AICc less the lowest."""
    weight: float
    """Akaike weight."""
    wins: float
    """Share of seeds whose own profile it wins."""
    extrapolation: float | None
    """Root mean square error of ln v over the last third, when fitted to the first two."""
    word: str | None
    """Its class of growth; None where its parameters earn no word."""


def score(x: Vector, log_v: Vector, level: float) -> tuple[FamilyFit, ...]:
    """Fit every family to the mean of ln v ``(n_seeds, n)`` and to each seed; from the lowest AICc of the mean."""
    forms = [form for form in FAMILIES if not isinstance(form, Broken) or len(x) >= MIN_BROKEN]
    rows = np.vstack([log_v.mean(axis=0), log_v]) if len(log_v) > 1 else log_v
    fits = [form.fit(x, rows) for form in forms]
    shared = inflation(log_v)
    scores = np.array(
        [[aicc(r, len(form.symbols), inflation=shared) for r in fit.resid] for form, fit in zip(forms, fits, strict=True)]
    )
    words = [_word(form.name, form.params(fit.theta[0], x[-1]), x[-1]) for form, fit in zip(forms, fits, strict=True)]
    if not _level(x, log_v, level):
        words = [None if word == "none" else word for word in words]
    apart = scores[:, 0] - min(scores[:, 0].min(), np.finfo(float).max)
    weight = np.exp(-0.5 * apart)
    meant = np.where([[word is not None] for word in words], scores, np.inf)
    wins = np.mean(np.argmin(meant[:, -len(log_v) :], axis=0)[None] == np.arange(len(forms))[:, None], axis=1)
    n_fit = int(np.ceil(2 * len(x) / 3))
    found = []
    for i, (form, fit) in enumerate(zip(forms, fits, strict=True)):
        seeds = np.array([form.params(theta, x[-1]) for theta in fit.theta[-len(log_v) :]])
        spread = [over_seeds(column, level) for column in seeds.T]
        found.append(
            FamilyFit(
                name=form.name,
                formula=form.formula,
                symbols=form.symbols,
                values=form.params(fit.theta[0], x[-1]),
                lower=tuple(e.lower for e in spread),
                upper=tuple(e.upper for e in spread),
                theta=tuple(fit.theta[0].tolist()),
                rms=_finite(_rms(fit.resid[0])),
                aicc=_finite(scores[i, 0]),
                delta=_finite(apart[i]),
                weight=float(weight[i] / max(weight.sum(), 1.0)),
                wins=float(wins[i]),
                extrapolation=_extrapolate(form, x, rows[0], n_fit),
                word=words[i],
            )
        )
    return tuple(found[i] for i in sorted(range(len(found)), key=lambda i: (scores[i, 0], len(forms[i].symbols))))


def _level(x: Vector, log_v: Vector, level: float) -> bool:
    """Tell whether the seeds show that nothing grows: no slope, and none that the interval of the exponent leaves room for."""
    trend, exponent = (over_seeds(slopes(at, log_v), level) for at in (x, np.log(x)))
    if trend.lower is None or trend.upper is None or exponent.lower is None or exponent.upper is None:
        return False
    return trend.lower <= 0 <= trend.upper and exponent.lower > -_LEAST_POWER and exponent.upper < _LEAST_POWER


def _extrapolate(form: Family | Broken, x: Vector, log_v: Vector, n_fit: int) -> float | None:
    """Error of ln v beyond the first ``n_fit`` points; None where the family has as many parameters as points."""
    if n_fit <= len(form.symbols) or isinstance(form, Broken) and n_fit < MIN_BROKEN:
        return None
    early = form.fit(x[:n_fit], log_v[None, :n_fit])
    return _finite(_rms(form.log_v(early.theta[0], x[n_fit:], x[n_fit - 1]) - log_v[n_fit:]))


def _word(name: str, params: tuple[float, ...], end: float) -> str | None:
    """Class of growth that a fit has earned."""
    if name == "power":
        p = params[2]
        return "logarithmic" if p < _LEAST_POWER else "sublinear" if p < 1 else "superlinear"
    folds = _folds(name, params, end)
    if folds is not None:
        word = name if name in CLASSES else "exponential"
        return word if folds > _LEAST_FOLDS else None
    return {"constant": "none", "log": "logarithmic", "quadratic": "superlinear"}.get(name, name)


def _folds(name: str, params: tuple[float, ...], end: float) -> float | None:
    """E-folds of growth in the exponent of an exponential family; None for the others."""
    if name == "stretched exponential":
        return params[1] * end ** params[2] if params[2] > _LEAST_POWER else 0.0
    if name == "broken":
        return params[2] * (end - params[3])
    return params[-1] * end if name in ("exponential", "offset exponential") else None


def choose(families: tuple[FamilyFit, ...]) -> list[FamilyFit]:
    """Families that the data do not tell apart: each means what it says, and none adds a parameter that is not needed."""
    near = [f for f in families if f.delta is not None and f.delta < DELTA]
    names = [f.name for f in near]
    needed = [f for i, f in enumerate(near) if not _CONTAINS.get(f.name, set()) & set(names[:i])]
    meant = [f for f in needed if f.word is not None and not (f.word == "logarithmic" and f.name != "log" and "log" in names)]
    # what earns no word gives way to what does, but never to a richer family
    fewest = min((len(f.symbols) for f in meant), default=np.inf)
    return [f for f in needed if f in meant or f.word is None and len(f.symbols) < fewest]


def word_of(families: tuple[FamilyFit, ...], candidates: list[FamilyFit], n_seeds: int, n: int) -> str | None:
    """Class of growth that all candidates share and most seeds agree on."""
    words = {f.word for f in candidates}
    if len(words) != 1 or None in words or n_seeds < 2 or n < _LEAST_POINTS:
        return None
    (word,) = words
    return word if sum(f.wins for f in families if f.word == word) > 0.5 else None


def doubts(families: tuple[FamilyFit, ...], candidates: list[FamilyFit], n_seeds: int, n: int) -> tuple[Note, ...]:
    """Every reason why no family stands alone."""
    if not candidates:
        return (Note("few_points", f"{n} points are too few for any criterion"),)
    best = candidates[0]
    alike = ", ".join(f.name for f in candidates)
    agree = sum(f.wins for f in families if f.name == best.name)
    checks = (
        (n < _LEAST_POINTS, "few_points", f"{n} points, {_LEAST_POINTS} are needed for families of three parameters"),
        (len(candidates) > 1, "alike", f"within {DELTA:g} of the lowest AICc: {alike}"),
        (best.word is None, "no_word", f"{best.name} fits best, but {_UNEARNED[best.name == 'constant']}"),
        (n_seeds < 2, "one_seed", "one profile, 2 seeds or more are needed"),
        (n_seeds > 1 and len(candidates) == 1 and agree <= 0.5, "seeds_disagree", f"{best.name} wins in {agree:.0%} of seeds"),
    )
    return tuple(Note(code, message) for failed, code, message in checks if failed)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rms(resid: Vector) -> float:
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(resid**2)))

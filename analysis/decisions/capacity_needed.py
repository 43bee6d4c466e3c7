"""What model and how much text more languages need at equal loss, by ATLAS' law: as printed, or fitted to one's own runs."""

from dataclasses import dataclass

import numpy as np

from analysis.fitting.result import Note, check_level
from analysis.laws.multilinguality_capacity import CAPACITY, LanguagesLaw
from analysis.laws.published import outside
from analysis.laws.scaling_fit import ScalingFit
from curselab.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityNeeded:
    """Factors from one number of languages to another at equal loss and least compute, with their ends."""

    law: str
    valid: str
    languages: float
    more: float
    params: tuple[float, float | None, float | None]
    """Value, lower and upper end."""
    tokens: tuple[float, float | None, float | None]
    """Of all languages together."""
    tokens_each: tuple[float, float | None, float | None]
    compute: tuple[float, float | None, float | None]
    interval: str
    """What the ends cover."""
    notes: tuple[Note, ...]


def capacity_needed(
    languages: float, more: float, *, fit: ScalingFit | None = None, params: float | None = None, level: float = 0.95
) -> CapacityNeeded:
    """Size, text and compute that ``more`` languages in equal shares need, over those of ``languages``.

    Parameters
    ----------
    languages, more : float
        Numbers of languages.
    fit : ScalingFit, optional
        ``fit_scaling_law(table, law=CAPACITY, inputs={"languages": ...})`` of one's own runs; the printed exponents when left
        out.
    params : float, optional
        Size of the old model, to be held against the law's range.
    level : float
        Of the intervals of a fit.

    Raises
    ------
    InputError
        A number of languages is below one, or the fit is of another law.
    """
    if not (np.isfinite([languages, more]).all() and languages >= 1 and more >= 1):
        raise InputError(f"languages: {languages!r} and {more!r} were given, 1 or more are needed")
    ratio = more / languages
    if fit is not None:
        return _fitted(fit, languages, more, check_level(level))
    law = LanguagesLaw()
    found = law.multipliers(ratio)
    each = sorted(value / ratio for value in found["tokens"])
    asked = {"languages": (languages, law.languages_range), "more languages": (more, law.languages_range)}
    if params is not None:
        asked["params"] = (params, law.params_range)
    return CapacityNeeded(
        law=law.name,
        valid=law.valid,
        languages=languages,
        more=more,
        params=found["params"],
        tokens=found["tokens"],
        tokens_each=(found["tokens"][0] / ratio, each[0], each[-1]),
        compute=found["compute"],
        interval="rounding of the printed exponents; the paper prints no statistical interval",
        notes=outside(asked),
    )


def _fitted(fit: ScalingFit, languages: float, more: float, level: float) -> CapacityNeeded:
    if fit.form.name != CAPACITY.name:
        raise InputError(f"fit: it is of law {fit.form.name}, one of law {CAPACITY.name} is needed")
    needed = ("phi", "alpha", "psi", "beta")
    ratio = more / languages

    def exponents(constants: np.ndarray) -> np.ndarray:
        phi, alpha, psi, beta = (constants[:, fit.form.index(symbol)] for symbol in needed)
        return np.stack([phi / alpha, 1 + psi / beta, psi / beta, 1 + phi / alpha + psi / beta])

    value = exponents(np.asarray([fit.estimate]))[:, 0]
    lost = [symbol for symbol in needed if symbol in fit.unidentified]
    ends = np.full((2, 4), np.nan)
    if not lost and len(fit.draws) > 1:
        ends = fit.interval(exponents(np.asarray(fit.draws)).T, level)
    notes = outside({"languages": (languages, _range(fit)), "more languages": (more, _range(fit))})
    if lost:
        notes += (Note("not_identified", f"the runs do not identify {', '.join(lost)}, so there is no interval"),)
    params, tokens, each, compute = (_factor(ratio, v, pair) for v, pair in zip(value, ends.T, strict=True))
    return CapacityNeeded(
        law="ATLAS 2025, fitted",
        valid=f"{_range(fit)[0]:g} to {_range(fit)[1]:g} languages in {fit.nobs} runs",
        languages=languages,
        more=more,
        params=params,
        tokens=tokens,
        tokens_each=each,
        compute=compute,
        interval=f"{level:.0%}, bootstrap of the runs",
        notes=notes,
    )


def _factor(ratio: float, exponent: float, ends: np.ndarray) -> tuple[float, float | None, float | None]:
    if np.isnan(ends).any():
        return float(ratio**exponent), None, None
    lower, upper = sorted(float(ratio**end) for end in ends)
    return float(ratio**exponent), lower, upper


def _range(fit: ScalingFit) -> tuple[float, float]:
    counts = fit.problem.x[CAPACITY.inputs.index("languages")]
    return float(counts.min()), float(counts.max())

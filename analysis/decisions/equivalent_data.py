"""How much text of its own a language's multilingual model is worth, or a mixture would be: law, range and interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fitting.inversion import BELOW_FLOOR, EXTRAPOLATED, MEASURED, states
from analysis.fitting.result import Note
from analysis.laws.multilinguality import MultilingualityFit
from analysis.laws.published import outside
from curselab.errors import InputError

_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalentData:
    """An answer in target tokens; None: no amount of them (the loss lies below the curve's floor), or an open end."""

    law: str
    valid: str
    tokens: float | None
    lower: float | None
    upper: float | None
    level: float
    state: str
    """``measured``, ``extrapolated`` or ``below_floor``."""
    notes: tuple[Note, ...]


def equivalent_data(
    fit: MultilingualityFit,
    *,
    params: float,
    language: str | None = None,
    losses: Sequence[float] | None = None,
    tokens: float | None = None,
    added: float | None = None,
    mixture: str | None = None,
    seed: int = 0,
) -> EquivalentData:
    """Read a loss on a language's monolingual curve, or ask the law what a mixture would be worth.

    Parameters
    ----------
    fit : MultilingualityFit
        From ``fit_multilinguality``.
    params : float
        Size of model; one that was run, where losses are given.
    language : str, optional
        Needed where losses are given.
    losses : sequence of float, optional
        Of one or more runs (seeds) of a model to be placed, in the unit of the table.
    tokens, added : float, optional
        Target and added tokens of a mixture to be predicted, on average over the languages.
    mixture : str, optional
        What would be added, where the table has several.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        Neither losses nor a mixture is given, or the fit has no such language or size.
    """
    if losses is not None:
        return _of_losses(fit, params, language, np.asarray(losses, dtype=float), seed)
    if tokens is None or added is None or not (tokens > 0 and added > 0):
        raise InputError("equivalent_data: losses of a language, or tokens and added above 0, are needed")
    law = fit.law_of(mixture)
    gain, lower, upper = law.gain(params, tokens, added / tokens, level=fit.level)
    notes = outside(
        {
            "params": (params, law.params_range),
            "tokens": (tokens, law.tokens_range),
            "added over target tokens": (added / tokens, law.ratio_range),
        }
    )
    ends = [None if end is None else float(tokens * 2.0**end) for end in (lower, upper)]
    return EquivalentData(
        law=f"help, then hurt, fitted to {law.mixture}",
        valid=_ranges(law.params_range, law.tokens_range) + f", ratios {law.ratio_range[0]:.3g} to {law.ratio_range[1]:.3g}",
        tokens=float(tokens * 2.0**gain),
        lower=ends[0],
        upper=ends[1],
        level=fit.level,
        state=EXTRAPOLATED if notes else MEASURED,
        notes=notes,
    )


def _of_losses(fit: MultilingualityFit, params: float, language: str | None, losses: np.ndarray, seed: int) -> EquivalentData:
    curve = fit.curve_of(params)
    if language not in curve.languages:
        raise InputError(f"language: {language!r} was given (with a curve: {', '.join(curve.languages)})")
    if not (len(losses) and np.isfinite(losses).all() and (losses > 0).all()):
        raise InputError(f"losses: {losses.tolist()} were given, positive finite numbers are needed")
    i, rng = curve.languages.index(language), np.random.default_rng(seed)
    y = float(np.mean(np.log(losses)))
    noise = rng.standard_normal(_DRAWS) * (np.sqrt(curve.dof / rng.chisquare(curve.dof, _DRAWS)) if curve.dof else 1.0)
    found = float(curve.log_tokens(np.full((len(curve.languages), 1), y))[i, 0])
    at = np.broadcast_to((y + curve.sigma / np.sqrt(len(losses)) * noise)[:, None, None], (_DRAWS, len(curve.languages), 1))
    draws = curve.log_tokens(at, curve.draw(_DRAWS, rng))[:, i, 0]
    tail = (1 - fit.level) / 2
    # an infinite end cannot be interpolated
    lower, upper = (_tokens(float(q)) for q in np.quantile(draws, [tail, 1 - tail], method="nearest"))
    low, high = np.log(curve.measured)
    state = str(states(found, (float(low), float(high))))
    notes = {
        MEASURED: (),
        EXTRAPOLATED: (
            Note(EXTRAPOLATED, f"the curve was measured from {curve.measured[0]:.3g} to {curve.measured[1]:.3g} tokens"),
        ),
        BELOW_FLOOR: (Note(BELOW_FLOOR, "the loss lies below what the curve reaches with any data"),),
    }[state]
    return EquivalentData(
        law=f"monolingual curve, {curve.form}, of {language}",
        valid=_ranges((params, params), curve.measured),
        tokens=_tokens(found),
        lower=lower,
        upper=upper,
        level=fit.level,
        state=state,
        notes=notes,
    )


def _tokens(log_tokens: float) -> float | None:
    """Tokens; None beyond any number that a table could hold."""
    return float(np.exp(log_tokens)) if log_tokens < 100.0 else None


def _ranges(params: tuple[float, float], tokens: tuple[float, float]) -> str:
    return f"params {params[0]:.3g} to {params[1]:.3g}, tokens {tokens[0]:.3g} to {tokens[1]:.3g}"

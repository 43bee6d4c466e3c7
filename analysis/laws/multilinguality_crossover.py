r"""Target data above which adding languages hurts, :math:`D_c(N)`, with an interval; from the help-then-hurt law.

At the crossover the mean gain over languages is zero, so the sizes of data at which it is not told from zero are a confidence
set for it (as Fieller's for a ratio): one that ends where the data say so, and stays open where they do not. Standard errors
are those of a jackknife over languages where there are five or more, else over the seeds of each (of few clusters' estimators
the jackknife is the safe one: MacKinnon, Nielsen and Webb 2023, Journal of Econometrics 232(2)). The last fall of the gain
through zero is meant; with much less data a law with a ceiling may hurt again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.fitting.result import Note
from analysis.laws.multilinguality_curse import gain_log2
from analysis.laws.multilinguality_law import Cells, FittedLaw, fit_law

Vector = NDArray[np.float64]

MIN_LANGUAGES = 5
_GRID = 241
_BEYOND = np.log(100.0)  # the measured data, on either side


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes over the target's own text, fewer where there is more of it; between sizes along lines in logarithms."""

    tokens: tuple[float, ...]
    epochs: tuple[float, ...]

    def at(self, log_tokens: Vector) -> Vector:
        """Passes at ln target tokens, ``(n,)``; those of the nearest size outside the measured ones."""
        return np.exp(np.interp(log_tokens, np.log(self.tokens), np.log(self.epochs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """At one size and one ratio of added to target tokens; ends of None are open, a value of None does not exist."""

    mixture: str
    params: float
    ratio: float
    tokens: float | None
    lower: float | None
    upper: float | None
    level: float
    n_units: int
    """Languages, or seeds, that the interval comes from."""
    notes: tuple[Note, ...]


def jackknife(cells: Cells, fit: FittedLaw, units: NDArray[np.intp]) -> list[FittedLaw]:
    """Fits without each unit ``(n,)`` in turn; of languages, a left out one keeps its number and the others' exponents."""
    fits = []
    for unit in np.unique(units):
        kept = cells.take(units != unit)
        numbers, kept_language = np.unique(kept.language, return_inverse=True)
        part = Cells(kept_language, kept.params, kept.tokens, kept.added, kept.seen, kept.log_loss, kept.weights)
        fits.append(fit_law(part, fit.form, start=fit))
        assert len(numbers) == len(fits[-1].E)
    return fits


def mean_gain(fit: FittedLaw, params: float, log_tokens: Vector, ratio: float, passes: Passes) -> Vector:
    """log2 gain, averaged over the languages of a fit, at ln target tokens ``(n,)``."""
    epochs = passes.at(log_tokens)
    D = np.exp(log_tokens)
    extra = fit.law(0).transfer(D, ratio * D) / D
    with np.errstate(divide="ignore"):
        scales = np.log(np.asarray(fit.A)) - np.log(np.asarray(fit.B))
    log_ratio = scales[:, None] - fit.alpha * np.log(params) + fit.beta * log_tokens
    share = np.log(epochs / (epochs + ratio))
    return np.asarray(gain_log2(extra, share, log_ratio=log_ratio, cost=fit.cost, beta=fit.beta).mean(axis=0))


def search(measured: tuple[float, float]) -> Vector:
    """Ln target tokens among which a crossover is looked for: the measured ones and a factor of 100 beyond."""
    return np.linspace(np.log(measured[0]) - _BEYOND, np.log(measured[1]) + _BEYOND, _GRID)


def last_fall(at: Vector, gain: Vector) -> tuple[int, float] | None:
    """Find where a gain ``(n,)`` last falls through zero: the place before, and ``at`` there; None where it does not."""
    turns = np.flatnonzero((gain[:-1] > 0) & (gain[1:] <= 0))
    if not len(turns):
        return None
    i = int(turns[-1])
    return i, float(at[i] + (at[i + 1] - at[i]) * gain[i] / (gain[i] - gain[i + 1]))


def find_crossover(
    fit: FittedLaw,
    others: Sequence[FittedLaw],
    *,
    name: str,
    params: float,
    ratio: float,
    passes: Passes,
    measured: tuple[float, float],
    level: float,
) -> Crossover:
    """Find the crossover and its confidence set.

    Parameters
    ----------
    fit : FittedLaw
        Of all cells.
    others : sequence of FittedLaw
        Of the jackknife.
    name : str
        Of the set.
    params, ratio : float
        Size of model; added over target tokens.
    passes : Passes
        Over the target's text.
    measured : tuple of two floats
        Smallest and largest target tokens.
    level : float
        Of the set.
    """
    at = search(measured)
    gain = mean_gain(fit, params, at, ratio, passes)
    n = len(others)
    left_out = np.array([mean_gain(one, params, at, ratio, passes) for one in others])
    se = np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    close = np.abs(gain) <= student_t.ppf((1 + level) / 2, max(n - 1, 1)) * se
    fall, notes, tokens = last_fall(at, gain), [], None
    if fall is not None:
        tokens = float(np.exp(fall[1]))
        if not measured[0] <= tokens <= measured[1]:
            notes.append(Note("extrapolated", f"{tokens:.3g} tokens lie outside {measured[0]:.3g} to {measured[1]:.3g}"))
    else:
        does = "helps" if gain[-1] > 0 else "hurts" if (gain < 0).all() else "does nothing"
        notes.append(
            Note("no_crossover", f"the law's mean gain does not fall through zero: adding {does} wherever it was looked")
        )
    lower, upper = _ends(at, gain, close, None if fall is None else fall[0])
    if lower is None or upper is None:
        notes.append(Note("not_identified", "the interval is open: the runs do not bound the crossover on both sides"))
    return Crossover(
        mixture=name,
        params=params,
        ratio=ratio,
        tokens=tokens,
        lower=lower,
        upper=upper,
        level=level,
        n_units=n,
        notes=tuple(notes),
    )


def _ends(at: Vector, gain: Vector, close: NDArray[np.bool_], turn: int | None) -> tuple[float | None, float | None]:
    """Ends of the stretch of sizes, around the crossover, whose gain is not told from zero; None where it has no end."""
    if turn is not None:
        start = turn + 1 if abs(gain[turn + 1]) < abs(gain[turn]) else turn
    else:
        start = len(at) - 1 if gain[-1] > 0 else 0
    below, above = np.flatnonzero(~close[:start]), np.flatnonzero(~close[start + 1 :])
    lower = float(np.exp(at[below[-1]])) if len(below) else None
    upper = float(np.exp(at[start + 1 + above[0]])) if len(above) else None
    if turn is None and not close[start]:
        # nowhere in sight: beyond the last size that still helps, or before the first that hurts
        return (float(np.exp(at[-1])), None) if gain[-1] > 0 else (None, float(np.exp(at[0])))
    return lower, upper

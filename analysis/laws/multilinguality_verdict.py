r"""Help, hurt, equivalent or unresolved: what adding languages does to a target, with its smallest detectable gain.

A gain (:mod:`analysis.laws.multilinguality_gain`) is judged against two baselines: the language's own monolingual curve, as in
the paper, and the same model trained on more passes over its own text with the compute of the mixture (the mixture
named ``matched``). "Help" and "hurt" must hold against both, where both were run: more steps alone help too.

Languages are the sampling unit, in a bootstrap of two levels: languages are drawn, each with all its seeds; and seeds and
curves are drawn at fixed languages. Seeds drawn within drawn languages would count their noise twice (Davison and Hinkley
1997, section 3.8), so the larger of the two standard errors is taken: languages cannot differ by less than their noise. It
goes with Student's t of one degree of freedom fewer than languages, since percentiles of a few languages reach no small
p-value. A single language is judged by its own seeds and curve.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.fitting.equivalence import Answers, Effects, answers
from analysis.fitting.inversion import MEASURED
from analysis.laws.multilinguality_gain import Gains

Vector = NDArray[np.float64]

MARGIN = 0.05
"""Gains and losses of less target data than this share are as good as none."""
WORDS = {"up": "help", "down": "hurt", "equivalent": "equivalent", "unresolved": "unresolved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one mixture does at one size, of one language or on average; gains in log2 of target data."""

    language: str
    """Empty for the mean over languages."""
    mixture: str
    params: float
    tokens: float
    added: float
    n_languages: int
    gain: float
    """Over the own curve."""
    lower: float | None
    upper: float | None
    matched: float | None
    """Over the compute-matched baseline."""
    matched_lower: float | None
    matched_upper: float | None
    p_no_effect: float | None
    """Against both baselines, Holm-adjusted over the cells."""
    p_effect: float | None
    """Of a gain or loss of the margin or more, Holm-adjusted."""
    detectable: float | None
    """Gain that is found in 80 % of such tables."""
    censored: float
    """Share of languages whose equivalent data lie outside the measured sizes."""
    verdict: str


def judge(gains: Gains, matched: Gains | None, *, level: float, margin: float, rng: np.random.Generator) -> list[Verdict]:
    """Judge the mean over languages of every cell.

    Parameters
    ----------
    gains : Gains
        Over the own curve.
    matched : Gains, optional
        The same cells over the compute-matched baseline; NaN where that was not run.
    level : float
        One less the chance of any false "help" or "hurt".
    margin : float
        Share of target data that counts as none.
    rng : numpy.random.Generator
        Source of all randomness.
    """
    picks = pick_languages(gains, rng)

    def effects(g: Gains) -> Effects:
        return mean_effects(g.point, g.draws, picks)

    questions = [("", cell, said) for cell, said in zip(gains.cells.to_dict("records"), gains.state, strict=True)]
    return _verdicts(questions, effects(gains), None if matched is None else effects(matched), level, margin)


def pick_languages(gains: Gains, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw as many languages as there are, ``(draws, n_languages)``."""
    n = len(gains.languages)
    return rng.integers(n, size=(len(gains.draws), n))


def mean_effects(point: Vector, draws: Vector, picks: NDArray[np.intp]) -> Effects:
    """Means over languages with the larger of two errors: between languages, and of their seeds and curves.

    Parameters
    ----------
    point : numpy.ndarray
        ``(n, n_languages)``, NaN where a language is missing.
    draws : numpy.ndarray
        The same with its noise drawn, ``(draws, n, n_languages)``.
    picks : numpy.ndarray
        Languages of each draw, ``(draws, n_languages)``.
    """
    counts = np.isfinite(point).sum(axis=1)
    one = np.broadcast_to(point, draws.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = _spread(np.take_along_axis(one, picks[:, None, :], axis=2)) * np.sqrt(counts / (counts - 1))
    se = np.maximum(between, _spread(draws))
    return Effects(_nanmean(point), np.where(counts > 1, se, np.nan), np.maximum(counts - 1.0, 1.0))


def judge_each(gains: Gains, matched: Gains | None, *, level: float, margin: float) -> list[Verdict]:
    """Judge every cell of every language, from the noise of its seeds and its curve; Holm's correction is over all."""
    there = np.isfinite(gains.point)

    def effects(g: Gains) -> Effects:
        return Effects(g.point[there], g.errors()[there], g.dof[there])

    cells = gains.cells.to_dict("records")
    questions = [(gains.languages[j], cells[i], gains.state[i, j : j + 1]) for i, j in np.argwhere(there)]
    return _verdicts(questions, effects(gains), None if matched is None else effects(matched), level, margin)


def _verdicts(
    questions: list[tuple[str, dict[Hashable, Any], NDArray[np.str_]]],
    own: Effects,
    matched: Effects | None,
    level: float,
    margin: float,
) -> list[Verdict]:
    """One verdict a question: language, cell, and the states of the languages behind it."""
    answer = _both(own, matched, float(np.log2(1 + margin)), level)
    lower, upper = own.interval(level)
    detectable = own.detectable(level, len(own.estimate))
    nothing = np.full(len(lower), np.nan)
    ends = (nothing, nothing) if matched is None else matched.interval(level)
    return [
        Verdict(
            language=language,
            mixture=str(cell["mixture"]),
            params=float(cell["params"]),
            tokens=float(cell["tokens"]),
            added=float(cell["added"]),
            n_languages=int((said != "").sum()),
            gain=float(own.estimate[i]),
            lower=_number(lower[i]),
            upper=_number(upper[i]),
            matched=None if matched is None else _number(matched.estimate[i]),
            matched_lower=_number(ends[0][i]),
            matched_upper=_number(ends[1][i]),
            p_no_effect=_number(answer.p_zero[i]),
            p_effect=_number(answer.p_equivalent[i]),
            detectable=_number(detectable[i]),
            censored=float(np.mean(said[said != ""] != MEASURED)),
            verdict=WORDS[answer.answer[i]],
        )
        for i, (language, cell, said) in enumerate(questions)
    ]


def _both(own: Effects, matched: Effects | None, limit: float, level: float) -> Answers:
    """A cell without a matched run is judged against the own curve alone."""
    if matched is None:
        return answers([own], margin=limit, level=level)
    there = np.isfinite(matched.estimate) & np.isfinite(matched.se)
    filled = Effects(*(np.where(there, m, o) for m, o in zip(_fields(matched), _fields(own), strict=True)))
    return answers([own, filled], margin=limit, level=level)


def _fields(effects: Effects) -> tuple[Vector, Vector, Vector]:
    return effects.estimate, effects.se, effects.dof


def _spread(draws: Vector) -> Vector:
    """Standard deviation over draws of the mean over languages, ``(n_cells,)``; a draw without any language says nothing."""
    means = _nanmean(draws).T
    return np.asarray(np.sqrt(_nanmean((means - _nanmean(means)[:, None]) ** 2)))


def _nanmean(values: Vector) -> Vector:
    counts = np.isfinite(values).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(values, axis=-1) / counts)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def verdict_frame(verdicts: tuple[Verdict, ...]) -> pd.DataFrame:
    """One row a verdict, with the fields of ``Verdict``."""
    names = Verdict.__dataclass_fields__
    return pd.DataFrame([[getattr(v, name) for name in names] for v in verdicts], columns=list(names))

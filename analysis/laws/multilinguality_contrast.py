"""What separates two mixtures, and what the size of the model does: contrasts of gains, paired within each language.

=====================  =====================================================================================
contrast               it asks
=====================  =====================================================================================
similar - dissimilar   does it matter which languages are added?
similar - null         is it their structure, or only more steps and a regulariser?
slope in log2 N        do larger models lose less? A curse of capacity must shrink with the size of the model
=====================  =====================================================================================

Languages are the sampling unit, as in :mod:`analysis.laws.multilinguality_verdict`. Both sides of a contrast are read on one
curve, so its error cancels. The null language has the statistics of letters or words and none of their order: it takes
capacity and steps as a language does and has nothing to transfer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.fitting.equivalence import answers
from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_runs import ARMS
from analysis.laws.multilinguality_verdict import mean_effects, pick_languages

Vector = NDArray[np.float64]

WORDS = {"up": "more", "down": "less", "equivalent": "equivalent", "unresolved": "unresolved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Gain of one mixture less that of another, log2 of target data; or its slope, per doubling of the model."""

    first: str
    second: str
    """Empty for a slope."""
    params: float | None
    """None: of all sizes."""
    tokens: float | None
    """None: of all amounts of target data, the answer to the whole question."""
    n_cells: int
    """Averaged over: amounts that were added, and sizes where these are None."""
    n_languages: int
    value: float
    lower: float | None
    upper: float | None
    p: float | None
    """Holm-adjusted over the rows of the table that are as fine."""
    detectable: float | None
    """Size that is found in 80 % of such tables."""
    answer: str
    """``more``, ``less``, ``equivalent`` (to the margin) or ``unresolved``."""


@dataclass(frozen=True, slots=True)
class _Draft:
    first: str
    second: str
    params: float | None
    tokens: float | None
    n_cells: int
    point: Vector
    """``(n_languages,)``"""
    draws: Vector
    """``(draws, n_languages)``"""


def contrast_mixtures(gains: Gains, *, level: float, margin: float, rng: np.random.Generator) -> list[Contrast]:
    """Compare every two mixtures at each size of model and of target data, and over all; less is expected of the second.

    Parameters
    ----------
    gains : Gains
        Of the mixtures, without the matched baseline.
    level : float
        One less the chance of any false "more" or "less" in rows that are as fine.
    margin : float
        Share of target data that counts as none.
    rng : numpy.random.Generator
        Draws the languages.
    """
    drafts: list[_Draft] = []
    for first, second in combinations(sorted(set(gains.cells["mixture"]), key=_order), 2):
        less = gains.difference(first, second)
        difference = less.cells, less.point, less.draws
        for by in (["params", "tokens"], []):
            drafts += _averages(difference, first, second, by)
    return _judged(drafts, gains, level=level, margin=margin, rng=rng)


def contrast_sizes(gains: Gains, *, level: float, margin: float, rng: np.random.Generator) -> list[Contrast]:
    """Slope of the gain in log2 of the model's size, of every mixture at each size of target data and over all."""
    drafts: list[_Draft] = []
    for mixture in sorted(set(gains.cells["mixture"]), key=_order):
        slopes = _slopes(gains.take((gains.cells["mixture"] == mixture).to_numpy()))
        for by in (["tokens"], []):
            drafts += _averages(slopes, mixture, "", by)
    return _judged(drafts, gains, level=level, margin=margin, rng=rng)


_Part = tuple[pd.DataFrame, Vector, Vector]  # cells, and their point and draws


def _slopes(gains: Gains) -> _Part:
    """One row an amount of target and added data that was run at two sizes or more."""
    cells, points, draws = [], [], []
    for (tokens, added), part in gains.cells.groupby(["tokens", "added"]):
        if len(part) > 1:
            x = np.log2(part["params"].to_numpy(dtype=float))
            weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
            cells.append((tokens, added))
            # a language that lacks a size has no slope
            points.append(weights @ gains.point[part.index])
            draws.append(np.einsum("c,bcl->bl", weights, gains.draws[:, part.index]))
    frame = pd.DataFrame(cells, columns=["tokens", "added"], dtype=float)
    if not cells:
        return frame, np.empty((0, len(gains.languages))), np.empty((len(gains.draws), 0, len(gains.languages)))
    return frame, np.stack(points), np.stack(draws, axis=1)


def _averages(part: _Part, first: str, second: str, by: list[str]) -> Iterator[_Draft]:
    """Means over the cells that agree in ``by``: over those that most languages have, of the languages that have them all."""
    cells, point, draws = part
    groups = cells.groupby(by).indices.items() if by else [((), np.arange(len(cells)))] if len(cells) else []
    for key, every in groups:
        values = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        there = np.isfinite(point[every]).sum(axis=1)
        index = every[there == there.max()]
        yield _Draft(
            first,
            second,
            values.get("params"),
            values.get("tokens"),
            len(index),
            point[index].mean(axis=0),
            draws[:, index].mean(axis=1),
        )


def _judged(drafts: list[_Draft], gains: Gains, *, level: float, margin: float, rng: np.random.Generator) -> list[Contrast]:
    """Two families of tests: the rows at a size of target data, and those over all."""
    picks, found = pick_languages(gains, rng), []
    for whole in (True, False):
        family = [d for d in drafts if (d.tokens is None) == whole and np.isfinite(d.point).any()]
        if not family:
            continue
        effects = mean_effects(np.stack([d.point for d in family]), np.stack([d.draws for d in family], axis=1), picks)
        answer = answers([effects], margin=float(np.log2(1 + margin)), level=level)
        lower, upper = effects.interval(level)
        detectable = effects.detectable(level, len(family))
        for i, draft in enumerate(family):
            found.append(
                Contrast(
                    first=draft.first,
                    second=draft.second,
                    params=draft.params,
                    tokens=draft.tokens,
                    n_cells=draft.n_cells,
                    n_languages=int(np.isfinite(draft.point).sum()),
                    value=float(effects.estimate[i]),
                    lower=_number(lower[i]),
                    upper=_number(upper[i]),
                    p=_number(answer.p_zero[i]),
                    detectable=_number(detectable[i]),
                    answer=WORDS[answer.answer[i]],
                )
            )
    return found


def _order(mixture: str) -> tuple[int, str]:
    return (ARMS.index(mixture) if mixture in ARMS else -1), mixture


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

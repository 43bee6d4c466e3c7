r"""What likeness is worth: gains against the similarity of the added languages to the target, one measure at fixed others.

.. math:: g_{similar} - g_{dissimilar} = \sum_m \beta_m (s_{m,similar} - s_{m,dissimilar})

for each language, with both gains averaged over its cells: the two arms share curve, size and steps, so nothing but likeness
(and what goes with it) is left to differ. A cell counts by the inverse of its variance from seeds and curves: a flat curve
turns noise into gains. :math:`\beta_m` is the gain of a likeness of 1 above one of 0, log2 of target data,
at the same values of the other measures. Languages are the sampling unit; there is no constant, since arms that are equally
alike are the same arm. Where measures rise together over the languages, the data cannot tell them apart, and say so.

Beside it stands the partition of Chang et al. (2024), arXiv:2311.09205, section 6.1: share of the variance of gains over
languages and sets that each subset of measures explains, and correlations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_runs import DISSIMILAR, SIMILAR
from analysis.laws.multilinguality_similarity import explained

Vector = NDArray[np.float64]

_ALIKE = 0.99  # correlation of two measures above which neither is read at fixed values of the other
_LEAST = 1e-6  # of a measure's span


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Gain of a likeness of 1 above one of 0 by one measure, log2 of target data; None where the data cannot tell."""

    measure: str
    value: float | None
    lower: float | None
    upper: float | None
    p: float | None
    n_languages: int
    span: tuple[float, float]
    """Smallest and largest difference between the two arms of a language."""
    reason: str = ""
    """Why there is no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Share of the variance of gains over languages and sets that a subset of measures explains."""

    predictors: str
    """Joined by +."""
    n: int
    r2: float
    adjusted_r2: float
    r: float | None
    """Pearson's, of a single measure, with Fisher's interval."""
    lower: float | None
    upper: float | None


def likeness(gains: Gains, table: pd.DataFrame, measures: Sequence[str], *, level: float) -> list[Likeness]:
    """Regress the difference of two arms on the differences of their similarities to the target; none without two arms.

    Parameters
    ----------
    gains : Gains
        Of the mixtures.
    table : pandas.DataFrame
        ``language``, ``mixture`` and the measures, one row a language and mixture.
    measures : sequence of str
        Its columns of similarity; a larger value is more alike.
    level : float
        Of the intervals.
    """
    arms = [name for name in (SIMILAR, DISSIMILAR) if (gains.cells["mixture"] == name).any()]
    if len(arms) < 2 or not measures:
        return []
    y, draws = _differences(gains, *arms)
    first, second = (
        table[table["mixture"] == name].set_index("language")[list(measures)].reindex(list(gains.languages)) for name in arms
    )
    X = (first - second).to_numpy(dtype=float)
    known = np.isfinite(y) & np.isfinite(X).all(axis=1)
    X, y, draws = X[known], y[known], draws[:, known]
    n, k = X.shape
    spans = [(float(x.min()), float(x.max())) if n else (0.0, 0.0) for x in X.T]
    reason = _reason(X, measures)
    if reason:
        blank = {"value": None, "lower": None, "upper": None, "p": None, "n_languages": n, "reason": reason}
        return [Likeness(measure=m, span=span, **blank) for m, span in zip(measures, spans, strict=True)]
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ y
    between = np.sum((y - X @ beta) ** 2) / (n - k) * np.diag(inverse)
    # languages cannot differ by less than their seeds and their common curve do
    within = np.var(draws @ X @ inverse, axis=0, ddof=1)
    se = np.sqrt(np.maximum(between, within))
    half = student_t.ppf((1 + level) / 2, n - k) * se
    p = 2 * student_t.sf(np.abs(beta) / se, n - k)
    return [
        Likeness(
            measure=m,
            value=float(beta[i]),
            lower=float(beta[i] - half[i]),
            upper=float(beta[i] + half[i]),
            p=float(p[i]),
            n_languages=n,
            span=spans[i],
        )
        for i, m in enumerate(measures)
    ]


def explain(gains: Gains, table: pd.DataFrame, measures: Sequence[str], *, level: float) -> list[Explained]:
    """Partition the variance of gains over languages and sets, as Chang et al. do; none where there are too few of them."""
    rows: list[tuple[str, str, float]] = []
    for mixture, part in gains.cells.groupby("mixture"):
        there = np.isfinite(gains.point[part.index])
        with np.errstate(invalid="ignore"):
            mean = np.where(there, gains.point[part.index], 0.0).sum(axis=0) / there.sum(axis=0)
        rows += [(name, str(mixture), value) for name, value in zip(gains.languages, mean.tolist(), strict=True)]
    frame = pd.DataFrame(rows, columns=["language", "mixture", "gain"]).set_index(["language", "mixture"])
    if not measures:
        return []
    both = table.set_index(["language", "mixture"])[list(measures)].join(frame, how="inner").dropna()
    n = len(both)
    if n < len(measures) + 3 or any(both[m].nunique() < 2 for m in measures):
        return []
    found = []
    for row in explained(both["gain"], both[list(measures)]).to_dict("records"):
        single = bool(np.isfinite(row["r"]))
        half = float(norm.ppf((1 + level) / 2) / np.sqrt(n - 3)) if single and n > 3 else np.nan
        ends = [float(np.tanh(np.arctanh(np.clip(row["r"], -1 + 1e-12, 1 - 1e-12)) + s * half)) for s in (-1, 1)]
        found.append(
            Explained(
                predictors=row["predictors"],
                n=n,
                r2=float(row["r2"]),
                adjusted_r2=float(row["adjusted_r2"]),
                r=float(row["r"]) if single else None,
                lower=ends[0] if np.isfinite(ends[0]) else None,
                upper=ends[1] if np.isfinite(ends[1]) else None,
            )
        )
    return found


def _differences(gains: Gains, first: str, second: str) -> tuple[Vector, Vector]:
    """Mean difference of each language over the cells that both arms have, ``(n_languages,)``, and its draws."""
    less = gains.difference(first, second)
    there = np.isfinite(less.point)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = there.sum(axis=1) / np.nansum(
            less.draws.var(axis=0, ddof=1), axis=1
        )  # of a cell, the same for all languages
        weights = np.where(there, precision[:, None], 0.0)
        weights /= weights.sum(axis=0)
        return np.nansum(weights * less.point, axis=0) / there.any(axis=0), np.nansum(weights * less.draws, axis=1)


def _reason(X: Vector, measures: Sequence[str]) -> str:
    n, k = X.shape
    if n <= k:
        return f"{n} languages have both arms and their similarities, {k + 1} are needed"
    flat = [m for m, x in zip(measures, X.T, strict=True) if np.abs(x).max() < _LEAST]
    if flat:
        return f"both arms are equally alike by {flat[0]}"
    unit = X / np.linalg.norm(X, axis=0)
    together = np.argwhere(np.triu(np.abs(unit.T @ unit) > _ALIKE, 1))
    if len(together):
        return f"{measures[together[0, 0]]} and {measures[together[0, 1]]} rise together"
    return ""

"""Where the spread of the gains comes from: mixture, size, target data, added data, language, and what a seed alone moves.

Each source is a factor of a least-squares fit to the gains of all cells and languages, without interactions. Its share is the
part of their variance that no other source explains: the fall of R2 when it is left out (type III). Where a grid is crossed,
shares add up; what two sources explain alike because they go together is *confounded*. Seeds and curves are the mean squared
error of a gain over that variance; the rest is interaction.

Intervals are a jackknife's over languages, cut at 0 and 1. Chang et al. (2024), arXiv:2311.09205, section 6.1, partition the
variance between measures of similarity instead: :func:`analysis.laws.multilinguality_similarity.explained`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_table import ratio_levels

Vector = NDArray[np.float64]

_MIN_LANGUAGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Share of the variance of the gains; no interval below three languages."""

    source: str
    share: float
    lower: float | None
    upper: float | None


def partition(gains: Gains, *, level: float) -> list[Share]:
    """Share the variance of all gains out between their sources; none where the gains do not vary.

    Parameters
    ----------
    gains : Gains
        Of the mixtures, without the matched baseline.
    level : float
        Of the intervals.
    """
    whole = _shares(gains, np.ones(len(gains.languages), dtype=bool))
    n = len(gains.languages)
    without = [_shares(gains, np.arange(n) != j) for j in range(n)] if n >= _MIN_LANGUAGES else []
    found = []
    for source, share in whole.items():
        others = np.array([one[source] for one in without if source in one])
        lower = upper = None
        if len(others) == n:
            half = float(student_t.ppf((1 + level) / 2, n - 1) * np.sqrt((n - 1) / n * np.sum((others - others.mean()) ** 2)))
            lower, upper = max(share - half, 0.0), min(share + half, 1.0)
        found.append(Share(source=source, share=share, lower=lower, upper=upper))
    return found


def _shares(gains: Gains, kept: NDArray[np.bool_]) -> dict[str, float]:
    point = gains.point[:, kept]
    row, column = np.nonzero(np.isfinite(point))
    y = point[row, column]
    cells = gains.cells.iloc[row]
    total = float(np.sum((y - y.mean()) ** 2)) if len(y) else 0.0
    if total == 0:
        return {}
    ratio = ratio_levels(*(cells[name].to_numpy(dtype=float) for name in ("added", "tokens")))
    named = {
        "mixture": cells["mixture"],
        "size of model": cells["params"],
        "target data": cells["tokens"],
        "added data": ratio,
        "language": column,
    }
    levels = {name: pd.factorize(np.asarray(values))[0] for name, values in named.items()}
    factors = {name: np.eye(codes.max() + 1)[codes][:, 1:] for name, codes in levels.items() if codes.max() > 0}
    whole = _r2(list(factors.values()), y, total)
    alone = {name: whole - _r2([x for other, x in factors.items() if other != name], y, total) for name in factors}
    noise = float(np.mean(np.var(gains.draws[:, :, kept], axis=0, ddof=1)[row, column])) * len(y) / total
    return alone | {
        "confounded": whole - sum(alone.values()),
        "seeds and curves": min(noise, 1 - whole),
        "interactions": max(1 - whole - noise, 0.0),
    }


def _r2(factors: list[Vector], y: Vector, total: float) -> float:
    X = np.column_stack([np.ones(len(y)), *factors])
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    return 1 - float(left @ left) / total

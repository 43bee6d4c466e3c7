"""The compute-matched baseline: the target alone, with as many more passes over its own text as pay.

A mixture has had more steps than the monolingual run, and more steps alone may help as much; too many of them overfit, which
would make any mixture look good. So the baseline of a mixture is the best of the runs alone that took no more compute: with
none, some or all of its extra steps. How many, each language is told by the *others'* mean, since a choice by its own noise
would favour the baseline; a single language chooses for itself. It stands in for the best checkpoint on a validation slice.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.laws.multilinguality_gain import Gains

Vector = NDArray[np.float64]


def over_matched(own: Gains, alone: Gains) -> Gains | None:
    """Gains above the matched baseline; NaN where no run alone has the compute of the mixture, None where none has anywhere.

    Parameters
    ----------
    own : Gains
        Of the mixtures.
    alone : Gains
        Of the runs with more passes; ``added`` is that of the mixture whose compute they have.
    """
    rows = np.full(own.point.shape, -1, dtype=np.intp)
    stays = np.zeros(own.point.shape, dtype=bool)
    for i, cell in enumerate(own.cells.itertuples()):
        same = (alone.cells["params"] == cell.params) & (alone.cells["tokens"] == cell.tokens)
        ladder = np.flatnonzero(same & (alone.cells["added"] <= cell.added))
        if not len(ladder) or alone.cells["added"].iloc[ladder[-1]] != cell.added:
            continue
        chosen = _chosen(alone.point[ladder])
        there = np.isfinite(alone.point[ladder[-1]])
        stays[i] = there & (chosen < 0)
        rows[i] = np.where(there & (chosen >= 0), ladder[chosen], -1)
    if not (stays | (rows >= 0)).any():
        return None
    return own.less(alone, rows, keep=stays)


def _chosen(point: Vector) -> NDArray[np.intp]:
    """Step of the ladder ``(n_steps, n_languages)`` that the other languages choose for each; -1: no extra passes pay."""
    there = np.isfinite(point)
    values, counts = np.where(there, point, 0.0), there.astype(float)
    if point.shape[1] > 1 and (counts.sum(axis=0) > 0).sum() > 1:
        values, counts = (part.sum(axis=1, keepdims=True) - part for part in (values, counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, values / counts, -np.inf)
    best = means.argmax(axis=0)
    return np.where(np.take_along_axis(means, best[None], axis=0)[0] > 0, best, -1)

r"""Effective depth: what the loss says about each block's use when it is taken out.

With :math:`\delta_\ell` the rise of the loss without block :math:`\ell` (nats/token), :math:`\delta_+ = \max(\delta, 0)`:

===================== ======================================================================= =====================
quantity              definition                                                              uniform blocks give
===================== ======================================================================= =====================
effective depth       blocks with :math:`\delta_\ell` above a threshold                       L or 0
useful blocks         blocks with :math:`\delta_\ell` above a tenth of the loss               L or 0
nonlinear blocks      the same, an affine map in the place of the block                       L or 0
participation ratio   :math:`(\sum \delta_+)^2 / \sum \delta_+^2`                             L
entropy depth         :math:`\exp(-\sum p \ln p)`, :math:`p = \delta_+ / \sum \delta_+`       L
median ratio          median of the deep half over that of the shallow half                   1
median share          median of the deep half over the sum of both medians                    0.5
deep share            sum of the deep half over that of both                                  about 0.5
Spearman's rho        of :math:`\ell` and :math:`\delta_\ell`                                 0
===================== ======================================================================= =====================

The last four leave out the first and the last block, which cannot be removed from any model (Gromov et al. 2024,
arXiv:2403.17887); the deep half is :math:`L/2 < \ell < L`. The rule of a tenth is that of arXiv:2603.15389, which
has it of affine maps.

Known failures: a threshold hides that even uniform blocks each do less in a deeper model, so read it beside L; one large block
fakes a low deep share, which medians withstand; the ratio of a few seeds is bounded on one side alone, so that its
interval is wide where seeds differ, and the median share, the same on a scale on which both halves are alike, is what is
judged; larger damage by removal also follows from a stream of smaller
variance, so none of these shows use of depth without the loss itself.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from analysis.fitting.result import check_level
from analysis.fitting.seeds import Estimate, over_seeds, ratio_over_seeds
from curselab.errors import InputError

Vector = NDArray[np.float64]

THRESHOLDS = (0.01, 0.03, 0.1)
"""nats/token."""
_USEFUL = 0.1
_LEAST_BLOCKS = 4
_SPREADS = (
    "participation", "participation_interior", "entropy_depth", "median_ratio", "median_share", "deep_share", "spearman",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveDepth:
    """Effective depth of one model, over its seeds."""

    blocks: int
    deltas: tuple[float, ...]
    """Mean over seeds, nats/token, from the first block."""
    thresholds: tuple[float, ...]
    counts: tuple[Estimate, ...]
    """Blocks above each threshold."""
    useful: Estimate | None
    """Blocks whose removal costs more than a tenth of the loss; None where the loss is not known."""
    nonlinear: Estimate | None
    """Blocks that cost as much when an affine map takes their place; None where that was not measured."""
    participation: Estimate
    participation_interior: Estimate
    entropy_depth: Estimate
    median_ratio: Estimate
    median_share: Estimate
    deep_share: Estimate
    spearman: Estimate
    droppable: Estimate | None
    """Last blocks that can be dropped together for less than 0.1 nats/token; None where they were not."""
    n_seeds: int
    level: float

    def frame(self) -> pd.DataFrame:
        """One row a quantity, with its interval; None where there is none."""
        rows = {f"blocks above {t:g} nats/token": e for t, e in zip(self.thresholds, self.counts, strict=True)}
        rows |= {"useful blocks": self.useful or Estimate(None), "nonlinear blocks": self.nonlinear or Estimate(None)}
        rows |= {"droppable last blocks": self.droppable or Estimate(None)}
        rows |= {name.replace("_", " "): getattr(self, name) for name in _SPREADS}
        return pd.DataFrame(
            [{"quantity": name, "value": e.value, "lower": e.lower, "upper": e.upper} for name, e in rows.items()]
        )


def effective_depth(
    deltas: ArrayLike,
    *,
    loss: ArrayLike | None = None,
    affine: ArrayLike | None = None,
    truncated: ArrayLike | None = None,
    thresholds: tuple[float, ...] = THRESHOLDS,
    level: float = 0.95,
) -> EffectiveDepth:
    """Measure how many blocks a model uses, and how deep they lie.

    Parameters
    ----------
    deltas : array_like
        Rise of the loss without each block, from the first, nats/token: ``(L,)``, or ``(n_seeds, L)``.
    loss : array_like, optional
        Loss of the whole model, nats/token: a number or ``(n_seeds,)``.
    affine : array_like, optional
        Rise of the loss with an affine map in the place of each block, as ``deltas``; needs the loss.
    truncated : array_like, optional
        Rise of the loss without the last 1, 2, ... blocks, ``(n,)`` or ``(n_seeds, n)``.
    thresholds : tuple of float
        Of the counts, nats/token.
    level : float
        Of the intervals, which need two seeds.

    Returns
    -------
    EffectiveDepth

    Raises
    ------
    InputError
        There are fewer than four blocks, or a value is not finite.
    """
    d, level = np.atleast_2d(np.asarray(deltas, dtype=float)), check_level(level)
    if d.ndim != 2 or d.shape[1] < _LEAST_BLOCKS or not np.isfinite(d).all():
        raise InputError(f"deltas: {d.shape} was given, finite (n_seeds, L) with {_LEAST_BLOCKS} blocks or more is needed")
    n_seeds, blocks = d.shape
    shallow, deep = halves(d)
    up = np.maximum(d, 0.0)
    tenth = None if loss is None else _USEFUL * np.reshape(np.asarray(loss, dtype=float), (-1, 1))
    mapped = None if affine is None else np.atleast_2d(np.asarray(affine, dtype=float))
    cut = None if truncated is None else np.atleast_2d(np.asarray(truncated, dtype=float)) <= thresholds[-1]
    return EffectiveDepth(
        blocks=blocks,
        deltas=tuple(d.mean(axis=0).tolist()),
        thresholds=tuple(map(float, thresholds)),
        counts=tuple(over_seeds((d > t).sum(axis=1), level) for t in thresholds),
        useful=None if tenth is None else over_seeds((d > tenth).sum(axis=1), level),
        nonlinear=None if tenth is None or mapped is None else over_seeds((mapped > tenth).sum(axis=1), level),
        participation=over_seeds(_participation(up), level),
        participation_interior=over_seeds(_participation(up[:, 1:-1]), level),
        entropy_depth=over_seeds(_entropy_depth(up), level),
        median_ratio=ratio_over_seeds(np.median(deep, axis=1), np.median(shallow, axis=1), level),
        median_share=_within(over_seeds(median_shares(d), level), 0.0),
        deep_share=_within(ratio_over_seeds(halves(up)[1].sum(axis=1), up[:, 1:-1].sum(axis=1), level), 0.0),
        spearman=_within(over_seeds([_spearman(row[1:-1]) for row in d], level), -1.0),
        # those before the first that costs too much
        droppable=None if cut is None else over_seeds(np.cumprod(cut, axis=1).sum(axis=1), level),
        n_seeds=n_seeds,
        level=level,
    )


def halves(deltas: Vector) -> tuple[Vector, Vector]:
    """Shallow ``2 .. L/2`` and deep ``L/2 < l < L`` columns of ``(n_seeds, L)``."""
    blocks = deltas.shape[1]
    return deltas[:, 1 : blocks // 2], deltas[:, blocks // 2 : -1]


def median_shares(deltas: Vector) -> Vector:
    """Median share of each seed, ``(n_seeds,)``; NaN where both medians are zero or less."""
    low, high = (np.maximum(np.median(half, axis=1), 0.0) for half in halves(deltas))
    return np.asarray(np.where(low + high > 0, high / np.where(low + high > 0, low + high, 1.0), np.nan))


def _within(e: Estimate, least: float) -> Estimate:
    """Cut an interval at the least value that there can be, and at 1."""
    if e.lower is None or e.upper is None:
        return e
    return replace(e, lower=max(e.lower, least), upper=min(e.upper, 1.0))


def _participation(up: Vector) -> Vector:
    total, squares = up.sum(axis=1), (up**2).sum(axis=1)
    return np.asarray(np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1.0), np.nan))


def _entropy_depth(up: Vector) -> Vector:
    total = up.sum(axis=1, keepdims=True)
    p = up / np.where(total > 0, total, np.nan)
    return np.asarray(np.exp(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)))


def _spearman(values: Vector) -> float:
    ranks = rankdata(values)
    if np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(np.arange(len(values)), ranks)[0, 1])

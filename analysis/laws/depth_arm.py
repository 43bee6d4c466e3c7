"""One scheme at one depth, and one scheme over depths: what its runs and layers say, each number with its interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.paired import PairedMeans, paired_means
from analysis.fitting.seeds import Estimate, contrast, over_seeds, slopes
from analysis.laws.depth_effective import THRESHOLDS, EffectiveDepth, effective_depth
from analysis.laws.depth_growth import Growth, geometric, grow
from analysis.laws.depth_table import Cell, Layers
from curselab.errors import InputError

Vector = NDArray[np.float64]

_LEAST = 3  # points of a growth, blocks of a slope
SHARE_THRESHOLD = THRESHOLDS[1]
"""nats/token, of the effective depth that is compared over depths."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Values of one cell by seed, ``(n_seeds, n_layers)`` from the first block; NaN for a seed without a run."""

    cell: Cell
    log_v: Vector | None
    log_v_first: Vector | None
    """Before training."""
    over_steps: tuple[Vector, Vector] | None
    """Steps, and variance of the last block."""
    deltas: Vector | None
    affine: Vector | None
    truncated: Vector | None
    """From the last block alone to all of them."""
    tilts: Mapping[str, Vector]
    """Of each ratio that should fall with depth: slope of its ln on ln layer, trained less untrained, ``(n_seeds,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One scheme at one depth; None where it was not measured."""

    scheme: str
    depth: int
    losses: tuple[float | None, ...]
    """nats/token by seed, at a rate that the other seeds chose."""
    loss: Estimate
    rates: tuple[float | None, ...]
    """Learning rate of each seed."""
    v_last: Estimate | None
    """Variance after the last block, geometric mean."""
    growth: Growth | None
    """Over layers 1 to L - 1, at the end of training."""
    with_last: str | None
    """Family that is identified when the last block is in; None where none is."""
    initial: Growth | None
    """As ``growth``, before training."""
    over_steps: Growth | None
    """Of the variance after the last block, over optimiser steps."""
    effective: EffectiveDepth | None
    branch_tilt: Estimate | None
    jacobian_tilt: Estimate | None
    """How much faster than before training the branch over the stream, and the Jacobian less the identity, fall with depth:
    slope of ln on ln layer, trained less untrained."""
    n_seeds: int
    n_runs: int
    n_diverged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One scheme over its depths."""

    scheme: str
    depths: tuple[int, ...]
    """With a loss."""
    gain: Estimate | None
    """dloss/dlnL, nats/token; negative where depth helps."""
    gains: tuple[Estimate, ...]
    """Fall of the loss a doubling, nats/token, from each depth to the next; ``sd`` is the noise of one run."""
    shrinkage: Estimate | None
    """Last gain less the first."""
    over_depth: Growth | None
    """Of the variance after the last block, over depths."""
    share_slope: Estimate | None
    """Slope on ln L of the share of blocks whose removal costs more than 0.03 nats/token."""


def measure(cell: Cell, layers: Layers) -> Draft:
    """Look up what was measured in the layers of a cell."""
    variance = layers.profiles(cell, "residual_variance")
    first = layers.profiles(cell, "residual_variance", first=True)
    return Draft(
        cell=cell,
        log_v=_log(variance, cell, "residual_variance"),
        log_v_first=_log(first, cell, "residual_variance"),
        over_steps=layers.over_steps(cell, "residual_variance"),
        deltas=layers.profiles(cell, "loss_removed_delta_nats_per_token"),
        affine=layers.profiles(cell, "loss_affine_delta_nats_per_token"),
        truncated=_reversed(layers.profiles(cell, "loss_truncated_delta_nats_per_token")),
        tilts={name: tilt for name in _TILTED if (tilt := _tilt(cell, layers, name)) is not None},
    )


_TILTED = {"relative_contribution": ("attention", "ffn"), "jacobian_minus_identity": ("block",)}


def summarise(draft: Draft, level: float) -> Arm:
    """Turn the values of a cell into estimates."""
    cell = draft.cell
    known = [None if np.isnan(loss) else float(loss) for loss in cell.losses]
    log_v, first = _rows(draft.log_v), _rows(draft.log_v_first)
    with_last = _grow(log_v, level, whole=True)
    steps = draft.over_steps
    effective = None
    if draft.deltas is not None:
        alive = np.isfinite(draft.deltas).all(axis=1)
        affine, truncated = (None if values is None else values[alive] for values in (draft.affine, draft.truncated))
        effective = effective_depth(
            draft.deltas[alive], loss=cell.losses[alive], affine=affine, truncated=truncated, level=level
        )
    branch, jacobian = (draft.tilts.get(name) for name in _TILTED)
    return Arm(
        scheme=cell.scheme,
        depth=cell.depth,
        losses=tuple(known),
        loss=over_seeds(cell.losses, level),
        rates=tuple(None if np.isnan(rate) else rate for rate in cell.rates),
        v_last=None if log_v is None else geometric(over_seeds(log_v[:, -1], level)),
        growth=_grow(log_v, level),
        with_last=None if with_last is None else with_last.family,
        initial=_grow(first, level),
        over_steps=None
        if steps is None or len(steps[0]) < _LEAST
        else grow(steps[0], np.log(steps[1]), axis="step", level=level),
        effective=effective,
        branch_tilt=None if branch is None else over_seeds(branch, level),
        jacobian_tilt=None if jacobian is None else over_seeds(jacobian, level),
        n_seeds=sum(loss is not None for loss in known),
        n_runs=cell.n_runs,
        n_diverged=cell.n_diverged,
    )


def across(drafts: Sequence[Draft], level: float) -> Scheme:
    """Put the depths of one scheme, rising, beside each other."""
    alive = [d for d in drafts if d.cell.alive]
    depths = np.array([d.cell.depth for d in alive], dtype=float)
    gain: Estimate | None = None
    shrinkage: Estimate | None = None
    gains: tuple[Estimate, ...] = ()
    if len(alive) > 1:
        paired = paired_losses(alive)
        x = np.log(depths) - np.log(depths).mean()
        gain = contrast(paired, x / (x @ x), level)
        steps = [doubling(depths, i) for i in range(len(depths) - 1)]
        gains = tuple(contrast(paired, step, level) for step in steps)
        shrinkage = contrast(paired, steps[-1] - steps[0], level) if len(steps) > 1 else None
    last = by_seed(alive, lambda d: None if d.log_v is None else d.log_v[:, -1])
    shares = by_seed(alive, lambda d: None if d.deltas is None else (d.deltas > SHARE_THRESHOLD).mean(axis=1))
    return Scheme(
        scheme=drafts[0].cell.scheme,
        depths=tuple(int(depth) for depth in depths),
        gain=gain,
        gains=gains,
        shrinkage=shrinkage,
        over_depth=None if last is None or len(depths) < _LEAST else grow(depths, last, axis="depth", level=level),
        share_slope=None if shares is None or len(depths) < 2 else over_seeds(slopes(np.log(depths), shares), level),
    )


def paired_losses(drafts: Sequence[Draft]) -> PairedMeans:
    """Mean loss of each cell that has one, with the noise of one run pooled over them beside the seeds' own effects."""
    return paired_means(_aligned(drafts, lambda draft: draft.cell.losses))


def by_seed(drafts: Sequence[Draft], value: Callable[[Draft], Vector | None]) -> Vector | None:
    """Values ``(n_seeds,)`` of several cells side by side, for the seeds that all have: ``(n_seeds, n_cells)``, or None."""
    if not drafts or any(value(draft) is None for draft in drafts):
        return None
    table = _aligned(drafts, value)
    complete = table[np.isfinite(table).all(axis=1)]
    return complete if len(complete) else None


def doubling(depths: Vector, i: int) -> Vector:
    """Weights of the fall of the loss a doubling between depth ``i`` and the next, ``(n_depths,)``."""
    weights = np.zeros(len(depths))
    weights[[i, i + 1]] = np.array([1.0, -1.0]) / np.log2(depths[i + 1] / depths[i])
    return weights


def _aligned(drafts: Sequence[Draft], value: Callable[[Draft], Vector | None]) -> Vector:
    seeds = sorted({seed for draft in drafts for seed in draft.cell.seeds})
    table = np.full((len(seeds), len(drafts)), np.nan)
    for column, draft in enumerate(drafts):
        table[[seeds.index(seed) for seed in draft.cell.seeds], column] = value(draft)
    return table


def _rows(values: Vector | None) -> Vector | None:
    """Seeds that have values."""
    if values is None:
        return None
    alive = values[np.isfinite(values).all(axis=1)]
    return alive if len(alive) else None


def _grow(log_v: Vector | None, level: float, *, whole: bool = False) -> Growth | None:
    """Growth over blocks, without the last unless ``whole``: it is like no other."""
    if log_v is None or log_v.shape[1] <= _LEAST:
        return None
    kept = log_v if whole else log_v[:, :-1]
    return grow(np.arange(1.0, kept.shape[1] + 1), kept, axis="layer", level=level)


def _log(values: Vector | None, cell: Cell, name: str) -> Vector | None:
    if values is None:
        return None
    blocks = values[:, -cell.depth :]
    if blocks.shape[1] != cell.depth or (blocks <= 0).any():
        raise InputError(f"layers: {name} of {cell.scheme} at depth {cell.depth} needs a value above zero for every block")
    return np.asarray(np.log(blocks))


def _tilt(cell: Cell, layers: Layers, metric: str) -> Vector | None:
    """Slope of ln of a ratio on ln layer, mean over parts, trained less untrained; zero ratios have none."""
    found = []
    for part in _TILTED[metric]:
        ends = [layers.profiles(cell, metric, part, first=first) for first in (False, True)]
        trained, untrained = ends
        if trained is None or untrained is None or trained.shape[1] < _LEAST or trained.shape != untrained.shape:
            return None
        change = np.where((trained > 0) & (untrained > 0), trained / np.where(untrained > 0, untrained, np.nan), np.nan)
        found.append(slopes(np.log(np.arange(1.0, change.shape[1] + 1)), np.log(change)))
    return np.asarray(np.mean(found, axis=0))


def _reversed(values: Vector | None) -> Vector | None:
    return None if values is None else values[:, ::-1]

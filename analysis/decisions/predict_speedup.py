"""How much faster each way of prefilling is, for lengths of one's own, before a model is touched."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.fitting.result import check_level
from analysis.laws.prepacking import BASELINE, PrepackingFit
from analysis.laws.prepacking_work import BY_FLOP, SYMBOLS, Shape, count_work, terms
from curselab.errors import InputError

LONGEST = 2**24
"""Tokens of a prompt, so that pairs of them are counted exactly."""
LARGEST = 2048
"""Prompts of a batch that is drawn: 100 draws take seconds, and their time grows with its square."""


def predict_speedup(
    lengths: Sequence[int],
    model: Shape,
    batch: int | None = None,
    *,
    fit: PrepackingFit | None = None,
    draws: int = 100,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Predict the speed-up of every method over a batch that is padded on the left.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of prompts: those of one batch, or a sample of the lengths that are to come.
    model : Shape
        Of the model, ``analysis.laws.prepacking_work.Shape``.
    batch : int, optional
        Prompts of a batch, which are drawn from the lengths; when left out, the lengths are the batch.
    fit : PrepackingFit, optional
        Constants of the machine. Without it, time is counted in FLOP: then masks, calls and memory cost nothing by themselves,
        and gains are those of padding and of attention alone.
    draws : int
        Batches to draw.
    seed : int
        Of the draws.
    level : float
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One row a method, and ``limit``: ``method``, ``speedup`` of all batches together, ``lower`` and ``upper`` of a single
        batch (and of the constants, where the fit has draws), ``time_over_limit``, ``padding_ratio`` and ``slots_saved``, the
        share of the baseline's slots that the method does without. The limit is real tokens, and attention within prompts.

    Raises
    ------
    InputError
        No lengths, one below 1 or above ``LONGEST``, a batch below 1 or above ``LARGEST``, or a number of draws below 1.
    """
    level, sizes = check_level(level), np.asarray(lengths)
    whole = sizes.ndim == 1 and len(sizes) > 0 and np.issubdtype(sizes.dtype, np.integer)
    if not whole or sizes.min() < 1 or sizes.max() > LONGEST:
        raise InputError(f"lengths: whole numbers of tokens are needed, 1 to {LONGEST:,} each")
    if draws < 1 or (batch is not None and not 1 <= batch <= LARGEST):
        raise InputError(
            f"batch: {batch!r} and draws {draws!r} were given, 1 or more is needed, and a batch of at most {LARGEST:,}"
        )
    rng = np.random.default_rng(seed)
    batches = [sizes] if batch is None else [rng.choice(sizes, batch) for _ in range(draws)]
    theta = np.array([BY_FLOP[symbol] for symbol in SYMBOLS]) if fit is None else fit.theta
    constants = [theta] * len(batches) if fit is None or len(fit.draws) < 2 else [np.array(drawn) for drawn in fit.draws]
    works = [count_work(each.tolist(), model, limit=True) for each in batches]
    times = np.stack([_time(work, model, theta) for work in works])  # (batches, methods)
    # batches differ, and so do the constants that resamples of the fit have found
    single = np.stack([_time(works[i % len(works)], model, drawn) for i, drawn in enumerate(constants)])
    methods = works[0]["method"]
    base, last = int((methods == BASELINE).to_numpy().argmax()), int((methods == "limit").to_numpy().argmax())
    slots = np.stack([work["tokens"].to_numpy(dtype=float) for work in works]).sum(axis=0)
    spread = single[:, [base]] / single
    tails = [(1 - level) / 2, (1 + level) / 2]
    lower, upper = np.quantile(spread, tails, axis=0) if len(spread) > 1 else np.full((2, len(methods)), np.nan)
    total = times.sum(axis=0)
    return pd.DataFrame(
        {
            "method": methods,
            "speedup": total[base] / total,
            "lower": lower,
            "upper": upper,
            "time_over_limit": total / total[last],
            "padding_ratio": slots[base] / slots[last],
            "slots_saved": 1 - slots / slots[base],
        }
    )


def _time(work: pd.DataFrame, model: Shape, theta: np.ndarray) -> np.ndarray:
    tokens, columns = terms(work, [model] * len(work))
    return np.asarray(tokens + columns @ theta)

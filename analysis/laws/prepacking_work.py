"""The time of a prefill as a sum over what it computes, in tokens: the terms of the law of prepacking.

Lengths are turned into work by the very plans that the prefill runs (:mod:`trainer.prefill_plan`), which are plain numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from curselab.errors import InputError
from trainer.prefill_plan import METHODS, Cost, activations, least_work, plan, work

Vector = NDArray[np.float64]

WORK = ("tokens", "large_bytes", "causal_pairs", "masked_pairs", "calls", "kernels")
SYMBOLS = ("e", "b", "c", "w", "g", "h")
UNITS = ("FLOP/byte", "1", "1", "tokens", "MFLOP", "MFLOP")
BY_FLOP: Mapping[str, float] = {"e": 0.0, "b": 1.0, "c": 1.0, "w": 0.0, "g": 0.0, "h": 0.0}
"""Constants of a machine on which every FLOP takes as long as another and nothing else takes time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the law needs to know of a decoder: matrices of a block, for gated feed-forward networks."""

    width: int
    depth: int
    ffn_width: int
    attention_width: int = 0
    """Heads times features a head; the width when left out."""
    kv_width: int = 0
    """The same of keys and values; that of queries when left out."""

    def __post_init__(self) -> None:
        for name, least in {"width": 1, "depth": 1, "ffn_width": 1, "attention_width": 0, "kv_width": 0}.items():
            if getattr(self, name) < least:
                raise InputError(f"shape: {name} {getattr(self, name)!r} was given, {least} or more is needed")

    @property
    def token_flop(self) -> float:
        """FLOP of a token in all matrices of the blocks."""
        queries = self.attention_width or self.width
        a_block = 2 * queries + 2 * (self.kv_width or queries) + 3 * self.ffn_width
        return 2.0 * self.depth * self.width * a_block

    @property
    def pair_flop(self) -> float:
        """FLOP of a pair of tokens in the attention of all blocks: a score and its share of the mix."""
        return 4.0 * self.depth * (self.attention_width or self.width)

    @property
    def activations(self) -> tuple[int, ...]:
        """Features a slot of each tensor that a block makes."""
        queries = self.attention_width or self.width
        return activations(self.width, self.ffn_width, queries + 2 * (self.kv_width or queries))


def count_work(lengths: Sequence[int], shape: Shape, *, limit: bool = False) -> pd.DataFrame:
    """Work of every method on one batch of prompts.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each prompt.
    shape : Shape
        Of the model; buckets are chosen by its FLOP.
    limit : bool
        Whether a last row, ``limit``, has what no method can do without.

    Returns
    -------
    pandas.DataFrame
        One row a method, with the columns of ``WORK``.
    """
    cost = Cost(pair=shape.pair_flop / shape.token_flop)
    rows: list[dict[str, Any]] = [
        {"method": method} | asdict(work(plan(lengths, method, cost=cost), features=shape.activations)) for method in METHODS
    ]
    rows += [{"method": "limit"} | asdict(least_work(lengths))] if limit else []
    return pd.DataFrame(rows)[["method", *WORK]]


def terms(table: pd.DataFrame, shapes: Sequence[Shape]) -> tuple[Vector, Vector]:
    """Tokens ``(n,)``, and what the constants e, b, c, w, g, h multiply ``(n, 6)``, so that their sum is the time in tokens.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns of ``WORK``.
    shapes : sequence of Shape
        One a row.
    """
    pair = np.array([shape.pair_flop / shape.token_flop for shape in shapes])
    layer = np.array([1e6 * shape.depth / shape.token_flop for shape in shapes])  # of a million FLOP
    numbers = {name: table[name].to_numpy(dtype=float) for name in WORK}
    columns = (
        numbers["large_bytes"] * layer / 1e6,
        numbers["causal_pairs"] * pair,
        numbers["masked_pairs"] * pair,
        numbers["calls"],
        numbers["calls"] * layer,
        numbers["kernels"] * layer,
    )
    return numbers["tokens"], np.stack(columns, axis=1)


def shapes_of(table: pd.DataFrame) -> list[Shape]:
    """Shape of each row, from columns ``width``, ``depth`` and ``ffn_width``."""
    rows: list[dict[Any, Any]] = table[["width", "depth", "ffn_width"]].astype(int).to_dict("records")
    return [Shape(**row) for row in rows]

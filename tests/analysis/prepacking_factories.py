"""Tables of times that follow the law of prepacking with known constants."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.laws.prepacking_work import SYMBOLS, Shape, count_work, terms
from trainer.prompt_lengths import draw_lengths

TRUTH = {"e": 20.0, "b": 2.0, "c": 1.5, "w": 60.0, "g": 8.0, "h": 0.4}
DISTRIBUTIONS = ("lognormal", "uniform", "bimodal", "constant", "mmlu", "samsum")
SHAPES = {"small": Shape(width=64, depth=4, ffn_width=172), "large": Shape(width=256, depth=4, ffn_width=688)}


def times(
    truth: Mapping[str, float] = TRUTH,
    *,
    noise: float = 0.0,
    distributions: Sequence[str] = DISTRIBUTIONS,
    batches: Sequence[int] = (8, 64),
    longest: int = 512,
    seed: int = 0,
) -> pd.DataFrame:
    """One row a batch and method; ``noise`` is the standard deviation of ln T."""
    rng = np.random.default_rng(seed)
    parts = []
    for name, shape in SHAPES.items():
        for distribution in distributions:
            for batch in batches:
                lengths = draw_lengths(distribution, batch, longest=longest, rng=rng)
                work = count_work(lengths, shape)
                tokens, columns = terms(work, [shape] * len(work))
                a_token = shape.token_flop / 2e10
                exact = a_token * (tokens + columns @ np.array([truth[symbol] for symbol in SYMBOLS]))
                parts.append(
                    work.assign(
                        model=name,
                        width=shape.width,
                        depth=shape.depth,
                        ffn_width=shape.ffn_width,
                        distribution=distribution,
                        batch=batch,
                        draw=0,
                        real_tokens=sum(lengths),
                        seconds=exact * np.exp(noise * rng.standard_normal(len(work))),
                    )
                )
    return pd.concat(parts, ignore_index=True)

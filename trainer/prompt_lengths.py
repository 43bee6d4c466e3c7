"""Lengths of prompts: families of distributions, and stand-ins for public data sets. Importing this module imports no torch.

The published study of prepacking prints no lengths. Its data sets are lognormal here, with the mean and the mean longest of 16
that its figures imply (``results/published/prepacking.csv``): stand-ins of the right spread, not the data.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError

Floats = NDArray[np.float64]

SHORTEST = 4
FAMILIES: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "lognormal": lambda rng, n, most: rng.lognormal(np.log(most / 8), 0.9, n),
    "uniform": lambda rng, n, most: rng.uniform(SHORTEST, most, n),
    "exponential": lambda rng, n, most: rng.exponential(most / 5, n),
    "bimodal": lambda rng, n, most: rng.uniform(0.75, 1.25, n) * np.where(rng.random(n) < 0.9, most / 16, 0.75 * most),
    "constant": lambda rng, n, most: np.full(n, most / 2),
}
"""Family -> (generator, count, longest) -> lengths, before they are rounded and cut."""
DATA_SETS = {
    "wiki256": (114.4, 0.439),
    "wiki512": (114.6, 0.609),
    "mmlu": (55.8, 0.848),
    "alpaca": (130.1, 0.419),
    "samsum": (162.0, 0.535),
    "anthropic_rlhf": (236.1, 0.578),
}
"""Data set -> median (tokens) and standard deviation of the logarithm."""
DISTRIBUTIONS = (*FAMILIES, *DATA_SETS)


def draw_lengths(distribution: str, count: int, *, longest: int, rng: np.random.Generator) -> list[int]:
    """Draw lengths of prompts, each from ``SHORTEST`` to ``longest`` tokens.

    Parameters
    ----------
    distribution : str
        One of ``DISTRIBUTIONS``.
    count : int
    longest : int
        Tokens that a prompt is cut to; families scale with it, data sets do not.
    rng : numpy.random.Generator

    Raises
    ------
    InputError
        There is no such distribution, or nothing to cut to.
    """
    if distribution not in DISTRIBUTIONS:
        raise InputError(f"distribution: {distribution!r} was given (allowed: {', '.join(DISTRIBUTIONS)})")
    if longest < SHORTEST:
        raise InputError(f"longest: {longest!r} was given, {SHORTEST} tokens or more are needed")
    if distribution in FAMILIES:
        drawn = FAMILIES[distribution](rng, count, longest)
    else:
        median, sigma = DATA_SETS[distribution]
        drawn = rng.lognormal(np.log(median), sigma, count)
    lengths: list[int] = np.clip(np.rint(drawn), SHORTEST, longest).astype(int).tolist()
    return lengths

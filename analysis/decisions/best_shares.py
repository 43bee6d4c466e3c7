"""Which shares of a common training text serve several languages best: by He's law, with its range and an interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.laws.multilinguality_mixture import optimal_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAdvice:
    """Best shares of the training text by He's law, by language, with the ends of their intervals."""

    law: str
    valid: str
    shares: Mapping[str, float]
    lower: Mapping[str, float] | None
    upper: Mapping[str, float] | None
    """None where the exponents came without errors."""
    level: float


def best_shares(
    gamma: Mapping[str, float],
    weights: Mapping[str, float] | None = None,
    *,
    se: Mapping[str, float] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> ShareAdvice:
    """Shares of a shared corpus with the lowest weighted sum of losses, by He et al. (2024), arXiv:2410.12883.

    Parameters
    ----------
    gamma : mapping
        Exponent of each language's share, fitted by the law ``SHARE`` of ``analysis.laws.multilinguality_mixture``; none are
        published in print that was read.
    weights : mapping, optional
        As in ``optimal_shares``.
    se : mapping, optional
        Standard errors of the exponents.
    level, draws, seed
        Of the interval.
    """
    shares = optimal_shares(gamma, weights)
    lower = upper = None
    if se is not None:
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((draws, len(gamma)))
        rows = []
        for row in noise:
            # exponents are positive, so their errors are taken in logarithms
            drawn = {name: g * float(np.exp(se[name] / g * z)) for (name, g), z in zip(gamma.items(), row, strict=True)}
            rows.append(list(optimal_shares(drawn, weights).values()))
        ends = np.quantile(rows, [(1 - level) / 2, (1 + level) / 2], axis=0)
        lower, upper = (dict(zip(gamma, end.tolist(), strict=True)) for end in ends)
    return ShareAdvice(
        law="He et al. 2024, arXiv:2410.12883",
        valid="85M to 1.2B parameters, 23 languages in five families; a language's loss depends on its own share alone",
        shares=shares,
        lower=lower,
        upper=upper,
        level=level,
    )

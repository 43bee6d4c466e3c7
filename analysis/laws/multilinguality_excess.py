"""Loss above the known entropy rate of artificial languages: what is left to learn, in the loss's own unit.

Of such languages the entropy rate is exact (a loss falls below it by chance alone), so an excess compares across languages
of different entropy as a loss does not. Languages are the sampling unit.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.fitting.seeds import over_seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Mean over languages of loss less entropy, in the unit of the loss, with Student's t interval."""

    mixture: str
    """Empty: monolingual."""
    params: float
    tokens: float
    added: float
    n_languages: int
    excess: float
    lower: float | None
    upper: float | None


def excess_loss(runs: pd.DataFrame, entropy: "pd.Series[float]", *, level: float) -> list[Excess]:
    """Average the excess of every cell: over the seeds of a language, then over languages.

    Parameters
    ----------
    runs : pandas.DataFrame
        ``language``, ``mixture``, ``params``, ``tokens``, ``added`` and ``log_loss``, one row a run.
    entropy : pandas.Series
        Entropy rate by language, in the unit of the loss; a language without one is left out.
    level : float
        Of the intervals.
    """
    above = np.exp(runs["log_loss"]) - runs["language"].map(entropy)
    cell = ["mixture", "params", "tokens", "added"]
    means = runs.assign(excess=above).dropna(subset="excess").groupby([*cell, "language"])["excess"].mean().reset_index()
    found = []
    for _, part in means.groupby(cell):
        mean, first = over_seeds(part["excess"], level), part.iloc[0]
        found.append(
            Excess(
                mixture=str(first["mixture"]),
                params=float(first["params"]),
                tokens=float(first["tokens"]),
                added=float(first["added"]),
                n_languages=len(part),
                excess=float(part["excess"].mean()),
                lower=mean.lower,
                upper=mean.upper,
            )
        )
    return found

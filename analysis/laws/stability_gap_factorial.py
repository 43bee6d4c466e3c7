r"""Strategies of continual pre-training as a factorial: main effects and interactions at equal compute.

.. math:: \text{effect}(f) = \overline{y(a \cup f) - y(a)}, \qquad
          \text{interaction}(f, g) = \overline{y(a \cup fg) - y(a \cup f) - y(a \cup g) + y(a)}

y(a) is the outcome of the arm with the strategies a, and the mean is over all a that the sweep has with and without f (and g).
So every difference is between arms that are alike in all else; ``fixed`` is asked of arms with a mixture alone. Seeds are
taken out first, and noise is that of one run, pooled over all arms.

p-values are Holm-adjusted over the strategies, and over their interactions, of one outcome in one condition.

Source: Yates (1937), The Design and Analysis of Factorial Experiments; Holm (1979), Scandinavian Journal of Statistics 6(2).

Known failures: arms that diverged are absent, so an effect may be over fewer pairs than the design has; noise is taken to be
the same in all arms; where strategies interact, a main effect is an average over arms that nobody would mix.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.equivalence import Answer, Effects, answers
from analysis.fitting.paired import PairedMeans, paired_means
from analysis.fitting.seeds import Estimate, contrast

Vector = NDArray[np.float64]
MARGIN = 0.01
"""Nats/token: effects below it are as good as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a strategy, or two together, do to an outcome; below zero is better, since outcomes are losses."""

    outcome: str
    strategies: tuple[str, ...]
    """One: a main effect; two: their interaction."""
    estimate: Estimate
    """nats/token."""
    n_pairs: int
    """Differences that it is the mean of."""
    p: float | None
    """That there is none, Holm-adjusted; None without repeated seeds."""
    answer: Answer
    """``down``: it lowers the loss; ``equivalent``: shown to be less than the margin."""

    @property
    def term(self) -> str:
        """Strategies, joined by a colon."""
        return ":".join(self.strategies)


def factorial(
    outcome: str, values: Vector, arms: Sequence[tuple[str, ...]], *, level: float, margin: float = MARGIN
) -> list[Effect]:
    """Estimate all effects on one outcome.

    Parameters
    ----------
    outcome : str
        Its name.
    values : numpy.ndarray
        Losses of each seed and arm, ``(n_seeds, n_arms)``; NaN where a run is missing.
    arms : sequence of tuple of str
        Strategies of each arm.
    level : float
        Of the intervals, and one less the chance of any false answer in a family.
    margin : float
        Effects below it are as good as none, nats/token.
    """
    kept = [i for i in range(len(arms)) if np.isfinite(values[:, i]).any()]
    if len(kept) < 2:
        return []
    paired = paired_means(values[:, kept])
    place = {frozenset(arms[i]): k for k, i in enumerate(kept)}
    # in the order of the arms with the most strategies
    names = list(dict.fromkeys(name for i in sorted(kept, key=lambda i: -len(arms[i])) for name in arms[i]))
    found = []
    for number in (1, 2):
        family = [(pair, *_weights(place, pair)) for pair in combinations(names, number)]
        found += _family(outcome, paired, [(terms, weights, n) for terms, weights, n in family if n], level, margin)
    return found


def _weights(place: Mapping[frozenset[str], int], strategies: tuple[str, ...]) -> tuple[Vector, int]:
    """Weights of the arms, ``(n_arms,)``, and over how many differences they average."""
    weights, n = np.zeros(len(place)), 0
    for without in place:
        signs = dict(_corners(without, strategies))
        if not without & set(strategies) and signs.keys() <= place.keys():
            n += 1
            for arm, sign in signs.items():
                weights[place[arm]] += sign
    return weights / max(n, 1), n


def _corners(without: frozenset[str], strategies: tuple[str, ...]) -> Iterator[tuple[frozenset[str], int]]:
    for number in range(len(strategies) + 1):
        for added in combinations(strategies, number):
            yield without | set(added), (-1) ** (len(strategies) - number)


def _family(
    outcome: str, paired: PairedMeans, terms: Sequence[tuple[tuple[str, ...], Vector, int]], level: float, margin: float
) -> list[Effect]:
    if not terms:
        return []
    estimates = [contrast(paired, weights, level) for _, weights, _ in terms]
    columns = [[e.value, np.nan if e.se is None else e.se, e.dof] for e in estimates]
    value, se, dof = np.array(columns, dtype=float).T
    told = answers([Effects(value, se, dof)], margin=margin, level=level)
    return [
        Effect(
            outcome=outcome,
            strategies=strategies,
            estimate=estimate,
            n_pairs=n,
            p=float(p) if np.isfinite(p) else None,
            answer=answer,
        )
        for (strategies, _, n), estimate, p, answer in zip(terms, estimates, told.p_zero, told.answer, strict=True)
    ]

"""Tables of a known truth for the multilingual analysis, and whether it finds the truth: a crossover, or nothing at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.laws.multilinguality import MATCHED
from analysis.laws.multilinguality_crossover import MIN_LANGUAGES, Crossover
from analysis.laws.multilinguality_curse import HelpThenHurt
from analysis.laws.multilinguality_gain import fit_all_curves, measure
from analysis.laws.multilinguality_table import Table, read_table
from analysis.laws.multilinguality_transfer import fit_mixture
from analysis.laws.multilinguality_verdict import MARGIN, Verdict, judge, judge_each

TRUTH = HelpThenHurt(
    E=1.2, A=2e5**0.35, B=1.5 * 2e5**0.3, alpha=0.35, beta=0.3, cost=0.05, gain=0.4, scale=5e4, name="simulated"
)
"""Losses near 3 for small models of little text; a crossover within the grid below at its first two sizes."""
_MANY = 500  # languages that stand for all
_GRID = 2001


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Grid of a simulated sweep."""

    languages: int = 8
    seeds: int = 3
    params: tuple[float, ...] = (75e3, 450e3, 3.3e6)
    tokens: tuple[float, ...] = (20e3, 63e3, 200e3, 630e3, 2e6)
    ratios: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    """Of added over target tokens."""
    most: float = 20e6
    """Largest amount that is added, tokens."""
    noise: float = 0.0065
    """Standard deviation of ln L of one run: 0.02 bits at 3.1 bits a byte."""
    spread: float = 0.1
    """Standard deviation of ln A, ln B and ln E over languages."""
    transfer_spread: float = 0.0
    """Standard deviation of ln G over languages."""


def languages_of(truth: HelpThenHurt, design: Design, rng: np.random.Generator) -> list[HelpThenHurt]:
    """Draw the laws of a table's languages."""
    found = []
    for _ in range(design.languages):
        e, a, b = np.exp(design.spread * rng.standard_normal(3))
        gain = truth.gain * float(np.exp(design.transfer_spread * rng.standard_normal()))
        found.append(replace(truth, E=truth.E * e, A=truth.A * a, B=truth.B * b, gain=gain))
    return found


def simulate(laws: Sequence[HelpThenHurt], design: Design, rng: np.random.Generator, *, matched: bool = False) -> Table:
    """Draw one table: every law is a language; the matched baseline, where asked for, is worth nothing."""
    rows = []
    for i, law in enumerate(laws):
        for N in design.params:
            for D in design.tokens:
                added = [("", 0.0)] + [("added", r * D) for r in design.ratios if r * D <= design.most]
                added += [(MATCHED, M) for name, M in added if matched and name]
                for name, M in added:
                    loss = float(law.loss(N, D, 0.0 if name == MATCHED else M))
                    noisy = loss * np.exp(design.noise * rng.standard_normal(design.seeds))
                    rows += [(f"{i:02}", name, N, D, M, seed, float(value)) for seed, value in enumerate(noisy)]
    frame = pd.DataFrame(rows, columns=["language", "mixture", "params", "tokens", "added", "seed", "loss"])
    names = {name: name for name in ("language", "params", "tokens", "added", "loss", "mixture", "seed")}
    return read_table(frame, **names, seen=None)


@dataclass(frozen=True, slots=True)
class Recovery:
    """One crossover of one table beside the truth.

    The truth is that of the mean gain over all languages that could have been drawn; of fewer than five languages, whose
    intervals are about these alone, over those that were.
    """

    truth: float
    found: Crossover

    @property
    def held(self) -> bool:
        """The interval, whose open ends hold everything, holds the truth."""
        low = self.found.lower is None or self.found.lower <= self.truth
        return low and (self.found.upper is None or self.truth <= self.found.upper)

    @property
    def closed(self) -> bool:
        """The interval ends on both sides."""
        return self.found.lower is not None and self.found.upper is not None


def recover_crossovers(
    truth: HelpThenHurt, design: Design, *, ratio: float, tables: int, level: float, seed: int
) -> Iterator[list[Recovery]]:
    """Analyse tables of a law, one a step: a recovery for each size of model, where the truth has a crossover."""
    many = replace(design, languages=_MANY)
    all_laws = languages_of(truth, many, np.random.default_rng(seed)) if design.languages >= MIN_LANGUAGES else []
    meant = {N: true_crossover(all_laws, N, ratio) for N in design.params} if all_laws else None
    for i in range(tables):
        rng = np.random.default_rng([seed, i])
        laws = languages_of(truth, design, rng)
        fitted = fit_mixture(simulate(laws, design, rng), "added")
        found = {c.params: c for c in fitted.crossovers(level=level) if np.isclose(c.ratio, ratio)}
        real = meant or {N: true_crossover(laws, N, ratio) for N in design.params}
        yield [Recovery(value, found[N]) for N, value in real.items() if value is not None]


def true_crossover(laws: Sequence[HelpThenHurt], params: float, ratio: float) -> float | None:
    """Find where the mean gain over languages last falls through zero; None where it does not."""
    at = np.linspace(np.log(1e2), np.log(1e12), _GRID)
    gain = np.mean([law.gain_log2(params, np.exp(at), ratio * np.exp(at)) for law in laws], axis=0)
    turns = np.flatnonzero((gain[:-1] > 0) & (gain[1:] <= 0))
    if not len(turns):
        return None
    i = int(turns[-1])
    return float(np.exp(at[i] + (at[i + 1] - at[i]) * gain[i] / (gain[i] - gain[i + 1])))


def judge_tables(
    truth: HelpThenHurt, design: Design, *, tables: int, level: float, seed: int, draws: int = 300
) -> Iterator[tuple[list[Verdict], list[Verdict]]]:
    """Judge tables of a law, one a step: verdicts of the mean over languages, and of every language."""
    for i in range(tables):
        rng = np.random.default_rng([seed, i])
        table = simulate(languages_of(truth, design, rng), design, rng)
        gains = measure(table, fit_all_curves(table, form="chinchilla"), draws=draws, rng=rng)
        mean = judge(gains, None, level=level, margin=MARGIN, rng=rng)
        yield mean, judge_each(gains, None, level=level, margin=MARGIN)


def nothing(truth: HelpThenHurt) -> HelpThenHurt:
    """Return the same law, under which added languages neither help nor hurt."""
    return replace(truth, cost=0.0, gain=0.0)

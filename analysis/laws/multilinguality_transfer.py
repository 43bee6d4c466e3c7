"""The help-then-hurt law of one mixture in a table: its fit, its jackknife, its ranges, and what it says of any cell."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.laws.multilinguality_crossover import (
    MIN_LANGUAGES,
    Crossover,
    Passes,
    find_crossover,
    jackknife,
    last_fall,
    mean_gain,
    search,
)
from analysis.laws.multilinguality_law import Cells, FittedLaw, fit_law
from analysis.laws.multilinguality_table import ALONE, Table, ratio_levels

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureLaw:
    """The help-then-hurt law fitted to one mixture, and the fits of its jackknife."""

    mixture: str
    languages: tuple[str, ...]
    fit: FittedLaw
    left_out: tuple[FittedLaw, ...]
    """Without each language, or each seed."""
    passes: Passes
    """Median ones over the target's own text, by its size."""
    params_range: tuple[float, float]
    tokens_range: tuple[float, float]
    ratio_range: tuple[float, float]
    """Of added over target tokens."""
    params: tuple[float, ...]
    """Sizes of model that were run."""
    ratios: tuple[float, ...]

    def crossovers(self, *, level: float) -> list[Crossover]:
        """Crossovers at the measured sizes and ratios."""
        return [
            find_crossover(
                self.fit,
                self.left_out,
                name=self.mixture,
                params=size,
                ratio=ratio,
                passes=self.passes,
                measured=self.tokens_range,
                level=level,
            )
            for size in self.params
            for ratio in self.ratios
        ]

    def gains(self, params: float, tokens: float, ratios: Vector) -> Vector:
        """Mean gain over the languages, log2, of ratios of added to target tokens ``(n,)``."""
        at = np.array([np.log(tokens)])
        return np.array([mean_gain(self.fit, params, at, float(ratio), self.passes)[0] for ratio in ratios])

    def crossing(self, params: float, ratio: float) -> float | None:
        """Target tokens at which the mean gain last falls through zero, without its interval; None where it does not."""
        at = search(self.tokens_range)
        fall = last_fall(at, mean_gain(self.fit, params, at, ratio, self.passes))
        return None if fall is None else float(np.exp(fall[1]))

    def gain(self, params: float, tokens: float, ratio: float, *, level: float) -> tuple[float, float | None, float | None]:
        """Mean gain over the languages, log2, with its jackknife interval, of any cell."""
        at = np.array([np.log(tokens)])
        value = float(mean_gain(self.fit, params, at, ratio, self.passes)[0])
        others = np.array([mean_gain(one, params, at, ratio, self.passes)[0] for one in self.left_out])
        n = len(others)
        if n < 2:
            return value, None, None
        se = float(np.sqrt((n - 1) / n * np.sum((others - others.mean()) ** 2)))
        half = float(student_t.ppf((1 + level) / 2, n - 1)) * se
        return value, value - half, value + half


def cells_of(table: Table, mixture: str) -> tuple[tuple[str, ...], Cells]:
    """Languages and cells that the law of a mixture is fitted to, with the monolingual ones."""
    rows = table.cells[table.cells["mixture"].isin([ALONE, mixture])]
    languages = tuple(sorted(rows.loc[rows["mixture"] == mixture, "language"].unique()))
    rows = rows[rows["language"].isin(languages)]
    noise = rows["sigma"].fillna(1.0).to_numpy(dtype=float) if table.dof else np.ones(len(rows))
    params, tokens, added, seen, log_loss = (
        rows[name].to_numpy(dtype=float) for name in ("params", "tokens", "added", "seen", "log_loss")
    )
    weights = rows["runs"].to_numpy(dtype=float) * (np.exp(np.mean(np.log(noise))) / noise) ** 2
    number = pd.Categorical(rows["language"], list(languages)).codes.astype(np.intp)
    return languages, Cells(number, params, tokens, added, seen, log_loss, weights)


def fit_mixture(table: Table, mixture: str) -> MixtureLaw:
    """Fit the law of a mixture, and again without each language (five or more) or each seed."""
    languages, cells = cells_of(table, mixture)
    fit = fit_law(cells, "saturating_capacity")
    if len(languages) >= MIN_LANGUAGES:
        left_out = jackknife(cells, fit, cells.language)
    else:
        left_out = [fit_law(part, fit.form, start=fit) for part in _without_seeds(table, mixture, languages)]
    mixed = cells.added > 0
    ratio = cells.added[mixed] / cells.tokens[mixed]
    return MixtureLaw(
        mixture=mixture,
        languages=languages,
        fit=fit,
        left_out=tuple(left_out),
        passes=_passes(cells),
        params_range=_range(cells.params),
        tokens_range=_range(cells.tokens),
        ratio_range=_range(ratio),
        params=tuple(np.unique(cells.params).tolist()),
        ratios=tuple(np.unique(ratio_levels(cells.added[mixed], cells.tokens[mixed])).tolist()),
    )


def _without_seeds(table: Table, mixture: str, languages: tuple[str, ...]) -> list[Cells]:
    """Cells without each seed of each language in turn; without each run of a tenth where no seed is repeated."""
    _, whole = cells_of(table, mixture)
    if not table.dof:
        tenth = np.arange(len(whole.params)) % 10
        return [whole.take(tenth != unit) for unit in range(10)]
    found = []
    for language in languages:
        seeds = table.runs.loc[table.runs["language"] == language, "seed"].unique()
        for one in seeds:
            dropped = (table.runs["language"] == language) & (table.runs["seed"] == one)
            found.append(cells_of(table.without(dropped.to_numpy()), mixture)[1])
    return found


def _passes(cells: Cells) -> Passes:
    median = pd.Series(cells.seen / cells.tokens).groupby(cells.tokens).median()
    return Passes(tuple(median.index.tolist()), tuple(median.tolist()))


def _range(values: Vector) -> tuple[float, float]:
    return float(values.min()), float(values.max())

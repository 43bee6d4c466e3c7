"""Added languages that do nothing, that help as much as they hurt, and that are worth the margin; and a crossover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, nothing, recover_crossovers
from analysis.laws.multilinguality import MATCHED
from analysis.laws.multilinguality_contrast import Contrast, contrast_mixtures, contrast_sizes
from analysis.laws.multilinguality_gain import fit_all_curves, measure
from analysis.laws.multilinguality_kinship import Likeness, likeness
from analysis.laws.multilinguality_matched import over_matched
from analysis.laws.multilinguality_table import read_table
from analysis.laws.multilinguality_verdict import MARGIN, Verdict, judge, judge_each
from benchmarks.known_truths.study import LEVEL, TWO_SIDED, Answers, Question, Study, draw_seed, held, holds

LAW = "multilinguality"
SIZES, DATA = (5_968.0, 25_248.0), (8_192.0, 32_768.0, 131_072.0, 524_288.0)
ARMS = ("similar", "dissimilar")
MEASURE = "lexical"


@dataclass(frozen=True)
class Judged:
    """What the analysis says of one table."""

    mean: Sequence[Verdict]
    each: Sequence[Verdict]
    contrasts: Sequence[Contrast]
    slopes: Sequence[Contrast]
    likeness: Likeness


def _runs(
    rng: np.random.Generator, *, noise: float, spread: float = 0.0, gain: float = 0.0, matched: bool = False
) -> pd.DataFrame:
    """Six languages; a mixture is worth ``gain`` log2 of target data on average, ``spread`` is the deviation of a language."""
    rows = []
    for i, law in enumerate(languages_of(nothing(TRUTH), Design(languages=6), rng)):
        alike = dict(zip(ARMS, rng.uniform(0, 1, 2), strict=True))
        for N in SIZES:
            for D in DATA:
                for arm in ("", *ARMS, *((MATCHED,) if matched else ())):
                    worth = gain + spread * rng.standard_normal() if arm in ARMS else 0.0
                    losses = float(law.loss(N, D * 2**worth, 0.0)) * np.exp(noise * rng.standard_normal(3))
                    rows += [(str(i), arm, N, D, 10 * D if arm else 0.0, s, x, alike.get(arm)) for s, x in enumerate(losses)]
    return pd.DataFrame(rows, columns=["language", "mixture", "params", "tokens", "added", "seed", "loss", MEASURE])


def _judge(data: pd.DataFrame, rng: np.random.Generator) -> Judged:
    """Take the steps of ``fit_multilinguality`` up to its laws, which are slow and judge nothing."""
    names = {name: name for name in ("language", "params", "tokens", "added", "loss", "mixture", "seed")}
    table = read_table(data, **names, seen=None)
    gains = measure(table, fit_all_curves(table, form="auto"), draws=1000, rng=rng)
    alone = (gains.cells["mixture"] == MATCHED).to_numpy()
    own, over = gains.take(~alone), over_matched(gains.take(~alone), gains.take(alone))
    options: Mapping[str, float] = {"level": LEVEL, "margin": MARGIN}
    known = data.groupby(["language", "mixture"], as_index=False)[MEASURE].mean()
    return Judged(
        judge(own, over, rng=rng, **options),
        judge_each(own, over, **options),
        contrast_mixtures(own, rng=rng, **options),
        contrast_sizes(own, rng=rng, **options),
        likeness(own, known, [MEASURE], level=LEVEL)[0],
    )


def _contrasted(found: Judged) -> Answers:
    for name, rows in (("contrast", found.contrasts), ("slope", found.slopes)):
        for part, whole in (("cells", False), ("all", True)):
            yield f"{name}_{part}", any(c.answer in ("more", "less") for c in rows if (c.tokens is None) == whole), 1


def no_effect(rng: np.random.Generator) -> Answers:
    """Added languages do nothing to any language."""
    found = _judge(_runs(rng, noise=0.01, matched=True), rng)
    yield "mean", any(v.verdict in ("help", "hurt") for v in found.mean), 1
    yield "language", any(v.verdict in ("help", "hurt") for v in found.each), 1
    yield from _contrasted(found)
    yield "gain", held(0.0, found.mean[0].lower, found.mean[0].upper), 1


def differs(rng: np.random.Generator) -> Answers:
    """Added languages help some and hurt others, and do nothing on average."""
    found = _judge(_runs(rng, noise=0.003, spread=0.5), rng)
    yield "mean", any(v.verdict in ("help", "hurt") for v in found.mean), 1
    yield from _contrasted(found)
    if found.likeness.p is not None:
        yield "likeness", found.likeness.p <= 1 - LEVEL, 1
    # in the middle of the data, where no gain is cut off
    middle = next(v for v in found.mean if v.tokens == DATA[1])
    whole = next(c for c in found.contrasts if c.tokens is None)
    yield "gain", held(0.0, middle.lower, middle.upper), 1
    yield "contrast", held(0.0, whole.lower, whole.upper), 1


def at_margin(rng: np.random.Generator) -> Answers:
    """The edge of equivalence."""
    found = _judge(_runs(rng, noise=0.001, gain=float(np.log2(1 + MARGIN))), rng)
    yield "equivalent", any(v.verdict == "equivalent" for v in found.mean), 1


def crossover(rng: np.random.Generator) -> Answers:
    """Help, then hurt."""
    found = next(recover_crossovers(TRUTH, Design(), ratio=10.0, tables=1, level=LEVEL, seed=draw_seed(rng)))
    yield "crossover", found[0].held, 1


_LARGER = "conservative: the error is the larger of that between languages, here none, and that of their seeds and curves"
_BOTH = "must hold against the own curve and the matched baseline"
_CONTRASTS = {
    "contrast_cells": "similar and dissimilar languages differ (any of 8 cells, Holm)",
    "contrast_all": "similar and dissimilar languages differ over all cells",
    "slope_cells": "the gain changes with the size of the model (any of 8 rows, Holm)",
    "slope_all": "the gain changes with the size of the model over all cells (either mixture, Holm)",
}
_SIX = "6 languages, 2 sizes, 4 amounts of data, 2 mixtures, 3 seeds"
_MEAN = "help or hurt on average (any of 16 cells, Holm)"
STUDIES = {
    "multilinguality_nothing": Study(
        LAW,
        f"{_SIX}, noise 1 %; mixtures and matched runs are worth nothing to any language",
        no_effect,
        {
            "mean": Question(_MEAN, TWO_SIDED, f"{_LARGER}; and {_BOTH}"),
            "language": Question("help or hurt of a language (any of 96 cells, Holm)", TWO_SIDED, f"conservative: it {_BOTH}"),
            **{name: Question(text, TWO_SIDED, _LARGER) for name, text in _CONTRASTS.items()},
            "gain": holds("mean gain of a cell", _LARGER),
        },
    ),
    "multilinguality_differs": Study(
        LAW,
        f"{_SIX}, noise 0.3 %; gains of languages differ by 0.5 in log2, about 0",
        differs,
        {
            "mean": Question(_MEAN, TWO_SIDED, "against the own curve alone"),
            **{name: Question(text, TWO_SIDED) for name, text in _CONTRASTS.items()},
            "likeness": Question("likeness of languages matters", TWO_SIDED),
            "gain": holds("mean gain of a cell"),
            "contrast": holds("mean gain of similar less dissimilar languages"),
        },
    ),
    "multilinguality_at_margin": Study(
        LAW,
        f"{_SIX}, noise 0.1 %; mixtures are worth 5 % more data, the margin, to every language",
        at_margin,
        {
            "equivalent": Question(
                "equivalent to nothing (any of 16 cells, Holm)", TWO_SIDED, f"{_LARGER}; two one-sided tests"
            )
        },
    ),
    "multilinguality_crossover": Study(
        LAW,
        "8 languages, 3 sizes, 5 amounts of data, 3 seeds, noise 0.65 %, ten times as much added",
        crossover,
        {"crossover": holds("crossover of the smallest model")},
    ),
}

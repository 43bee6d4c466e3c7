r"""When other languages help a target language and when they hurt it, from a table of runs.

.. math:: L_{mono}(N, \hat D) = L(N, D, M), \qquad g = \log_2 (\hat D / D)

====================  ==================================================================  ==========
symbol                meaning                                                             unit
====================  ==================================================================  ==========
:math:`N, D, M`       parameters, target tokens, tokens of added languages                counts
:math:`\hat D`        monolingual tokens of the same loss                                 tokens
:math:`g`             gain of a mixture: 1 is as good as twice the target data            1
====================  ==================================================================  ==========

Steps: monolingual curves with partial pooling (:mod:`analysis.laws.multilinguality_curves`), gains
(:mod:`analysis.laws.multilinguality_gain`), verdicts (:mod:`analysis.laws.multilinguality_verdict`), rival laws
(:mod:`analysis.laws.multilinguality_law`) on held-out cells, and the crossover of the fullest of them. Losses may be in nats
or bits per token or byte, as long as a language's text is cut the same way in all of its runs: only gains are compared across
languages, never levels.

Source: Chang et al. (2024), When Is Multilinguality a Curse?, arXiv:2311.09205; what is done otherwise stands in
``docs/laws/multilinguality.md``. Known failures: few repeated passes over small data leave models untrained, and the curve is
then one of optimisation; parallel text leaks where its split is not by passage; a claim from models below 50M parameters must
not be carried upward.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import require_columns
from analysis.fitting.result import Counts, Note, check_level
from analysis.laws.multilinguality_compare import HeldOut, compare_forms
from analysis.laws.multilinguality_contrast import contrast_mixtures, contrast_sizes
from analysis.laws.multilinguality_crossover import MIN_LANGUAGES, Crossover
from analysis.laws.multilinguality_curves import Curves
from analysis.laws.multilinguality_excess import excess_loss
from analysis.laws.multilinguality_gain import Gains, fit_all_curves, measure, run_gains
from analysis.laws.multilinguality_kinship import explain, likeness
from analysis.laws.multilinguality_matched import over_matched
from analysis.laws.multilinguality_partition import partition
from analysis.laws.multilinguality_result import MultilingualityFit
from analysis.laws.multilinguality_runs import ENTROPY, MATCHED, MEASURES, read_arms
from analysis.laws.multilinguality_table import ALONE, Table, read_table
from analysis.laws.multilinguality_transfer import MixtureLaw, cells_of, fit_mixture
from analysis.laws.multilinguality_verdict import MARGIN, judge, judge_each
from curselab.errors import InputError

_SIZES = 4  # of monolingual data, for a curve with a floor

__all__ = ["MATCHED", "MultilingualityFit", "fit_multilinguality", "fit_runs"]


def fit_multilinguality(
    data: pd.DataFrame,
    *,
    language: str = "language",
    params: str = "params_non_embedding",
    tokens: str = "tokens",
    added: str = "added_tokens",
    loss: str = "loss_nats_per_token",
    mixture: str | None = None,
    seen: str | None = None,
    similarity: Sequence[str] = (),
    entropy: str | None = None,
    matched: str = MATCHED,
    form: str = "auto",
    bootstrap: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    margin: float = MARGIN,
) -> MultilingualityFit:
    """Fit curves, gains, verdicts, laws and crossovers to a table of runs of any trainer.

    Parameters
    ----------
    data : pandas.DataFrame
        One row a run; rows whose ``status`` is not ``ok`` are left out. With a column ``seed``, runs of one seed are left out
        together by the jackknife of fewer than five languages.
    language, params, tokens, added, loss : str
        Columns: target language, parameters, different target tokens, tokens of other languages (0: monolingual), final loss
        on held-out text of the target.
    mixture : str, optional
        Column that names what was added, such as similar or dissimilar languages; left out, it is one thing.
    seen : str, optional
        Column of the target tokens with their repeats; left out, each is seen once.
    similarity : sequence of str
        Columns of the mean similarity of the added languages to the target; larger is more alike.
    entropy : str, optional
        Column of the target's known entropy rate, in the unit of the loss.
    matched : str
        Mixture of the compute-matched baseline: own text repeated in place of the added tokens.
    form : str
        Of the monolingual curves: ``auto``, ``chinchilla``, ``log_power`` or ``power``.
    bootstrap : int
        Draws of languages, and of curves and seeds.
    seed : int
        Of all draws.
    level : float
        Of the intervals; verdicts are at 1 - level for the whole table.
    margin : float
        Share of target data that counts as none.

    Returns
    -------
    MultilingualityFit
        Every cell has a verdict, which may be "unresolved".

    Raises
    ------
    InputError
        A column is missing or holds something else than numbers of its kind; there are no monolingual runs of two sizes of
        data at a size of model, or no mixtures.
    """
    level = check_level(level)
    if bootstrap < 100:
        raise InputError(f"bootstrap: {bootstrap!r} was given, 100 or more is needed")
    if not 0 < margin < 1:
        raise InputError(f"margin: {margin!r} was given, a share between 0 and 1 is needed, such as 0.05")
    require_columns(data)
    names = {"language": language, "params": params, "tokens": tokens, "added": added, "loss": loss}
    table = read_table(data, **names, mixture=mixture, seed="seed" if "seed" in data.columns else None, seen=seen)
    known = _by_language(data, names, mixture, [*similarity, *([entropy] if entropy else [])])
    rng = np.random.default_rng(seed)
    curves = fit_all_curves(table, form=form)
    gains = measure(table, curves, draws=bootstrap, rng=rng)
    baseline = (gains.cells["mixture"] == matched).to_numpy()
    own, alone = gains.take(~baseline), gains.take(baseline)
    over = over_matched(own, alone)
    laws, comparison, crossovers = _laws(table, matched, level=level, rng=rng)
    return MultilingualityFit(
        languages=table.languages,
        mixtures=tuple(name for name in table.mixtures if name != matched),
        curves=tuple(curves.values()),
        runs=tuple(run_gains(table, curves)),
        **_judged(own, alone, over, level=level, margin=margin, rng=rng),
        partition=tuple(partition(own, level=level)),
        likeness=tuple(likeness(own, known, similarity, level=level)),
        explained=tuple(explain(own, known, similarity, level=level)),
        excess=()
        if entropy is None
        else tuple(excess_loss(table.runs, known.groupby("language")[entropy].mean(), level=level)),
        comparison=tuple(comparison),
        laws=tuple(laws),
        crossovers=tuple(crossovers),
        level=level,
        margin=margin,
        counts=Counts(
            n_runs=len(table.runs),
            n_diverged=table.n_diverged,
            n_clusters=len(table.languages),
            n_seeds=int(table.cells["runs"].max()),
        ),
        dof=table.dof,
        warnings=(*table.notes, *_doubts(table, curves, over)),
        settings={**names, "mixture": mixture or "", "seen": seen or tokens, "matched": matched, "random_seed": seed},
    )


def fit_runs(runs: pd.DataFrame, **options: Any) -> MultilingualityFit:
    """Fit the table ``runs`` of the workflow, with the columns of results/contract.yaml (:func:`read_arms`)."""
    arms = read_arms(runs)
    columns: dict[str, Any] = {name: name for name in ("params", "added", "loss", "mixture", "seen")}
    columns |= {
        "similarity": tuple(name for name in MEASURES if name in arms),
        "entropy": ENTROPY if ENTROPY in arms else None,
    }
    return fit_multilinguality(arms, **columns | options)


def _by_language(data: pd.DataFrame, names: Mapping[str, str], mixture: str | None, columns: Sequence[str]) -> pd.DataFrame:
    """Means of some columns, one row a language and mixture."""
    require_columns(data, *columns)
    frame = pd.DataFrame({name: pd.to_numeric(data[name], errors="coerce") for name in columns}, index=data.index)
    alone = pd.to_numeric(data[names["added"]], errors="coerce") == 0
    frame["language"] = data[names["language"]].astype(str)
    frame["mixture"] = "added" if mixture is None else data[mixture].astype(str).where(~alone, ALONE)
    return frame.groupby(["language", "mixture"], as_index=False).mean()


def _judged(
    own: Gains, alone: Gains, over: Gains | None, *, level: float, margin: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Verdicts and contrasts: of the mean over languages, where there are several, and of each."""
    options: dict[str, float] = {"level": level, "margin": margin}
    several = len(own.languages) > 1
    return {
        "verdicts": tuple(judge(own, over, rng=rng, **options)) if several else (),
        "by_language": tuple(judge_each(own, over, **options)),
        "controls": tuple(judge(alone, None, rng=rng, **options) if several else judge_each(alone, None, **options)),
        "contrasts": tuple(contrast_mixtures(own, rng=rng, **options)) if several else (),
        "slopes": tuple(contrast_sizes(own, rng=rng, **options)) if several else (),
    }


def _laws(
    table: Table, matched: str, *, level: float, rng: np.random.Generator
) -> tuple[list[MixtureLaw], list[HeldOut], list[Crossover]]:
    """Laws, their comparison and their crossovers, mixture by mixture."""
    laws: list[MixtureLaw] = []
    comparison: list[HeldOut] = []
    crossovers: list[Crossover] = []
    for mixture in table.mixtures:
        if mixture != matched:
            laws.append(fit_mixture(table, mixture))
            comparison += compare_forms(cells_of(table, mixture)[1], mixture, rng=rng)
            crossovers += laws[-1].crossovers(level=level)
    return laws, comparison, crossovers


def _doubts(table: Table, curves: Mapping[float, Curves], over: Gains | None) -> list[Note]:
    notes = []
    if over is None:
        notes.append(
            Note(
                "no_matched_baseline", "no compute-matched monolingual runs: a gain may be one of more steps, not of languages"
            )
        )
    if len(table.languages) < MIN_LANGUAGES:
        notes.append(
            Note("few_languages", f"{len(table.languages)} languages: intervals of the law hold for these, not for others")
        )
    sizes = table.cells[table.cells["mixture"] == ALONE].groupby("params")["tokens"].nunique()
    if sizes.min() < _SIZES:
        notes.append(
            Note(
                "few_sizes", "fewer than four sizes of monolingual data: curves without a floor, whose misfit passes for gains"
            )
        )
    if any(not curve.converged for curve in curves.values()):
        notes.append(Note("curves_not_converged", "the pooled curves of a size had not settled when the search ended"))
    return notes

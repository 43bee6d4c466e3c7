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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import require_columns
from analysis.fitting.result import Note, check_level, from_plain, to_plain
from analysis.laws.multilinguality_compare import HeldOut, compare_forms
from analysis.laws.multilinguality_crossover import MIN_LANGUAGES, Crossover
from analysis.laws.multilinguality_curves import Curves
from analysis.laws.multilinguality_gain import Gains, fit_all_curves, measure
from analysis.laws.multilinguality_table import Table, read_table
from analysis.laws.multilinguality_transfer import MixtureLaw, cells_of, fit_mixture
from analysis.laws.multilinguality_verdict import MARGIN, Verdict, judge, judge_each, verdict_frame
from curselab.errors import InputError

MATCHED = "matched"
"""Name of the mixture of a target with more passes over its own text, at the compute of as many added tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilingualityFit:
    """What a table says about adding languages."""

    languages: tuple[str, ...]
    mixtures: tuple[str, ...]
    """What was added; without the matched baseline."""
    curves: tuple[Curves, ...]
    """Monolingual, one a size of model."""
    verdicts: tuple[Verdict, ...]
    """Of the mean over languages."""
    by_language: tuple[Verdict, ...]
    comparison: tuple[HeldOut, ...]
    laws: tuple[MixtureLaw, ...]
    crossovers: tuple[Crossover, ...]
    """At the measured sizes of model and ratios of added to target tokens."""
    level: float
    margin: float
    """Share of target data that counts as none."""
    n_runs: int
    n_diverged: int
    dof: int
    """Repeated runs behind the noise."""
    warnings: tuple[Note, ...]
    settings: dict[str, str | float | int]

    def frame(self) -> pd.DataFrame:
        """One row a verdict, of the mean over languages first; see :class:`Verdict`."""
        return verdict_frame(self.verdicts + self.by_language)

    def crossover_frame(self) -> pd.DataFrame:
        """One row a crossover; notes by their codes."""
        return pd.DataFrame([to_plain(c) | {"notes": "; ".join(n.code for n in c.notes)} for c in self.crossovers])

    def comparison_frame(self) -> pd.DataFrame:
        """One row a form and hold-out."""
        return pd.DataFrame([to_plain(row) for row in self.comparison])

    def law_of(self, mixture: str | None = None) -> MixtureLaw:
        """Return the law of a mixture; of the only one where none is named.

        Raises
        ------
        InputError
            There is no such mixture, or several and none is named.
        """
        for law in self.laws:
            if law.mixture == mixture or (mixture is None and len(self.laws) == 1):
                return law
        raise InputError(f"mixture: {mixture!r} was given (with a law: {', '.join(x.mixture for x in self.laws) or 'none'})")

    def curve_of(self, params: float) -> Curves:
        """Return the curves of a size of model.

        Raises
        ------
        InputError
            The size was not run.
        """
        for curve in self.curves:
            if np.isclose(curve.params, params, rtol=1e-6):
                return curve
        raise InputError(f"params: {params!r} was given (run: {', '.join(f'{c.params:g}' for c in self.curves)})")

    def summary(self) -> str:
        """Text for a terminal."""
        counts = pd.Series([v.verdict for v in self.verdicts]).value_counts()
        lines = [
            f"multilinguality: {self.n_runs} runs of {len(self.languages)} languages, {self.n_diverged} diverged,"
            f" {self.dof} repeats",
            "cells of the mean over languages: " + ", ".join(f"{word} {n}" for word, n in counts.items()),
        ]
        for v in self.verdicts:
            over = (
                ""
                if v.matched is None
                else f", over the matched baseline {_ends(v.matched, v.matched_lower, v.matched_upper)}"
            )
            lines.append(
                f"{v.mixture} N {v.params:.3g} D {v.tokens:.3g} M {v.added:.3g}: {v.verdict}, gain"
                f" {_ends(v.gain, v.lower, v.upper)}{over}; detectable {_text(v.detectable)}, censored {v.censored:.0%}"
            )
        for c in self.crossovers:
            found = "none" if c.tokens is None else f"{c.tokens:.3g}"
            lines.append(
                f"crossover {c.mixture} N {c.params:.3g} M/D {c.ratio:.3g}: {found} tokens"
                f" [{_text(c.lower)}, {_text(c.upper)}] " + "; ".join(n.code for n in c.notes)
            )
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "MultilingualityFit":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: MultilingualityFit = from_plain(cls, content)
        return rebuilt


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
    rng = np.random.default_rng(seed)
    curves = fit_all_curves(table, form=form)
    gains = measure(table, curves, draws=bootstrap, rng=rng)
    own, over = _split(gains, matched)
    options = {"level": level, "margin": margin}
    laws, comparison, crossovers = _laws(table, matched, level=level, rng=rng)
    return MultilingualityFit(
        languages=table.languages,
        mixtures=tuple(name for name in table.mixtures if name != matched),
        curves=tuple(curves.values()),
        verdicts=tuple(judge(own, over, rng=rng, **options)) if len(table.languages) > 1 else (),
        by_language=tuple(judge_each(own, over, **options)),
        comparison=tuple(comparison),
        laws=tuple(laws),
        crossovers=tuple(crossovers),
        level=level,
        margin=margin,
        n_runs=len(table.runs),
        n_diverged=table.n_diverged,
        dof=table.dof,
        warnings=(*table.notes, *_doubts(table, curves, over)),
        settings={**names, "mixture": mixture or "", "seen": seen or tokens, "matched": matched, "random_seed": seed},
    )


def _split(gains: Gains, matched: str) -> tuple[Gains, Gains | None]:
    """Gains of the mixtures, and the same over the matched baseline where that was run."""
    baseline = (gains.cells["mixture"] == matched).to_numpy()
    own = gains.take(~baseline)
    if not baseline.any():
        return own, None
    key = ["params", "tokens", "added"]
    place = {tuple(row): i for i, row in enumerate(gains.cells[key].to_numpy().tolist()) if baseline[i]}
    rows = np.array([place.get(tuple(row), -1) for row in own.cells[key].to_numpy().tolist()], dtype=np.intp)
    return own, own.less(gains, rows)


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
    if any(not curve.converged for curve in curves.values()):
        notes.append(Note("curves_not_converged", "the pooled curves of a size had not settled when the search ended"))
    return notes


def _ends(value: float, lower: float | None, upper: float | None) -> str:
    return f"{value:+.2f} [{_text(lower)}, {_text(upper)}]"


def _text(value: float | None) -> str:
    return "open" if value is None else f"{value:.3g}"

"""What a table of runs says about adding languages: curves, gains, verdicts, contrasts, laws and crossovers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.fitting.result import Counts, Note, Status, from_plain, to_plain
from analysis.laws.multilinguality_compare import HeldOut
from analysis.laws.multilinguality_contrast import Contrast
from analysis.laws.multilinguality_crossover import Crossover
from analysis.laws.multilinguality_curves import Curves
from analysis.laws.multilinguality_excess import Excess
from analysis.laws.multilinguality_gain import RunGain
from analysis.laws.multilinguality_kinship import Explained, Likeness
from analysis.laws.multilinguality_partition import Share
from analysis.laws.multilinguality_transfer import MixtureLaw
from analysis.laws.multilinguality_verdict import Verdict, verdict_frame
from curselab.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilingualityFit:
    """What a table says about adding languages."""

    law: str = "multilinguality"
    languages: tuple[str, ...]
    mixtures: tuple[str, ...]
    """What was added; without the matched baseline."""
    curves: tuple[Curves, ...]
    """Monolingual, one a size of model."""
    runs: tuple[RunGain, ...]
    verdicts: tuple[Verdict, ...]
    """Of the mean over languages."""
    by_language: tuple[Verdict, ...]
    controls: tuple[Verdict, ...]
    """Of more passes over the own text alone, at the compute of each mixture: what more steps are worth without a language."""
    contrasts: tuple[Contrast, ...]
    """Of every two mixtures."""
    slopes: tuple[Contrast, ...]
    """Of each mixture's gain, per doubling of the model."""
    partition: tuple[Share, ...]
    likeness: tuple[Likeness, ...]
    """What a similarity of 1 above 0 is worth, one measure at fixed others; none without measures."""
    explained: tuple[Explained, ...]
    """Shares of the variance of gains by measures of similarity, as in the paper."""
    excess: tuple[Excess, ...]
    """Loss above the known entropy; none where it is not known."""
    comparison: tuple[HeldOut, ...]
    laws: tuple[MixtureLaw, ...]
    crossovers: tuple[Crossover, ...]
    """At the measured sizes of model and ratios of added to target tokens."""
    level: float
    margin: float
    """Share of target data that counts as none."""
    counts: Counts
    dof: int
    """Repeated runs behind the noise."""
    warnings: tuple[Note, ...]
    settings: dict[str, str | float | int]

    @property
    def status(self) -> Status:
        """``ok`` where any verdict was reached."""
        answered = any(v.verdict != "unresolved" for v in self.verdicts + self.by_language)
        return "ok" if answered else "not_identified"

    @property
    def censored(self) -> float:
        """Share of cells and languages whose equivalent data lie outside the measured sizes, where a gain is a bound."""
        return float(np.mean([v.censored for v in self.by_language])) if self.by_language else 0.0

    def frame(self) -> pd.DataFrame:
        """One row a verdict, of the mean over languages first; see :class:`Verdict`."""
        return verdict_frame(self.verdicts + self.by_language)

    def mean_frame(self) -> pd.DataFrame:
        """One row a verdict of the mean over languages, or of the only one, after those of more passes alone."""
        return verdict_frame(self.controls + (self.verdicts or self.by_language))

    def crossover_frame(self) -> pd.DataFrame:
        """One row a crossover; notes by their codes."""
        return pd.DataFrame([to_plain(c) | {"notes": "; ".join(n.code for n in c.notes)} for c in self.crossovers])

    def comparison_frame(self) -> pd.DataFrame:
        """One row a form and hold-out."""
        return pd.DataFrame([to_plain(row) for row in self.comparison])

    def contrast_frame(self) -> pd.DataFrame:
        """One row a contrast of two mixtures, then one a slope by size."""
        return pd.DataFrame([to_plain(row) for row in (*self.contrasts, *self.slopes)])

    def partition_frame(self) -> pd.DataFrame:
        """One row a source of the spread of the gains."""
        return pd.DataFrame([to_plain(row) for row in self.partition])

    def similarity_frame(self) -> pd.DataFrame:
        """One row a measure of similarity, with what it is worth at fixed others."""
        return pd.DataFrame([to_plain(row) for row in self.likeness])

    def explained_frame(self) -> pd.DataFrame:
        """One row a subset of the measures, with the share of the variance that it explains."""
        return pd.DataFrame([to_plain(row) for row in self.explained])

    def excess_frame(self) -> pd.DataFrame:
        """One row a cell, with its loss above the known entropy."""
        return pd.DataFrame([to_plain(row) for row in self.excess])

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
        """Text for a terminal: verdicts, control, contrasts, crossovers, laws, and every warning."""
        verdicts = pd.Series([v.verdict for v in self.verdicts or self.by_language]).value_counts()
        of = "the mean over languages" if self.verdicts else "each language"
        lines = [
            f"multilinguality: {self.counts.n_runs} runs of {len(self.languages)} languages,"
            f" {self.counts.n_diverged} diverged, {self.dof} repeats",
            f"cells of {of}: " + ", ".join(f"{word} {n}" for word, n in verdicts.items()),
            f"censored: {self.censored:.0%} of cells and languages",
        ]
        for v in self.controls:
            lines.append(f"alone, more passes, {_cell(v)}: {v.verdict}, gain {_ends(v.gain, v.lower, v.upper)}")
        for v in self.verdicts or self.by_language:
            over = (
                ""
                if v.matched is None
                else f", over the matched baseline {_ends(v.matched, v.matched_lower, v.matched_upper)}"
            )
            lines.append(
                f"{' '.join(filter(None, (v.language, v.mixture)))} {_cell(v)}: {v.verdict}, gain"
                f" {_ends(v.gain, v.lower, v.upper)}{over}; detectable {_text(v.detectable)}, censored {v.censored:.0%}"
            )
        for row in (*self.contrasts, *self.slopes):
            if row.tokens is None:
                name = f"{row.first} less {row.second}" if row.second else f"{row.first}, per doubling of N"
                lines.append(f"{name}: {row.answer}, {_ends(row.value, row.lower, row.upper)} over {row.n_cells} cells")
        for measure in self.likeness:
            known = None if measure.value is None else _ends(measure.value, measure.lower, measure.upper)
            lines.append(f"{measure.measure} of 1 over 0, others fixed: {known or f'not identified, {measure.reason}'}")
        if self.partition:
            lines.append("variance of gains: " + ", ".join(f"{s.source} {s.share:.0%}" for s in self.partition))
        for mixture in self.mixtures:
            found = [c for c in self.crossovers if c.mixture == mixture and c.tokens is not None]
            lines += [
                f"crossover {mixture} N {c.params:.3g} M/D {c.ratio:.3g}: {c.tokens:.3g} tokens"
                f" [{_text(c.lower)}, {_text(c.upper)}] " + "; ".join(n.code for n in c.notes)
                for c in found
            ]
            if not found:
                lines.append(f"crossover {mixture}: none at any size and ratio")
        lines += [
            f"{best.mixture}, {best.held_out} held out: {best.form}, error {best.error:.2%}" for best in self.best_forms()
        ]
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def best_forms(self) -> list[HeldOut]:
        """Return the form that predicts each hold-out of each mixture best."""
        found: dict[tuple[str, str], HeldOut] = {}
        for row in self.comparison:
            key = (row.mixture, row.held_out)
            if key not in found or row.error < found[key].error:
                found[key] = row
        return list(found.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "MultilingualityFit":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: MultilingualityFit = from_plain(cls, content)
        return rebuilt


def _cell(v: Verdict) -> str:
    return f"N {v.params:.3g} D {v.tokens:.3g} M {v.added:.3g}"


def _ends(value: float, lower: float | None, upper: float | None) -> str:
    return f"{value:+.2f} [{_text(lower)}, {_text(upper)}]"


def _text(value: float | None) -> str:
    return "open" if value is None else f"{value:.3g}"

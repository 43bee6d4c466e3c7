"""What the sweep of the stability gap hands back: gaps, ends and effects of every condition, as tables or plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.fitting.result import Counts, Note, Status, from_plain, to_plain
from analysis.fitting.seeds import Estimate
from analysis.laws.stability_gap_factorial import Effect
from analysis.laws.stability_gap_probes import ProbeReading
from analysis.laws.stability_gap_result import Gap, StabilityGapFit, shown
from curselab.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEnd:
    """What an arm ends with, and the metrics of De Lange et al., whose losses have no sign turned here: lower is better."""

    arm: str
    role: str
    """``strategy``, ``other`` (outside the factorial), ``control`` (old text alone) or ``reference`` (from scratch)."""
    strategies: tuple[str, ...]
    n_runs: int
    n_diverged: int
    train_flop: float | None
    unique_tokens: float | None
    """Of the text that the arm adds."""
    old_loss: Estimate
    """At the end, nats/token; the interval leaves out what a seed does to all arms alike, since arms are compared."""
    new_loss: Estimate
    front: bool
    """No other strategy has both losses lower (means over seeds): of arms with the same steps and learning rates."""
    speed_up: Estimate
    """Tokens with which the arm without a strategy ends at this new loss, over the budget: from its ends at all budgets."""
    worst_old_loss: Estimate
    """Highest old loss after the start (min-ACC), raw."""
    worst_case_loss: Estimate
    """Mean of the last new and the worst old loss (WC-ACC)."""
    windowed_forgetting: Estimate
    """Largest rise of the old loss within the window."""
    windowed_plasticity: Estimate
    """Largest fall of the new loss within the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFit:
    """Arms that share base, size, budget and new text."""

    base: str
    """Stage of the base."""
    new: str
    old: tuple[str, ...]
    params_non_embedding: int
    tokens: int
    losses: StabilityGapFit
    accuracies: StabilityGapFit | None
    """Where questions were asked."""
    ends: tuple[ArmEnd, ...]
    effects: tuple[Effect, ...]
    probes: tuple[ProbeReading, ...]
    """Gradients and movement of the blocks, where they were measured."""
    at_constant_rate: bool | None
    """Whether an arm at a constant rate comes back, too, on the old text; None where there is no such arm."""

    @property
    def name(self) -> str:
        """Base and new text."""
        return f"{self.base} to {self.new}"

    def end(self, arm: str) -> ArmEnd:
        """One arm."""
        for end in self.ends:
            if end.arm == arm:
                return end
        raise InputError(f"arm: {arm!r} was asked for ({self.name} has: {', '.join(end.arm for end in self.ends)})")

    def gap(self, arm: str, split: str | None = None) -> Gap:
        """Gap in the loss of one arm; on the first old text where no split is named."""
        for gap in self.losses.gaps:
            if (gap.arm, gap.split) == (arm, split or self.old[0]):
                return gap
        known = ", ".join(f"{gap.arm} on {gap.split}" for gap in self.losses.gaps)
        raise InputError(f"arm: {arm!r} on {split or self.old[0]!r} was asked for ({self.name} has: {known})")

    @property
    def baseline(self) -> str | None:
        """The arm on new text without a strategy."""
        return next((end.arm for end in self.ends if end.role == "strategy" and not end.strategies), None)

    @property
    def reading(self) -> str:
        """What the old text loses in the arm without a strategy, and to what."""
        if self.baseline is None or not any(gap.arm == self.baseline for gap in self.losses.gaps):
            return "no arm without a strategy"
        verdict = self.gap(self.baseline).verdict
        if verdict.startswith("gap") and self.at_constant_rate is False:
            return f"{verdict}; at a constant rate nothing comes back: annealing is not excluded"
        return str(verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityGapSweep:
    """Conditions of a sweep, from the smallest budget to the largest."""

    law: str = "stability_gap"
    conditions: tuple[ConditionFit, ...]
    level: float
    counts: Counts
    warnings: tuple[Note, ...]
    settings: dict[str, str | float | int]

    @property
    def status(self) -> Status:
        """``ok`` where every depth of a loss has an interval."""
        return "ok" if all(c.losses.status == "ok" for c in self.conditions) else "not_identified"

    def condition(self, new: str | None = None, *, base: str | None = None, tokens: int | None = None) -> ConditionFit:
        """The condition of the largest budget with this new text and base; the first where none is named."""
        found = [c for c in self.conditions if new in (None, c.new) and base in (None, c.base) and tokens in (None, c.tokens)]
        if not found:
            known = ", ".join(f"{c.name}, {c.tokens} tokens" for c in self.conditions)
            raise InputError(f"condition: {base or 'any base'} to {new or 'any text'} was asked for (there are: {known})")
        same = [c for c in found if c.name == found[0].name]
        return max(same, key=lambda c: c.tokens)

    def frame(self) -> pd.DataFrame:
        """One row a condition, arm and split: the gaps in the loss, with ends and De Lange's metrics of the arm."""
        rows = []
        for c in self.conditions:
            gaps = c.losses.frame()
            for end in c.ends:
                own = gaps[gaps["arm"] == end.arm].to_dict("records") or [{"arm": end.arm}]
                place = _place(c) | {"main_old": c.old[0]}
                rows += [place | _plain(end) | {str(name): value for name, value in gap.items()} for gap in own]
        return pd.DataFrame(rows)

    def accuracies(self) -> pd.DataFrame:
        """One row a condition, arm and split: the gaps in accuracy; empty where no questions were asked."""
        asked = [(c, c.accuracies) for c in self.conditions if c.accuracies is not None]
        return pd.concat([fit.frame().assign(**_place(c)) for c, fit in asked], ignore_index=True) if asked else pd.DataFrame()

    def effects(self) -> pd.DataFrame:
        """One row a condition, outcome and strategy or interaction, nats/token; below zero is better."""
        rows = [
            _place(c)
            | {"outcome": e.outcome, "term": e.term, "n_pairs": e.n_pairs, "p_holm": e.p, "answer": e.answer}
            | {"value": e.estimate.value, "lower": e.estimate.lower, "upper": e.estimate.upper}
            for c in self.conditions
            for e in c.effects
        ]
        return pd.DataFrame(rows)

    def probes(self) -> pd.DataFrame:
        """One row a condition, arm and metric: gradients and movement of blocks before the minimum and at the end."""
        rows = []
        for c in self.conditions:
            for p in c.probes:
                row = _place(c) | {"arm": p.arm, "metric": p.metric}
                for name in ("before", "before_over_control", "end"):
                    e = getattr(p, name)
                    row |= {name: e.value, f"{name}_lower": e.lower, f"{name}_upper": e.upper}
                rows.append(row)
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Text for a terminal: every condition with its gaps, ends and effects, and every warning."""
        lines = [
            "stability_gap: what continual pre-training loses, to what, and what strategies buy",
            f"runs {self.counts.n_runs}  diverged {self.counts.n_diverged}  seeds {self.counts.n_seeds}  status {self.status}",
        ]
        for c in self.conditions:
            lines += ["", f"{c.name}, {c.tokens:,} tokens, {c.params_non_embedding:,} parameters: {c.reading}"]
            lines += [line for end in c.ends for line in _lines(c, end)]
            lines += [
                f"  {e.outcome}, {e.term}: {shown(e.estimate)} nats/token, {e.answer}"
                for e in c.effects
                if len(e.strategies) == 1
            ]
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "StabilityGapSweep":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: StabilityGapSweep = from_plain(cls, content)
        return rebuilt


def _place(c: ConditionFit) -> dict[str, Any]:
    return {"base": c.base, "new": c.new, "params_non_embedding": c.params_non_embedding, "budget_tokens": c.tokens}


def _plain(end: ArmEnd) -> dict[str, Any]:
    """Fields as columns, estimates with their ends."""
    row: dict[str, Any] = {}
    for name in ArmEnd.__slots__:
        value = getattr(end, name)
        if isinstance(value, Estimate):
            row |= {f"end_{name}": value.value, f"end_{name}_lower": value.lower, f"end_{name}_upper": value.upper}
        else:
            row[name] = ", ".join(value) if isinstance(value, tuple) else value
    return row


def _lines(c: ConditionFit, end: ArmEnd) -> list[str]:
    lines = [
        f"  {end.arm}: old {shown(end.old_loss)}, new {shown(end.new_loss)} nats/token{', on the front' if end.front else ''}"
    ]
    gaps = [gap for gap in c.losses.gaps if gap.arm == end.arm and gap.split in c.old]
    for gap in gaps:
        lines.append(f"    {gap.split}: {gap.verdict}, depth {shown(gap.depth)}, index {shown(gap.gap_index)}")
    return lines

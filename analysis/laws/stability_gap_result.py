"""What the analysis of the stability gap hands back: estimates of each arm and split, as a table, a text or plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from analysis.fitting.result import Note, Status, from_plain, to_plain
from analysis.fitting.seeds import Estimate

Verdict = Literal["gap", "gap, no control", "learning rate", "forgetting", "none found"]

_TOKENS = ("time_to_minimum", "time_to_recovery")
_METRIC = (
    "start",
    "depth",
    "held_out_depth",
    "excess_depth",
    "regret_log",
    "final_gain",
    "peak_gain",
    "permanent",
    "transient",
)
_PLAIN = ("gap_index", "speed_up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One arm on one split; differences have the metric's unit, and above zero is worse for depths, better for gains."""

    arm: str
    split: str
    verdict: Verdict
    form: str
    """Of the curve that was measured."""
    margin: float | None
    """AICc of the best monotone form less that of the best other one; None with too few evaluations for one that dips."""
    intervals: str
    """Kind of the replicates."""
    n_seeds: int
    n_evaluations: int
    budget_tokens: float
    start: Estimate
    """Of the metric, losses with their sign turned."""
    depth: Estimate
    held_out_depth: Estimate = Estimate(None)
    """Of each seed where all others are lowest, which chance makes no deeper; None without the jackknife."""
    excess_depth: Estimate
    """Over the control."""
    time_to_minimum: Estimate
    """Tokens."""
    time_to_recovery: Estimate
    """Tokens; no value where it lies beyond the budget, and then the lower end is what the run shows."""
    gap_index: Estimate
    regret: Estimate
    """Metric times tokens."""
    regret_log: Estimate
    final_gain: Estimate
    peak_gain: Estimate
    permanent: Estimate
    transient: Estimate
    speed_up: Estimate
    """Baseline's tokens over the arm's, at equal quality."""
    notes: tuple[Note, ...] = ()

    @property
    def recovered(self) -> bool:
        """The curve is back within the budget."""
        return self.time_to_recovery.value is not None

    def estimates(self) -> dict[str, Estimate]:
        """Every estimate by its column: the name, with the unit where that is no metric."""
        columns = {name: name for name in (*_METRIC, *_PLAIN)} | {name: f"{name}_tokens" for name in _TOKENS}
        columns |= {"regret": "regret_metric_tokens"}
        return {column: getattr(self, name) for name, column in columns.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityGapFit:
    """Gaps of all arms and splits of a log."""

    law: str = "stability_gap"
    gaps: tuple[Gap, ...]
    level: float
    settings: dict[str, str | float | int]

    @property
    def status(self) -> Status:
        """``ok`` where every depth has an interval."""
        return "ok" if all(gap.depth.lower is not None for gap in self.gaps) else "not_identified"

    def frame(self) -> pd.DataFrame:
        """One row an arm and split; every estimate with ``_lower`` and ``_upper``, None is no answer."""
        rows = []
        for gap in self.gaps:
            row: dict[str, Any] = {"arm": gap.arm, "split": gap.split, "verdict": gap.verdict, "form": gap.form}
            row |= {"margin_aicc": gap.margin, "n_seeds": gap.n_seeds, "recovered": gap.recovered}
            for column, e in gap.estimates().items():
                row |= {column: e.value, f"{column}_lower": e.lower, f"{column}_upper": e.upper}
            rows.append(row | {"reasons": ", ".join(note.code for note in gap.notes)})
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Text for a terminal: every arm and split, and what their runs cannot tell."""
        lines = [f"stability_gap: {self.settings['value']}, {self.level:.0%} intervals", ""]
        for gap in self.gaps:
            margin = "--" if gap.margin is None else f"{gap.margin:.1f}"
            lines.append(f"{gap.arm}, {gap.split}: {gap.verdict} ({gap.form}, AICc margin {margin}, {gap.n_seeds} seeds)")
            rows = {"depth": gap.depth, "held-out depth": gap.held_out_depth, "excess depth": gap.excess_depth}
            rows |= {"gap index": gap.gap_index}
            rows |= {"minimum (tokens)": gap.time_to_minimum, "recovery (tokens)": gap.time_to_recovery}
            rows |= {"final gain": gap.final_gain, "permanent": gap.permanent, "transient": gap.transient}
            lines += [f"    {name:18} {shown(e)}" for name, e in rows.items() if e != Estimate(None)]
            lines += [f"    note {note.code}: {note.message}" for note in gap.notes]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "StabilityGapFit":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: StabilityGapFit = from_plain(cls, content)
        return rebuilt


def shown(e: Estimate) -> str:
    """Value and interval; what lies beyond the budget is not reached."""
    ends = ["open" if end is None else f"{end:.4g}" for end in (e.lower, e.upper)]
    return f"{'not reached' if e.value is None else f'{e.value:.4g}'} [{ends[0]}, {ends[1]}]"

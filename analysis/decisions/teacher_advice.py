"""The answer of :func:`analysis.decisions.optimal_teacher.optimal_teacher`: advice, losses at stake, costs, warnings."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.fitting.result import Note, to_plain
from analysis.laws.capacity_gap_published import Trust

SCENARIOS = {"student": (0, 0), "inference": (1, 0), "training": (0, 1), "both": (1, 1)}
"""Which costs of the teacher are counted: its passes over the student's tokens, its own training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What one law says."""

    law: str
    trust: Trust
    teacher: float | None
    """Parameters, were any size to be had."""
    lower: float | None
    upper: float | None
    choice: str | None
    """Teacher of the catalogue: of the lowest predicted loss, or nearest in ln(parameters) where the law predicts no loss."""
    choice_params: float | None
    loss: float | None
    """Student's loss with the choice, or with the free teacher where there is no catalogue, nats/token, by the judging law."""
    excess: float | None
    """That loss above the lowest one to be had."""
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One teacher and what its student loses, nats/token, by the judging law."""

    name: str
    params: float
    ratio: float
    teacher_loss: float
    loss: float
    excess: float
    """Loss above the lowest one to be had."""
    excess_lower: float
    excess_upper: float
    """Its interval, from the intervals of the judging law's constants; the lowest loss moves with them."""
    flop: tuple[float, ...]
    """At the student's tokens, a scenario of ``SCENARIOS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The best teacher at a fixed total of FLOP, a scenario; None where no teacher leaves the student any tokens."""

    scenario: str
    teacher: float | None
    student_tokens: float | None
    loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherAdvice:
    """What each law advises for one student; sizes in parameters, losses in nats/token."""

    student_params: float
    student_tokens: float
    judge: str
    """The law that predicts the losses."""
    own_loss: float
    """Of the student without a teacher."""
    advice: tuple[Advice, ...]
    band: float
    """nats/token."""
    band_lower: float
    band_upper: float
    """Smallest and largest teacher whose student loses less than ``band`` above the lowest."""
    stakes: tuple[Option, ...]
    """Teachers of 1, 2.5 and 10 times the student, and the best."""
    catalogue: tuple[Option, ...]
    """From the lowest loss; empty where any size was to be had."""
    compute: float
    """FLOP of ``budgets``."""
    budgets: tuple[Budget, ...]
    warnings: tuple[Note, ...]

    def frame(self) -> pd.DataFrame:
        """One row a law, with the fields of ``Advice``; notes by their codes."""
        rows = [to_plain(a) | {"notes": "; ".join(n.code for n in a.notes)} for a in self.advice]
        return pd.DataFrame(rows)

    def options(self) -> pd.DataFrame:
        """One row a teacher, of the catalogue or at stake, with its FLOP in each scenario."""
        rows = []
        for option in self.catalogue or self.stakes:
            row = to_plain(option)
            rows.append(row | {f"flop_{s}": f for s, f in zip(SCENARIOS, row.pop("flop"), strict=True)})
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Text for a terminal."""
        lines = [
            f"student {self.student_params:.4g} parameters, {self.student_tokens:.4g} tokens;"
            f" without a teacher {self.own_loss:.4f} nats/token ({self.judge})",
        ]
        for a in self.advice:
            size = "no answer" if a.teacher is None else f"{a.teacher:.4g}"
            ends = "" if a.lower is None or a.upper is None else f" [{a.lower:.3g}, {a.upper:.3g}]"
            choice = "" if a.choice is None else f", of the catalogue {a.choice} ({a.choice_params:.3g})"
            loss = "" if a.loss is None else f": loss {a.loss:.4f}, {a.excess:.4f} above the lowest"
            lines.append(f"{a.law} ({a.trust}): teacher {size}{ends}{choice}{loss}")
            lines += [f"  {note.code}: {note.message}" for note in a.notes]
        lines.append(f"within {self.band:g} nats of the lowest: teachers of {self.band_lower:.3g} to {self.band_upper:.3g}")
        lines += [
            f"teacher {o.name} ({o.params:.3g}): loss {o.loss:.4f},"
            f" {o.excess:+.4f} [{o.excess_lower:.4f}, {o.excess_upper:.4f}]"
            for o in self.stakes
        ]
        for b in self.budgets:
            found = "no teacher leaves the student any tokens"
            if b.teacher is not None:
                found = f"teacher {b.teacher:.3g}, student tokens {b.student_tokens:.3g}, loss {b.loss:.4f}"
            lines.append(f"at {self.compute:.3g} FLOP, counting {b.scenario}: {found}")
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

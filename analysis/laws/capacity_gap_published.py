r"""Published laws of the best teacher as objects: formula, constants with intervals, units, range and source.

.. math:: N_T^* = 2.498 N_S - 11.498 \quad \text{(millions of parameters)}

Source: Zhang et al. (2023), Towards the Law of Capacity Gap in Distilling Language Models, arXiv:2311.07052, version 4. The
numbers are quoted from a reader's note on the paper, which gives neither the intercept's unit nor any interval. The law of
Busbridge et al. (2025) is :mod:`analysis.laws.distillation`.

Known failures: 2.5 is 1 / (1 - 0.6), one step of the grid of sparsities (ratios 2.0, 2.5, 3.33) of the released pruner, so if
the study used it, the slope is known to about 2.2 to 2.9 at best; its :math:`R^2 = 0.9957` does not show a straight line,
since power laws of exponent 0.8 and 1.2 give 0.994 and 0.995 on such sizes; students are cut out of their own teacher, so a
larger teacher also means heavier pruning.
"""

from dataclasses import dataclass
from typing import Literal

from analysis.fitting.result import Note
from analysis.laws.published import Coefficient as Coefficient
from analysis.laws.published import Trust as Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTeacher:
    """A law's answer for one student, parameters; None where it has none."""

    teacher: float | None
    lower: float | None
    upper: float | None
    level: float | None
    """Of the interval."""
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZhangCapacityGap:
    """The straight line of Zhang et al. (2023), for students cut out of their own teacher."""

    name: str = "Zhang et al. 2023"
    formula: str = "N_T* = slope N_S + intercept"
    coefficients: tuple[Coefficient, ...] = (
        Coefficient("slope", 2.498, "1"),
        Coefficient("intercept", -11.498e6, "parameters (the unit is not stated; only millions make sense)"),
    )
    level: None = None
    source: str = "arXiv:2311.07052 v4, T = 2.498 S - 11.498"
    trust: Trust = "secondary"
    valid: str = "GPT2 and Pythia teachers of 70M to 2.8B parameters, students pruned from them, loss half text, half teacher"
    teachers: tuple[float, float] = (70e6, 2.8e9)
    """Smallest and largest teacher that was tried, parameters."""

    def best_teacher(
        self, student: float, tokens: float | None = None, *, teacher_tokens_per_param: float = 20.0
    ) -> BestTeacher:
        """Best teacher of a student (parameters); the law does not look at any tokens."""
        slope, intercept = (c.value for c in self.coefficients)
        teacher = slope * student + intercept
        if teacher < student:
            smallest = -intercept / (slope - 1)
            reason = f"the line puts the teacher below the student: it begins at students of {smallest:.3g} parameters"
            return BestTeacher(teacher=None, lower=None, upper=None, level=None, notes=(Note("outside_law", reason),))
        low, high = self.teachers
        notes = () if low <= teacher <= high else (Note("extrapolated", f"teachers of {low:.3g} to {high:.3g} were tried"),)
        return BestTeacher(teacher=teacher, lower=None, upper=None, level=None, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLine:
    """A published law as a line to draw: teacher = ratio * student + offset, in parameters."""

    label: str
    arm: Literal["student", "pruned"]
    """Whether students start fresh or are cut out of their teacher."""
    ratio: float
    offset: float
    span: tuple[float, float]
    """Smallest and largest ratio that the source supports."""
    source: str
    trust: Trust


_ZHANG = ZhangCapacityGap()
PUBLISHED = (
    PublishedLine(
        label=_ZHANG.name,
        arm="pruned",
        ratio=_ZHANG.coefficients[0].value,
        offset=_ZHANG.coefficients[1].value,
        span=(2.2, 2.9),
        source=_ZHANG.source,
        trust=_ZHANG.trust,
    ),
    PublishedLine(
        label="Busbridge et al. 2025",
        arm="student",
        ratio=9.0,
        offset=0.0,
        span=(8.3, 11.0),
        source="arXiv:2502.08606, table 6, optimum for teachers at 20 tokens a parameter and students at 160 to 1000",
        trust="derived",
    ),
)

r"""Plan a capacity-gap sweep: whether the grid brackets the best teachers, the seeds that a rise needs, and the cost.

The whole analysis is run on simulated tables: losses of any law at the planned cells, with normal noise. What it then finds is
what the runs would find, if the law were true.

FLOP: training of teachers :math:`6 N_T D_T`, their passes :math:`2 N_T D_S` over the most tokens that any of their students
reads, once for all seeds, and training of students :math:`6 N_S D_S`, plain ones among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.decisions.capacity_gap_simulation import LossLaw, Vector, check_positive, seeds_needed, simulate
from analysis.fitting.result import Note, check_level, to_plain
from analysis.laws.capacity_gap_student import StudentGap, detectable
from analysis.laws.distillation_scaling import DistillationScaling
from curselab.errors import InputError

_REACH = (0.25, 16.0)  # the true optimum is searched so far beyond the ends of the grid


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentPlan:
    """What the planned runs would say about one student, if the law were true; sizes in parameters, losses in nats/token."""

    student: float
    truth: float
    """Best teacher by the law."""
    bracketed: bool
    """It lies between the second and the last but one teacher of the grid."""
    rise: float
    """From the best teacher to the grid's largest, by the law."""
    fall: float
    """From the grid's smallest teacher to the best."""
    seeds_needed: int | None
    """For the smaller of the two; None where there is nothing to find or no number of seeds finds it."""
    identified: float
    """Share of tables where the best teacher is identified."""
    covered: float | None
    """Share of those whose interval holds the truth; None where there are none."""
    bias: float | None
    """Mean of ln(found / truth) over those."""
    spread: float | None
    """Standard deviation of the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapPlan:
    """A planned sweep, its cost and what it would show."""

    law: str
    students: tuple[StudentPlan, ...]
    ratios: tuple[float, ...]
    seeds: int
    noise: float
    """Of one run beside its seed's effect, nats/token."""
    detectable: float
    """Difference of two teachers that these seeds find with the power, nats/token."""
    power: float
    level: float
    tables: int
    law_identified: float
    """Share of tables where the law over students is fitted."""
    b: float | None
    """Median exponent over those; None where there are none."""
    b_half_width: float | None
    """Median half width of its interval."""
    flop_teachers: float
    flop_signal: float
    flop_students: float
    seconds: float | None
    """At the given speed."""
    warnings: tuple[Note, ...]

    @property
    def flop(self) -> float:
        """All of it."""
        return self.flop_teachers + self.flop_signal + self.flop_students

    def frame(self) -> pd.DataFrame:
        """One row a student, with the fields of ``StudentPlan``."""
        return pd.DataFrame([to_plain(s) for s in self.students])

    def summary(self) -> str:
        """Text for a terminal."""
        time = "" if self.seconds is None else f", {self.seconds:.3g} s"
        lines = [
            f"capacity gap planned by {self.law}: {len(self.students)} students, {len(self.ratios)} teachers each,"
            f" {self.seeds} seeds",
            f"noise {self.noise:.3g} nats/token: differences from {self.detectable:.3g} are found with {self.power:.0%} power",
            f"{self.flop:.3g} FLOP (teachers {self.flop_teachers:.2g}, their passes {self.flop_signal:.2g},"
            f" students {self.flop_students:.2g}){time}",
            f"{'student':>10} {'best teacher':>13} {'bracketed':>10} {'rise':>8} {'seeds':>6}"
            f" {'identified':>11} {'covered':>8}",
        ]
        for s in self.students:
            covered = "-" if s.covered is None else f"{s.covered:.0%}"
            lines.append(
                f"{s.student:10.4g} {s.truth:13.4g} {'yes' if s.bracketed else 'no':>10} {s.rise:8.2g}"
                f" {s.seeds_needed or '-':>6} {s.identified:11.0%} {covered:>8}"
            )
        b = "" if self.b is None else f", b {self.b:.3g} with half width {self.b_half_width:.2g}"
        lines.append(f"law over students identified in {self.law_identified:.0%} of {self.tables} tables{b}")
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])


def plan_capacity_gap(
    students: Sequence[float],
    *,
    noise: float,
    ratios: Sequence[float] = (1, 2, 4, 8, 16, 32),
    seeds: int = 4,
    tokens_per_param: float = 320.0,
    teacher_tokens_per_param: float = 20.0,
    loss: LossLaw | None = None,
    law: str | None = None,
    tables: int = 100,
    resamples: int = 200,
    level: float = 0.95,
    power: float = 0.8,
    flop_per_s: float | None = None,
    seed: int = 0,
) -> GapPlan:
    """Simulate a sweep before it is run.

    Parameters
    ----------
    students : sequence of float
        Sizes, parameters.
    noise : float
        Standard deviation of one run's loss beside its seed's effect, nats/token: ``StudentGap.sigma`` of a pilot.
    ratios : sequence of float
        Teachers over student, the same for every student.
    seeds : int
        Students a teacher, the same seeds for all teachers.
    tokens_per_param, teacher_tokens_per_param : float
        Of students and of teachers.
    loss : callable, optional
        Truth: ``loss(student, tokens, teachers)`` in nats/token; the published law of Busbridge et al. when left out.
    law : str, optional
        Its label.
    tables : int
        Simulated.
    resamples : int
        Of each table's bootstrap and tests.
    level, power : float
        Of intervals and tests, and of ``detectable``.
    flop_per_s : float, optional
        Speed of the machine.
    seed : int
        Of the simulation.

    Raises
    ------
    InputError
        No students, fewer than two seeds or three ratios, or numbers that are not positive.
    """
    N, k = _sizes("students", students, 1), _sizes("ratios", ratios, 3)
    check_positive(noise=noise, tokens_per_param=tokens_per_param, teacher_tokens_per_param=teacher_tokens_per_param)
    if seeds < 2 or tables < 1 or resamples < 1:
        raise InputError(f"plan: {seeds} seeds and {tables} tables were given, 2 seeds and 1 table or more are needed")
    level = check_level(level)
    warnings: tuple[Note, ...] = ()
    if loss is None:
        published = DistillationScaling()
        warnings = _doubts(published, N)
        law = law or published.name
        loss = lambda S, D, T: published.student_loss(S, D, T, teacher_tokens_per_param=teacher_tokens_per_param)  # noqa: E731
    design = [(size, tokens_per_param * size, k * size) for size in N.tolist()]
    found = list(simulate(loss, design, noise=noise, seeds=seeds, tables=tables, resamples=resamples, level=level, seed=seed))
    laws = [(a.b, a.b_upper) for _, a in found if a.b is not None and a.b_upper is not None]
    flop_teachers, flop_signal, flop_students = _flop(design, seeds, teacher_tokens_per_param)
    total = flop_teachers + flop_signal + flop_students
    return GapPlan(
        law=law or "the given law",
        students=tuple(
            _student(loss, cell, [table[i] for table, _ in found], noise, seeds, level, power) for i, cell in enumerate(design)
        ),
        ratios=tuple(k.tolist()),
        seeds=seeds,
        noise=noise,
        detectable=detectable(noise, seeds, (seeds - 1) * (len(k) - 1), level=level, power=power),
        power=power,
        level=level,
        tables=tables,
        law_identified=len(laws) / tables,
        b=float(np.median([b for b, _ in laws])) if laws else None,
        b_half_width=float(np.median([upper - b for b, upper in laws])) if laws else None,
        flop_teachers=flop_teachers,
        flop_signal=flop_signal,
        flop_students=flop_students,
        seconds=None if flop_per_s is None else total / flop_per_s,
        warnings=warnings,
    )


def _student(
    loss: LossLaw,
    cell: tuple[float, float, Vector],
    found: list[StudentGap],
    noise: float,
    seeds: int,
    level: float,
    power: float,
) -> StudentPlan:
    student, tokens, teachers = cell
    wide = np.geomspace(_REACH[0] * teachers[0], _REACH[1] * teachers[-1], 2001)
    curve = np.asarray(loss(student, tokens, wide), dtype=float)
    truth, lowest = float(wide[curve.argmin()]), float(curve.min())
    ends = np.asarray(loss(student, tokens, teachers[[0, -1]]), dtype=float) - lowest
    effect = float(ends.min())
    rows = [(s.optimum, s.lower, s.upper) for s in found if s.optimum is not None]
    best, lower, upper = np.array(rows, dtype=float).reshape(-1, 3).T
    logs = np.log(best / truth)
    return StudentPlan(
        student=student,
        truth=truth,
        bracketed=bool(teachers[1] <= truth <= teachers[-2]),
        rise=float(ends[1]),
        fall=float(ends[0]),
        seeds_needed=seeds_needed(noise, effect, len(teachers), level=level, power=power) if effect > 0 else None,
        identified=len(rows) / len(found),
        covered=float(np.mean((lower <= truth) & (truth <= upper))) if rows else None,
        bias=float(logs.mean()) if rows else None,
        spread=float(logs.std()) if rows else None,
    )


def _flop(design: Sequence[tuple[float, float, Vector]], seeds: int, per_param: float) -> tuple[float, float, float]:
    """Of teachers, their passes and students."""
    longest: dict[float, float] = {}
    for _, tokens, teachers in design:
        for size in teachers.tolist():
            longest[size] = max(longest.get(size, 0.0), tokens)
    trained = sum(6 * per_param * size**2 for size in longest)
    passes = sum(2 * size * tokens for size, tokens in longest.items())
    # one plain student beside those of the teachers
    students = seeds * sum(6 * student * tokens * (len(teachers) + 1) for student, tokens, teachers in design)
    return trained, passes, students


def _doubts(law: DistillationScaling, students: Vector) -> tuple[Note, ...]:
    low, high = law.params_range
    if low <= students.min() and students.max() <= high:
        return ()
    reach = f"{law.name} holds from {low:.3g} to {high:.3g} parameters"
    return (Note("extrapolated", f"{reach}: give the losses of a law that was fitted to such students (fit_distillation)"),)


def _sizes(name: str, values: Sequence[float], least: int) -> Vector:
    sizes = np.unique(np.asarray(values, dtype=float))
    if len(sizes) < least or not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise InputError(f"{name}: {list(values)} was given, {least} or more different positive numbers are needed")
    return sizes

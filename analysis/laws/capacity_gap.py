r"""The best teacher for a student, and how it grows with the student.

.. math:: \ln N_T^*(N_S) = a + b \ln N_S, \qquad k = N_T^* / N_S \text{ where } b = 1

====================  ==========================================================  ======================
symbol                meaning                                                     unit
====================  ==========================================================  ======================
:math:`N_S`           student's parameters (without embedding, Kaplan)            parameters
:math:`N_T`           teacher's parameters, counted the same way                  parameters
:math:`N_T^*`         teacher that gives the student its lowest loss              parameters
:math:`a, b`          intercept and exponent of the law                           ln(parameters), 1
:math:`k`             ratio of teacher to student                                 1
====================  ==========================================================  ======================

Source: Zhang et al. (2023), Towards the Law of Capacity Gap in Distilling Language Models, arXiv:2311.07052, who report
:math:`N_T^* = 2.498 N_S - 11.498` (millions) for students cut out of their own teacher; Busbridge et al. (2025), Distillation
Scaling Laws, arXiv:2502.08606, whose coefficients imply a ratio near 9 for fresh students of compute-optimal teachers.

For each student, a cubic in :math:`\ln N_T` through the points within two octaves of the lowest one gives the optimum, where
the noise of the runs does not reject that form; other estimators stand beside it, see
:mod:`analysis.laws.capacity_gap_optimum`. The law over students is fitted only to optima that are identified: the lowest loss
is inside the grid, both the fall and the rise are significant after Holm's correction, larger teachers are better ones, and
90 % of resamples have an optimum inside. Four such students over a factor of eight are needed.

Known failures: one teacher a size means that a lucky teacher looks like a good size, which no interval here covers;
undertrained large teachers make an optimum of their own; a plateau (:mod:`analysis.laws.kernel_toy`) has no single best
teacher, and what is found is a point on it or near its end; a high :math:`R^2` does not show :math:`b = 1`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

from analysis.columns import require_columns
from analysis.fitting.result import Bootstrap, Counts, Note, Status, check_level, from_plain, to_plain
from analysis.laws.capacity_gap_crossed import CrossedControl, crossed_controls
from analysis.laws.capacity_gap_law import AcrossStudents, across_students
from analysis.laws.capacity_gap_published import PUBLISHED, BestTeacher, Trust
from analysis.laws.capacity_gap_student import Draft, StudentGap, draft, judge
from analysis.laws.capacity_gap_table import by_target_size, doubts, read_cells
from curselab.errors import InputError

__all__ = ["PUBLISHED", "CapacityGapFit", "fit_capacity_gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityGapFit:
    """Best teachers of all students and the law over them."""

    law: str = "capacity_gap"
    students: tuple[StudentGap, ...]
    pruned: tuple[StudentGap, ...] = ()
    """Students that were cut out of their own teacher, by the size that they were cut to; no part of the law."""
    crossed: tuple[CrossedControl, ...] = ()
    """What pruning costs and what the signal is worth, where pruned students also learn from other teachers."""
    across: AcrossStudents
    level: float
    counts: Counts
    bootstrap: Bootstrap
    warnings: tuple[Note, ...]
    settings: dict[str, str | float | int]
    size_unit: str = "parameters"
    loss_unit: str = "nats/token"

    @property
    def status(self) -> Status:
        """Of the law over students."""
        return self.across.status

    @property
    def params(self) -> "pd.Series[float]":
        """``k``, ``a`` and ``b``; NaN where the law is not identified."""
        return pd.Series({"k": self.across.k, "a": self.across.a, "b": self.across.b}, dtype="float64")

    def conf_int(self) -> pd.DataFrame:
        """Intervals of ``k`` and ``b`` at the level of the fit; NaN where the law is not identified."""
        c = self.across
        bounds = {"k": (c.k_lower, c.k_upper), "b": (c.b_lower, c.b_upper)}
        return pd.DataFrame.from_dict(bounds, orient="index", columns=["lower", "upper"], dtype="float64")

    def predict(self, students: ArrayLike) -> pd.DataFrame:
        """Best teacher by the law over students, with its interval.

        Parameters
        ----------
        students : array_like
            Student sizes, parameters, ``(n,)``.

        Returns
        -------
        pandas.DataFrame
            Columns ``student``, ``teacher``, ``lower``, ``upper`` (parameters); NaN where the law is not identified.
        """
        N = np.atleast_1d(np.asarray(students, dtype=float))
        c = self.across
        if c.a is None or c.b is None:
            return pd.DataFrame({"student": N, "teacher": np.nan, "lower": np.nan, "upper": np.nan})
        x = np.log(N)
        mean, (va, vab, vb) = c.a + c.b * x, c.cov
        half = float(student_t.ppf((1 + self.level) / 2, c.n_students - 2)) * np.sqrt(va + 2 * x * vab + x**2 * vb)
        return pd.DataFrame(
            {"student": N, "teacher": np.exp(mean), "lower": np.exp(mean - half), "upper": np.exp(mean + half)}
        )

    @property
    def name(self) -> str:
        """Label beside published laws."""
        return "this fit"

    @property
    def trust(self) -> Trust:
        """Where the numbers come from."""
        return "fitted"

    def best_teacher(
        self, student: float, tokens: float | None = None, *, teacher_tokens_per_param: float = 20.0
    ) -> BestTeacher:
        """Best teacher of a student of any size (parameters), trained as those of the runs; no tokens are looked at."""
        row = self.predict(student).iloc[0]
        notes = [] if self.status == "ok" else [Note("not_identified", self.across.reason)]
        sizes = [s.student for s in self.students if s.optimum is not None]
        if sizes and not min(sizes) <= student <= max(sizes):
            notes.append(
                Note("extrapolated", f"student outside those fitted, {min(sizes):.3g} to {max(sizes):.3g} {self.size_unit}")
            )
        teacher, lower, upper = (None if np.isnan(row[name]) else float(row[name]) for name in ("teacher", "lower", "upper"))
        return BestTeacher(teacher=teacher, lower=lower, upper=upper, level=self.level, notes=tuple(notes))

    def estimates(self) -> pd.DataFrame:
        """One row a student and estimator, none chosen by its answer: sizes in parameters, None where there is no answer."""
        rows = [
            (s.student, s.status, e.name, e.optimum, e.lower, e.upper, e.reason) for s in self.students for e in s.estimates
        ]
        return pd.DataFrame(rows, columns=["student", "status", "estimator", "optimum", "lower", "upper", "reason"])

    def noise(self) -> str:
        """One line on what the runs can show: seed noise and smallest detectable rise of each student."""
        parts = [
            f"{s.student:{',.0f' if s.student < 1e6 else '.4g'}}: {s.sigma:.2g}, {s.detectable:.2g}"
            for s in self.students
            if s.sigma is not None and s.detectable is not None
        ]
        unknown = "unknown, no seed is repeated over teachers"
        return f"seed noise and smallest rise found with 80 % power ({self.loss_unit}): " + ("; ".join(parts) or unknown)

    def frame(self) -> pd.DataFrame:
        """One row an arm and student, in the units of the fit; None where there is no answer."""
        arm = self.settings.get("stage", "student")
        return pd.DataFrame(
            [
                {
                    "arm": name,
                    "student": s.student,
                    "status": s.status,
                    "optimum": s.optimum,
                    "lower": s.lower,
                    "upper": s.upper,
                    "above": s.above,
                    "below": s.below,
                    "ratio": None if s.optimum is None else s.optimum / s.student,
                    "lowest": s.lowest,
                    "rise": s.rise,
                    "sigma": s.sigma,
                    "detectable": s.detectable,
                    "p_no_rise": s.p_no_rise,
                    "p_no_fall": s.p_no_fall,
                    "n_seeds": s.n_seeds,
                    "n_diverged": s.n_diverged,
                    "reasons": ", ".join(note.code for note in s.reasons),
                }
                for name, students in ((arm, self.students), ("pruned", self.pruned))
                for s in students
            ]
        )

    def summary(self) -> str:
        """Text for a terminal: every student, the law over them, and every warning."""
        c = self.across
        lines = [
            "capacity_gap: ln N_T* = a + b ln N_S",
            f"runs {self.counts.n_runs}  diverged {self.counts.n_diverged}  seeds {self.counts.n_seeds}  status {self.status}",
            f"bootstrap {self.bootstrap.kind}, {self.bootstrap.resamples} resamples",
            "",
            f"{'student':>10} {'best teacher':>13} {f'[{self.level:.0%}':>11} {'interval]':>11} {'p, no rise':>11}"
            f"  ({self.size_unit})",
        ]
        lines += [_line(s) for s in self.students]
        if self.status != "ok":
            lines.append(f"law over students not identified: {c.reason}")
        else:
            lines += c.lines()
        lines.append(self.noise())
        if self.pruned:
            lines += ["students cut out of their own teacher, by the size asked for:", *map(_line, self.pruned)]
        lines += [line for control in self.crossed for line in control.lines()]
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "CapacityGapFit":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: CapacityGapFit = from_plain(cls, content)
        return rebuilt


def _line(s: StudentGap) -> str:
    p = "unknown" if s.p_no_rise is None else f"{s.p_no_rise:.2g}"
    if s.optimum is not None:
        return f"{s.student:10.4g} {s.optimum:13.4g} {s.lower:11.4g} {s.upper:11.4g} {p:>11}"
    bound = f"above {s.above:.4g}" if s.above else f"below {s.below:.4g}" if s.below else "no bound"
    reasons = "; ".join(note.message for note in s.reasons)
    return f"{s.student:10.4g} not identified, {bound}, p of no rise {p}: {reasons}"


def fit_capacity_gap(
    data: pd.DataFrame,
    *,
    student: str = "params_non_embedding",
    teacher: str = "teacher_params_non_embedding",
    loss: str = "loss_nats_per_token",
    teacher_loss: str = "teacher_loss_nats_per_token",
    seed_column: str = "seed",
    stage: str = "student",
    size_unit: str = "parameters",
    loss_unit: str = "nats/token",
    bootstrap: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> CapacityGapFit:
    """Find each student's best teacher and the law over students.

    Parameters
    ----------
    data : pandas.DataFrame
        One row a run. With a column ``objective``, the rows ``distill`` are fitted, and the rows ``lm`` (of stage ``plain``,
        where there is a column ``stage``) are the baseline of the student of that size.
    student, teacher, loss, teacher_loss, seed_column : str
        Columns: sizes and losses in the units below, the student's seed, which its runs with all teachers share.
    stage : str
        Distilled rows to fit, where there is a column ``stage``: students with weights of their own, not cut out of a teacher.
        Rows ``pruned`` and ``crossed`` stand beside them in the result; ``"pruned"`` fits that arm in their place.
    size_unit, loss_unit : str
        What the table's sizes and losses are counted in, for summary, figure and table.
    bootstrap : int
        Resamples of the intervals and of the tests; 0 gives neither.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals; tests are at 1 - level.

    Returns
    -------
    CapacityGapFit
        A student whose optimum the runs do not identify says why, with a one-sided bound where one is supported.

    Raises
    ------
    InputError
        A column is missing or holds something else than positive finite numbers; runs of one student differ in more than their
        teacher, or all diverged.
    """
    level = check_level(level)
    if bootstrap < 0:
        raise InputError(f"bootstrap: {bootstrap!r} was given, 0 or more is needed")
    require_columns(data, student, teacher, loss, teacher_loss, seed_column)
    distilled = data[data["objective"] == "distill"] if "objective" in data else data
    names = {student: "student", teacher: "teacher", loss: "loss", teacher_loss: "teacher_loss", seed_column: "seed"}
    rows = _of_stage(distilled, stage, student)
    if rows.empty:
        raise InputError(
            f"data: no rows of objective 'distill' and stage {stage!r} were given (see the columns of these names)"
        )

    def drafts_of(arm: pd.DataFrame) -> list[Draft]:
        cells = read_cells(arm, data, names)
        return [draft(c, resamples=bootstrap, rng=np.random.default_rng([seed, int(c.student)]), level=level) for c in cells]

    drafts = drafts_of(rows)
    students = judge(drafts, level=level)
    draws = {d.cells.student: d.found.draws.position for d in drafts if d.found.draws is not None}
    cut = by_target_size(distilled, student) if "stage" in distilled and stage == "student" else distilled.iloc[:0]
    pruned = cut[cut["stage"] == "pruned"] if len(cut) else cut
    return CapacityGapFit(
        students=tuple(students),
        pruned=tuple(judge(drafts_of(pruned), level=level)),
        crossed=tuple(crossed_controls(cut, {role: column for column, role in names.items()}, level)) if len(cut) else (),
        across=across_students(students, level, draws=draws),
        level=level,
        counts=Counts(
            n_runs=sum(s.n_runs for s in students),
            n_diverged=sum(s.n_diverged for s in students),
            n_clusters=len(students),
            n_seeds=max(s.n_seeds for s in students),
        ),
        bootstrap=Bootstrap(kind="parametric, multivariate t", resamples=bootstrap, not_converged=0),
        warnings=doubts([d.cells for d in drafts], rows, teacher),
        settings={**{role: column for column, role in names.items()}, "stage": stage, "random_seed": seed},
        size_unit=size_unit,
        loss_unit=loss_unit,
    )


def _of_stage(distilled: pd.DataFrame, stage: str, student: str) -> pd.DataFrame:
    if "stage" not in distilled:
        return distilled
    rows = distilled[distilled["stage"] == stage]
    cut = by_target_size(rows, student)
    return cut if len(cut) else rows

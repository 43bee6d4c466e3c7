r"""What pruning costs and what a teacher's signal is worth, told apart: students cut out of base i that learn from teacher j.

.. math:: y_{ijs} = \mu + \beta_i + \tau_j + (\beta\tau)_{ij} + \sigma_s + \varepsilon_{ijs}

=====================  =====================================================================  ===========
symbol                 meaning                                                                unit
=====================  =====================================================================  ===========
:math:`\beta_i`        base: where the student's weights and shape come from                  nats/token
:math:`\tau_j`         teacher: whose distribution the student learns                         nats/token
:math:`\sigma_s`       seed, shared by all pairs                                              nats/token
=====================  =====================================================================  ===========

A student that is cut out of its own teacher (Zhang et al. 2023, arXiv:2311.07052) changes its weights, its shape and its
signal at once. A loss that rises along the bases alone is the cost of pruning; only one that rises along the teachers is a
capacity gap of the signal. Effects are deviations from the mean over the levels; the square of bases and teachers is complete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from analysis.columns import drop_diverged
from analysis.fitting.monotone import holm
from analysis.fitting.result import Status
from analysis.laws.capacity_gap_table import check_fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Difference of one base or teacher from the mean over all of them, nats/token."""

    size: float
    """Parameters."""
    difference: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossedControl:
    """One student size over a square of bases and teachers; p-values are Holm-adjusted over the three tests."""

    student: float
    bases: tuple[Effect, ...] = ()
    teachers: tuple[Effect, ...] = ()
    p_base: float | None = None
    p_teacher: float | None = None
    p_interaction: float | None = None
    sigma: float | None = None
    """Standard deviation of one run beside its seed's own effect, nats/token."""
    n_runs: int
    n_seeds: int
    n_diverged: int
    status: Status
    reason: str

    def lines(self) -> list[str]:
        """For a terminal."""
        if self.status != "ok":
            return [f"crossed, {self.student:.4g}: not identified, {self.reason}"]
        shown = [
            f"crossed, {self.student:.4g}: {self.n_runs} runs, p of bases {self.p_base:.2g}, of teachers {self.p_teacher:.2g},"
            f" of both together {self.p_interaction:.2g} (nats/token from the mean):"
        ]
        for name, effects in (("base", self.bases), ("teacher", self.teachers)):
            each = (f"{e.size:.4g} {e.difference:+.4f} [{e.lower:+.4f}, {e.upper:+.4f}]" for e in effects)
            shown.append(f"  {name:7} {'; '.join(each)}")
        return shown


def crossed_controls(runs: pd.DataFrame, names: dict[str, str], level: float) -> Iterator[CrossedControl]:
    """Analyse every student size that was cut out of several bases and taught by several teachers.

    Parameters
    ----------
    runs : pandas.DataFrame
        Pruned students, their own teachers' and crossed, with a column ``base_params_non_embedding``.
    names : dict
        Column by role: student, teacher, loss, seed.
    level : float
        Of the intervals.

    Raises
    ------
    InputError
        Runs of one square differ in more than base, teacher and seed.
    """
    columns = {names["student"]: "student", names["teacher"]: "teacher", names["loss"]: "loss", names["seed"]: "seed"}
    fine, _ = drop_diverged(runs)
    table = fine.rename(columns=columns)[["student", "teacher", "loss", "seed"]].astype(float)
    table["base"] = fine["base_params_non_embedding"].astype(float)
    for size, rows in table.groupby("student"):
        elsewhere = rows[rows["base"] != rows["teacher"]]  # a base that is only its own teacher is no part of the square
        sizes = set(elsewhere["base"]) & set(elsewhere["teacher"])
        square = rows[rows["base"].isin(sizes) & rows["teacher"].isin(sizes)]
        if len(sizes) > 1:
            check_fixed(fine.loc[square.index], float(str(size)), names["teacher"])
        lost = len(runs[runs[names["student"]] == size]) - len(rows)
        if len(sizes) > 1:
            yield _crossed(float(str(size)), square, lost, level)


def _crossed(size: float, square: pd.DataFrame, n_diverged: int, level: float) -> CrossedControl:
    n_seeds, there = square["seed"].nunique(), len(square.groupby(["base", "teacher", "seed"]).size())
    complete = square["base"].nunique() ** 2 * n_seeds
    control = CrossedControl(
        student=size,
        n_runs=len(square),
        n_seeds=n_seeds,
        n_diverged=n_diverged,
        status="not_identified",
        reason="2 seeds are needed" if n_seeds < 2 else f"{complete - there} of {complete} runs of the square are missing",
    )
    if n_seeds < 2 or there < complete:
        return control
    from statsmodels.formula.api import ols  # here, since it takes a second to import and few tables need it
    from statsmodels.stats.anova import anova_lm

    model = ols("loss ~ C(base) * C(teacher) + C(seed)", data=square).fit()
    tests = anova_lm(model, typ=2)["PR(>F)"]
    p_base, p_teacher, p_both = holm([float(tests[name]) for name in ("C(base)", "C(teacher)", "C(base):C(teacher)")])
    sigma, dof = float(np.sqrt(model.scale)), float(model.df_resid)
    bases, teachers = (_effects(square, factor, sigma, dof, level) for factor in ("base", "teacher"))
    return replace(
        control,
        bases=bases,
        teachers=teachers,
        p_base=float(p_base),
        p_teacher=float(p_teacher),
        p_interaction=float(p_both),
        sigma=sigma,
        status="ok",
        reason="",
    )


def _effects(square: pd.DataFrame, factor: str, sigma: float, dof: float, level: float) -> tuple[Effect, ...]:
    means = square.groupby(factor)["loss"].mean()
    # a level's mean against the mean of all k of them, in a complete square
    se = sigma * np.sqrt((1 - 1 / len(means)) / (len(square) / len(means)))
    half = float(student_t.ppf((1 + level) / 2, dof)) * se
    return tuple(
        Effect(size=float(str(size)), difference=float(d), lower=float(d - half), upper=float(d + half))
        for size, d in (means - means.mean()).items()
    )

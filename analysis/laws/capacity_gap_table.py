"""A table of distilled runs as the cells of each student; what looks wrong without being wrong is a note."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.columns import drop_diverged, positive
from analysis.fitting.result import Note
from analysis.laws.capacity_gap_student import Cells
from curselab.errors import InputError

RATIOS = (1.0, 32.0)
"""Teacher over student that a grid should reach: the published optima, 2.5 and 9, then lie well inside."""

_ROUNDED = 1.2
_ONE_SIZE = 1.05
"""Pruned students asked to be of sizes within this factor were asked to be of one."""

# what must not differ between teachers of one student, or the comparison is of something else
_FIXED = ("tokens", "temperature", "distill_weight", "learning_rate", "context", "tokenizer", "text_sha256", "eval_tokens")


def by_target_size(pruned: pd.DataFrame, student: str) -> pd.DataFrame:
    """Give students that were cut to one size that size: whole heads and units leave each with a count of its own.

    Parameters
    ----------
    pruned : pandas.DataFrame
        Rows with ``sparsity`` and ``base_params_non_embedding``; others are left out.
    student : str
        Column of the student's size, which is replaced.
    """
    if not {"sparsity", "base_params_non_embedding"} <= set(pruned.columns):
        return pruned.iloc[:0]
    cut = pruned[pruned["sparsity"].notna() & pruned["base_params_non_embedding"].notna()]
    asked = ((1 - cut["sparsity"]) * cut["base_params_non_embedding"]).astype(float)
    rising = asked.sort_values()
    number = (rising / rising.shift() > _ONE_SIZE).cumsum()
    # the largest is the count of a base of which nothing goes, where there is one
    return cut.assign(**{student: asked.groupby(number).transform("max").round()})


def read_cells(distilled: pd.DataFrame, data: pd.DataFrame, names: dict[str, str]) -> Iterator[Cells]:
    """Runs of each student, from the smallest.

    Parameters
    ----------
    distilled : pandas.DataFrame
        One row a distilled run.
    data : pandas.DataFrame
        All runs, plain training among them.
    names : dict
        Role (student, teacher, loss, teacher_loss, seed) by column.

    Raises
    ------
    InputError
        Runs of one student differ in more than their teacher, or all diverged.
    """
    columns = {role: column for column, role in names.items()}
    kept, _ = drop_diverged(distilled)
    for column in (columns["teacher"], columns["loss"], columns["teacher_loss"]):
        positive(kept, column)
    plain = _plain(data, columns)
    for size in np.unique(positive(distilled, columns["student"])):
        fine, n_diverged = drop_diverged(distilled[distilled[columns["student"]] == size])
        if fine.empty:
            raise InputError(f"data: all {n_diverged} runs of student {size:g} diverged, leave it out or train it anew")
        check_fixed(fine, size, columns["teacher"])
        table = fine.pivot_table(index=columns["seed"], columns=columns["teacher"], values=columns["loss"], aggfunc="mean")
        signal = fine.groupby(columns["teacher"])[columns["teacher_loss"]].mean()
        yield Cells(
            student=float(size),
            teachers=table.columns.to_numpy(dtype=float),
            losses=table.to_numpy(dtype=float),
            teacher_loss=signal.to_numpy(dtype=float),
            n_runs=len(fine),
            n_diverged=n_diverged,
            plain_loss=_nearest(plain, float(size)),
        )


def _plain(data: pd.DataFrame, columns: dict[str, str]) -> dict[float, float]:
    """Mean loss of plain training by student size."""
    if "objective" not in data:
        return {}
    rows, _ = drop_diverged(data[data["objective"] == "lm"])
    if "stage" in rows:
        rows = rows[rows["stage"] == "plain"]
    means = rows.groupby(columns["student"])[columns["loss"]].mean()
    return dict(zip(means.index.to_numpy(dtype=float).tolist(), means.to_numpy(dtype=float).tolist(), strict=True))


def _nearest(plain: dict[float, float], size: float) -> float | None:
    """Loss of the size itself; a pruned student's may be off by the norms that were cut with it."""
    found = [other for other in plain if max(other / size, size / other) < _ONE_SIZE]
    return plain[min(found, key=lambda other: abs(other - size))] if found else None


def check_fixed(runs: pd.DataFrame, size: float, teacher: str) -> None:
    """Refuse runs of one student that differ in more than base, teacher and seed.

    Raises
    ------
    InputError
        The student and what differs are named.
    """
    for name in _FIXED:
        values = sorted(runs[name].dropna().unique()) if name in runs else []
        if len(values) > 1:
            shown = ", ".join(map(str, values[:3]))
            raise InputError(f"data: student {size:g} has runs of different {name} ({shown}); fit each on its own")
    if "teacher_tokens" in runs and runs.groupby(teacher)["teacher_tokens"].nunique().max() > 1:
        raise InputError(f"data: student {size:g} has teachers of one size and different teacher_tokens; fit each on its own")


def doubts(cells: Sequence[Cells], distilled: pd.DataFrame, teacher: str) -> tuple[Note, ...]:
    """Notes on the design: luck of single teachers, seeds that not all teachers share, ratios that the grid leaves out."""
    notes = []
    if "teacher_seed" not in distilled or distilled.groupby(teacher)["teacher_seed"].nunique().min() < 2:
        notes.append(Note("teacher_luck", "one teacher a size: no interval covers the luck of a teacher's own seed"))
    for c in cells:
        missing = int(np.isnan(c.losses).sum())
        if missing:
            of = f"{missing} of {c.losses.size} pairs of seed and teacher have no run"
            notes.append(Note("missing_pairing", f"student {c.student:g}: {of}, so not all teachers share their seeds"))
        low, high = c.teachers[0] / c.student, c.teachers[-1] / c.student
        # sizes of a ladder are rounded, so the ends are allowed a little
        if low > RATIOS[0] * _ROUNDED or high < RATIOS[1] / _ROUNDED:
            reach = f"teachers of {low:.3g} to {high:.3g} times the student"
            notes.append(Note("ratio_coverage", f"student {c.student:g}: {reach}; {RATIOS[0]:g} to {RATIOS[1]:g} are advised"))
    return tuple(notes)

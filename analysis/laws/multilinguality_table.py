"""A researcher's table of monolingual and multilingual runs as cells: means of ln L, and the noise of one run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import drop_diverged, positive, require_columns
from analysis.fitting.result import Note
from curselab.errors import InputError

Vector = NDArray[np.float64]

CELL = ["language", "mixture", "params", "tokens", "added"]
ALONE = ""
"""Name of the mixture of a monolingual run."""
_ONE_RATIO = 0.05  # whole batches make ratios of one plan differ by less
_MIN_DOF = 10  # repeats behind a standard deviation of its own


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of a table."""

    cells: pd.DataFrame
    """One row a cell: the five names of ``CELL``, ``seen`` (target tokens with repeats), ``log_loss`` (mean of ln L),
    ``runs``, ``sigma`` (standard deviation of ln L of one run; NaN where no run is repeated) and ``dof``, its degrees of
    freedom."""
    runs: pd.DataFrame
    """One row a run: ``CELL``, ``seen``, ``log_loss``, ``seed``."""
    dof: int
    """Degrees of freedom behind the standard deviations."""
    n_diverged: int
    notes: tuple[Note, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """In order of their names."""
        return tuple(sorted(self.cells["language"].unique()))

    @property
    def mixtures(self) -> tuple[str, ...]:
        """Names of what was added, in order."""
        return tuple(sorted(set(self.cells["mixture"]) - {ALONE}))

    def without(self, rows: NDArray[np.bool_]) -> "Table":
        """Return the table without some runs ``(n_runs,)``, with the noise of all."""
        cells, _, notes = _cells(self.runs[~rows])
        noise = self.cells.set_index(CELL)[["sigma", "dof"]].reindex(pd.MultiIndex.from_frame(cells[CELL]))
        return Table(
            cells.assign(sigma=noise["sigma"].to_numpy(), dof=noise["dof"].to_numpy()),
            self.runs[~rows],
            self.dof,
            self.n_diverged,
            notes,
        )


def read_table(
    data: pd.DataFrame,
    *,
    language: str,
    params: str,
    tokens: str,
    added: str,
    loss: str,
    mixture: str | None,
    seed: str | None,
    seen: str | None,
) -> Table:
    """Check the columns and average the seeds of every cell.

    Raises
    ------
    InputError
        A column is missing or holds something else than numbers of its kind, no run is monolingual, or none has an addition.
    """
    columns = [language, params, tokens, added, loss, *(name for name in (mixture, seed, seen) if name is not None)]
    require_columns(data, *columns)
    kept, n_diverged = drop_diverged(data)
    if kept.empty:
        raise InputError("data: no run with a loss was given")
    lost = _lost(data, mixture, added) if n_diverged else ()
    extra = _not_negative(kept, added)
    frame = pd.DataFrame(
        {
            "language": kept[language].astype(str).to_numpy(),
            "mixture": np.where(extra > 0, "added" if mixture is None else kept[mixture].astype(str).to_numpy(), ALONE),
            "params": positive(kept, params),
            "tokens": positive(kept, tokens),
            "added": extra,
            "seen": positive(kept, tokens if seen is None else seen),
            "log_loss": np.log(positive(kept, loss)),
        }
    )
    # without seeds the repeats of every cell are numbered
    frame["seed"] = frame.groupby(CELL).cumcount() if seed is None else kept[seed].to_numpy()
    if (frame["mixture"] == ALONE).all() or (frame["mixture"] != ALONE).all():
        raise InputError(f"data: runs with {added} of 0 (monolingual) and above 0 are needed, only one kind was given")
    cells, dof, notes = _cells(frame)
    return Table(cells, frame, dof, n_diverged, (*lost, *notes))


def _lost(data: pd.DataFrame, mixture: str | None, added: str) -> tuple[Note]:
    """Say of which mixtures the runs without a loss are."""
    lost = data[(data["status"] != "ok").to_numpy(dtype=bool)]
    alone = (pd.to_numeric(lost[added], errors="coerce") == 0).to_numpy()
    named = np.where(alone, "monolingual", "added" if mixture is None else lost[mixture].astype(str).to_numpy())
    counts = ", ".join(f"{name} {n}" for name, n in pd.Series(named).value_counts().sort_index().items())
    return (Note("diverged", f"{len(lost)} of {len(data)} runs have no loss: {counts}"),)


def _cells(frame: pd.DataFrame) -> tuple[pd.DataFrame, int, tuple[Note, ...]]:
    groups = frame.groupby(CELL, sort=True)
    cells = groups.agg(
        seen=("seen", "mean"), log_loss=("log_loss", "mean"), runs=("log_loss", "size"), variance=("log_loss", "var")
    ).reset_index()
    cells["square"] = (cells.pop("variance") * (cells["runs"] - 1)).fillna(0.0)
    dof = int((cells["runs"] - 1).sum()) if cells["square"].sum() > 0 else 0
    if dof == 0:
        note = Note("one_seed", "no run is repeated, so noise is read off the scatter around the curves: 3 seeds are better")
        return cells.drop(columns="square").assign(sigma=np.nan, dof=np.inf), 0, (note,)
    # noise depends on size and data, where there are repeats enough to tell
    for by in (["params", "tokens"], ["params"]):
        if (known := _noise(cells, by)) is not None:
            return cells.drop(columns="square").assign(**known), dof, ()
    return cells.drop(columns="square").assign(sigma=np.sqrt(cells["square"].sum() / dof), dof=float(dof)), dof, ()


def _noise(cells: pd.DataFrame, by: Sequence[str]) -> dict[str, Vector] | None:
    """Pooled standard deviation of each cell's group and its degrees of freedom; None where one has too few repeats."""
    groups = cells.groupby(list(by))
    dof = groups["runs"].transform("sum") - groups["runs"].transform("size")
    square = groups["square"].transform("sum")
    if (dof < _MIN_DOF).any() or (square <= 0).any():
        return None
    return {"sigma": np.sqrt(square / dof).to_numpy(dtype=float), "dof": dof.to_numpy(dtype=float)}


def ratio_levels(added: Vector, tokens: Vector) -> Vector:
    """Ratio of added to target tokens of each cell, ``(n,)``, where those that are nearly alike are one: their median."""
    ratio = added / tokens
    order = np.argsort(ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.cumsum(np.concatenate([[0.0], np.diff(np.log(ratio[order])) > np.log1p(_ONE_RATIO)]))
    return pd.Series(ratio).groupby(level[np.argsort(order)]).transform("median").to_numpy()


def _not_negative(data: pd.DataFrame, name: str) -> Vector:
    values = pd.to_numeric(data[name], errors="coerce").to_numpy(dtype=float)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"data: {name} is {data[name].iloc[row]!r} in row {data.index[row]}, 0 (monolingual) or more is needed"
        )
    return values

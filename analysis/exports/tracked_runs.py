"""Runs as every tracker takes them: settings, results, and values by tag and step."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.collect import collect_complete, read_runs
from curselab.contract import table
from curselab.errors import InputError
from curselab.files import write_folder

RESULTS = tuple(name for name in table("runs").names if name.startswith(("loss_", "diverged_")))
TOKENS = "tokens"
"""Tag of the training tokens at each step."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One run; a tag is ``split/metric``, with ``/domain`` behind it where that is not ``all``."""

    sweep: str
    run_id: str
    settings: Mapping[str, str | int | float]
    """Columns of the table ``runs`` that have a value and are no result."""
    results: Mapping[str, float]
    points: tuple[tuple[int, Mapping[str, float]], ...]
    """Steps in their order, with the values by tag."""

    @property
    def ok(self) -> bool:
        """It has a loss."""
        return self.settings["status"] == "ok"


def read_tables(source: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the tables ``runs`` and ``metrics`` of a sweep, or gather the runs of one that is still trained.

    Parameters
    ----------
    source : Path
        Folder of tables, such as ``results/tables/scaling``, or of run folders, such as ``results/runs/scaling``.

    Raises
    ------
    InputError
        It is neither, or see :func:`analysis.collect.read_runs`.
    """
    if (source / "runs.parquet").is_file():
        return read_runs(source / "runs.parquet"), read_runs(source / "metrics.parquet", "metrics")
    if not any(source.glob("*/summary.json")):
        raise InputError(f"{source}: runs.parquet with metrics.parquet, or folders of complete runs, are needed")
    gathered = collect_complete(source)
    return gathered.runs, gathered.metrics


def tracked_runs(runs: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[TrackedRun]:
    """Bring together what the contract's tables ``runs`` and ``metrics`` say of each run."""
    logs = dict(list(metrics.groupby(["sweep", "run_id"])))
    for row in runs.to_dict("records"):
        known = {str(name): value for name, value in row.items() if pd.notna(value)}
        yield TrackedRun(
            row["sweep"],
            row["run_id"],
            {name: value for name, value in known.items() if name not in RESULTS},
            {name: float(value) for name, value in known.items() if name in RESULTS},
            _points(logs.get((row["sweep"], row["run_id"]), metrics[:0])),
        )


def _points(log: pd.DataFrame) -> tuple[tuple[int, dict[str, float]], ...]:
    points: dict[int, dict[str, float]] = {}
    for row in log.to_dict("records"):
        points.setdefault(int(row["step"]), {TOKENS: float(row["tokens"])})[_tag(row)] = float(row["value"])
    return tuple(sorted(points.items()))


def _tag(row: Mapping[object, str]) -> str:
    domain = "" if row["domain"] == "all" else f"/{row['domain']}"
    return f"{row['split']}/{row['metric']}{domain}"


def write_folders(runs: Iterable[TrackedRun], out: Path, write_run: Callable[[TrackedRun, Path], object]) -> int:
    """Let ``write_run`` fill a folder ``out/SWEEP/RUN_ID`` a run, whole or not at all.

    Returns
    -------
    int
        Runs that were written; those that are there are left as they are.
    """
    written = 0
    for run in runs:
        folder = out / run.sweep / run.run_id
        if not folder.exists():
            write_folder(folder, partial(write_run, run))
            written += 1
    return written

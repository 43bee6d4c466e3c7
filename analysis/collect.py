"""From run folders to tables: one row a run, long tables of measurements, and where each run came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from curselab.contract import DTYPES, check_frame, check_record, completed, table
from curselab.errors import InputError
from curselab.files import read_json, write_text, write_with
from curselab.integrity import require_intact

_FACTS = "git_revision git_dirty code_sha256 text_sha256 python torch lightning numpy device threads wall_s cpu_s"
_PROVENANCE = tuple(_FACTS.split())
_ARROW = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}


@dataclass(frozen=True, slots=True)
class Tables:
    """What the runs of a sweep gave."""

    runs: pd.DataFrame
    metrics: pd.DataFrame
    layers: pd.DataFrame
    """Empty where no run was measured block by block."""
    provenance: pd.DataFrame
    """One row a run, null where a fact is not recorded."""


def collect(shards: Sequence[Path], runs: Path) -> Tables:
    """Gather the finished runs that the shards name.

    Parameters
    ----------
    shards : sequence of Path
        JSON files that list the runs of a shard, as ``{"runs": [{"run_id": ...}, ...]}``.
    runs : Path
        Folder with one folder a run, named by its run id.

    Raises
    ------
    InputError
        A run is not complete, is damaged, is not the run its folder says, or is named by two shards; the file is named.
    """
    owner: dict[str, Path] = {}
    for shard in shards:
        for run_id in _run_ids(shard):
            if run_id in owner:
                raise InputError(f"{shard}: run {run_id} is in {owner[run_id]} too, a run belongs to one shard")
            owner[run_id] = shard
    return _gather([runs / run_id for run_id in sorted(owner)])


def collect_complete(runs: Path) -> Tables:
    """Gather the runs of a folder that are complete, while others may still be trained.

    Raises
    ------
    InputError
        A run is damaged, or is not the run its folder says; the file is named.
    """
    return _gather(sorted(path.parent for path in runs.glob("*/summary.json")))


def _gather(folders: Sequence[Path]) -> Tables:
    for folder in folders:
        require_intact(folder)
    summaries = [_summary(folder) for folder in folders]
    metrics = [_measured(folder, "metrics") for folder in folders]
    layers = [_measured(folder, "layers") for folder in folders if (folder / "layers.parquet").exists()]
    sources = [_provenance(folder) for folder in folders]
    return Tables(
        check_frame("runs", pd.DataFrame(summaries, columns=list(table("runs").names)), where="runs"),
        check_frame("metrics", _concat(metrics, "metrics"), where="metrics"),
        check_frame("layers", _concat(layers, "layers"), where="layers"),
        pd.DataFrame(sources, columns=["run_id", *_PROVENANCE]),
    )


def write_tables(folder: Path, tables: Tables) -> None:
    """Write ``runs``, ``metrics`` and ``layers`` as parquet, ``runs`` and ``provenance`` as CSV, each whole or not at all.

    All but ``provenance.csv``, which holds the clock times, have the same bytes whenever the runs are the same.
    """
    for name, frame in (("runs", tables.runs), ("metrics", tables.metrics), ("layers", tables.layers)):
        write_frame(folder / f"{name}.parquet", name, frame)
    write_frame(folder / "runs.csv", "runs", tables.runs)
    write_text(folder / "provenance.csv", tables.provenance.to_csv(index=False, lineterminator="\n"))


def write_problem(folder: Path, name: str, rows: list[dict[str, Any]], provenance: list[dict[str, Any]]) -> None:
    """Write the table of a controlled truth or a bench, ``runs.parquet`` and ``runs.csv``, and ``provenance.csv``.

    Parameters
    ----------
    folder : Path
        Where the files go.
    name : str
        Its table in the contract.
    rows, provenance : list of dict
        Rows of that table, and where they come from.
    """
    runs = check_frame(name, pd.DataFrame(rows, columns=list(table(name).names)), where=name)
    for ending in ("parquet", "csv"):
        write_frame(folder / f"runs.{ending}", name, runs)
    write_text(folder / "provenance.csv", pd.DataFrame(provenance).to_csv(index=False, lineterminator="\n"))


def write_frame(path: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a checked table of the contract as parquet or CSV, by the ending of its path; ``read_runs`` reads both.

    Raises
    ------
    InputError
        The path has another ending.
    """
    if path.suffix == ".parquet":
        write_with(path, partial(pq.write_table, _arrow(name, frame)))
    elif path.suffix == ".csv":
        write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    else:
        raise InputError(f"{path}: a file ending in .csv or .parquet is needed")


def read_runs(path: str | Path, table_name: str = "runs") -> pd.DataFrame:
    """Read a table of runs, CSV or parquet by its ending, and check it against ``results/contract.yaml``.

    Parameters
    ----------
    path : str or Path
        The file.
    table_name : str
        Its table in the contract: ``runs``, or that of a controlled truth.

    Raises
    ------
    InputError
        The file is missing, is neither, or holds a value that the contract does not allow.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file, a table of runs is needed (results/tables/*/runs.parquet)")
    if path.suffix == ".parquet":
        return check_frame(table_name, _read_parquet(path), where=path)
    if path.suffix != ".csv":
        raise InputError(f"{path}: a file ending in .csv or .parquet is needed")
    return check_frame(table_name, _read_csv(path, table_name), where=path)


def _read_csv(path: Path, name: str) -> pd.DataFrame:
    dtypes = {column.name: DTYPES[column.dtype] for column in table(name).columns}
    as_it_stands: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
    frame: pd.DataFrame
    try:
        try:
            with np.errstate(invalid="raise"):
                frame = pd.read_csv(path, dtype=dtypes, **as_it_stands)
        except (TypeError, OverflowError, FloatingPointError):
            # a number is not whole, or too large, and pandas does not say of which column
            words = {column: dtype for column, dtype in dtypes.items() if dtype == "string"}
            frame = pd.read_csv(path, dtype=words, **as_it_stands)
    except ValueError as error:
        raise InputError(f"{path}: not a table of runs, {_one_line(error)} (see results/contract.yaml)") from None
    return frame


def _run_ids(shard: Path) -> list[str]:
    content = read_json(shard)
    try:
        return [str(run["run_id"]) for run in content["runs"]]
    except (KeyError, TypeError):
        raise InputError(f'{shard}: not a shard, {{"runs": [{{"run_id": ...}}, ...]}} is needed') from None


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError(f"{path}: one record of the table runs is needed")
    record = completed("runs", record)
    try:
        check_record("runs", record)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if record["run_id"] != folder.name:
        raise InputError(f"{path}: run_id is {record['run_id']}, but its folder is {folder.name}; move it back")
    return record


def _measured(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    frame = check_frame(name, _read_parquet(path), where=path)
    strange = frame.loc[frame["run_id"] != folder.name, "run_id"]
    if len(strange):
        raise InputError(f"{path}: run_id is {strange.iloc[0]}, but its folder is {folder.name}; move it back")
    return frame


def _provenance(folder: Path) -> dict[str, Any]:
    facts = _flatten(read_json(folder / "provenance.json"))
    # a fact may sit at any depth, such as packages.torch
    found = {name: next((facts[key] for key in facts if f"_{key}".endswith(f"_{name}")), None) for name in _PROVENANCE}
    return {"run_id": folder.name} | found


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: fact
        for key, item in value.items()
        for name, fact in _flatten(item, f"{prefix}_{key}" if prefix else key).items()
    }


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        # whole numbers stay whole beside nulls
        frame: pd.DataFrame = pq.read_table(path).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        return frame
    except FileNotFoundError:
        raise InputError(f"{path}: missing, so the run is not complete; start it again") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged or cut short, {_one_line(error)}; delete it and start again") from None


def _arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = pa.schema([pa.field(column.name, _ARROW[column.dtype], column.nullable) for column in table(name).columns])
    # pandas' own metadata would put its version into the bytes
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)


def _concat(frames: list[pd.DataFrame], name: str) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(table(name).names))


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Fit files: a law fitted to a table of runs, as JSON that is the same whenever the runs are."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.collect import read_runs
from analysis.fitting.result import package_versions
from analysis.laws.registry import find
from curselab.errors import InputError
from curselab.files import write_json


def fit_file(law: str, runs: Path, out: Path) -> Any:
    """Fit a law with its defaults to a table of runs and write the result with what it rests on.

    Parameters
    ----------
    law : str
        A name of ``analysis.laws.registry``: a law, or a controlled truth.
    runs : Path
        Table of runs, CSV or parquet. Of a table with several sweeps, the one named like the law is fitted. Other tables that
        the law reads lie beside it.
    out : Path
        JSON file; it holds no clock times.

    Returns
    -------
    ScalingFit or CapacityGapFit
        The result of the law, as ``read_fit`` reads it back.
    """
    entry = find(law)
    result = entry.load_fit()(read_table(law, runs), **read_beside(law, runs), **entry.options)
    write_fit(out, law, result, {"runs": runs} | beside(law, runs))
    return result


def read_table(law: str, runs: Path) -> pd.DataFrame:
    """Read the rows that a law is fitted to: those of its sweep, or the whole table of a controlled truth."""
    table = find(law).table
    frame = read_runs(runs, table)
    return select_sweep(frame, law, where=runs) if table == "runs" else frame


def beside(law: str, runs: Path) -> dict[str, Path]:
    """Files of the other tables that a law reads, by name: beside the runs, ending like them or else in .parquet."""
    alike = {name: runs.with_name(f"{name}{runs.suffix}") for name in find(law).also}
    packed = {name: path.with_suffix(".parquet") for name, path in alike.items()}
    return {name: packed[name] if packed[name].exists() and not path.exists() else path for name, path in alike.items()}


def read_beside(law: str, runs: Path) -> dict[str, pd.DataFrame]:
    """Read the other tables that a law is fitted to, its sweep's rows alone."""
    return {name: select_sweep(read_runs(path, name), law, where=path) for name, path in beside(law, runs).items()}


def write_fit(out: Path, law: str, result: Any, tables: Mapping[str, Path]) -> None:
    """Write a result with what it rests on: the hashes of its tables and the versions of the packages."""
    write_json(
        out,
        {
            "law": law,
            "result": result.to_dict(),
            "inputs": {f"{name}_sha256": hashlib.sha256(path.read_bytes()).hexdigest() for name, path in tables.items()},
            "versions": package_versions(),
        },
    )


def read_fit(path: str | Path) -> Any:
    """Read a fit file back into the result object of its law.

    Raises
    ------
    InputError
        The file is missing or is no fit file.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        law, result = content["law"], content["result"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, a fit is needed (results/fits/*.json)") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a fit file; fit the runs again") from None
    try:
        return find(law).load_result().from_dict(result)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def select_sweep(runs: pd.DataFrame, law: str, *, where: str | Path) -> pd.DataFrame:
    """Return the rows of the sweep named like the law, or all rows of a table with one sweep."""
    sweeps = sorted(runs["sweep"].unique())
    if len(sweeps) == 1:
        return runs
    if law not in sweeps:
        raise InputError(f"{where}: sweeps {', '.join(sweeps)} are there, one named {law} is needed")
    return runs[runs["sweep"] == law].reset_index(drop=True)

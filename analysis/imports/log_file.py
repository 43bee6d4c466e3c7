"""A log of any known kind, told by its file, written as the contract's table of evaluations."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.collect import write_frame
from analysis.imports.evaluations import How, Names
from analysis.imports.tensorboard import read_tensorboard
from analysis.imports.trainer_state import read_trainer_state
from analysis.imports.wandb_csv import read_wandb_csv
from curselab.errors import InputError


def import_log(
    log: Path,
    out: Path,
    names: Sequence[str],
    *,
    tokens: str,
    step: str | None = None,
    start: int = 0,
    keep_last: bool = False,
    sweep: str = "imported",
) -> pd.DataFrame:
    """Read a log and write its table ``metrics``; all arguments as a command line has them.

    Parameters
    ----------
    log : Path
        ``trainer_state.json``, CSV export of Weights & Biases, TensorBoard's event file, or a folder of these.
    out : Path
        Parquet or CSV, by its ending.
    names : sequence of str
        ``NAME=WHAT`` or ``NAME=WHAT:DOMAIN``, such as ``eval_old_loss=loss_nats_per_token:old``.
    tokens : str
        Training tokens of a step, or the name under which the log counts them.
    step : str, optional
        Column of the optimiser step; CSV needs it, the others know their own.
    start : int
        Step of the log at which the run begins.
    keep_last : bool
        Keep the last of several values of one step.
    sweep : str
        Name of the sweep in the table.

    Returns
    -------
    pandas.DataFrame
        What was written.

    Raises
    ------
    InputError
        The file is of no known kind, a name has no meaning, or what the readers refuse.
    """
    how: How = {"tokens": _count(tokens), "start": start, "repeated": "last" if keep_last else "refuse", "sweep": sweep}
    metrics = _read(log, _parse(names), step, how)
    write_frame(out, "metrics", metrics)
    return metrics


def _read(log: Path, names: Names, step: str | None, how: How) -> pd.DataFrame:
    if log.suffix == ".csv":
        if step is None:
            raise InputError(f"{log}: the column of the optimiser step is needed, such as train/global_step (--step)")
        return read_wandb_csv(log, names, step=step, **how)
    if step is not None:
        raise InputError(f"step: {step!r} was given, only a CSV export needs it")
    if log.suffix == ".json":
        return read_trainer_state(log, names, **how)
    if log.is_dir() or "tfevents" in log.name:
        return read_tensorboard(log, names, **how)
    raise InputError(f"{log}: a trainer_state.json, a .csv, an event file (*tfevents*) or a folder of those is needed")


def _parse(words: Sequence[str]) -> Names:
    names: dict[str, tuple[str, str]] = {}
    for word in words:
        name, _, meaning = word.rpartition("=")
        if not name:
            raise InputError(f"names: {word!r} was given, NAME=WHAT is needed, such as eval_loss=loss_nats_per_token")
        what, _, domain = meaning.partition(":")
        names[name] = (what, domain or "all")
    return names


def _count(tokens: str) -> float | str:
    try:
        return float(tokens)
    except ValueError:
        return tokens

"""Runs of a sweep, written for the page of a tracker."""

from pathlib import Path

from analysis.exports import mlflow, tensorboard, wandb
from analysis.exports.tracked_runs import read_tables, tracked_runs
from curselab.errors import InputError

_WRITERS = {"tensorboard": tensorboard.write, "wandb": wandb.write, "mlflow": mlflow.write}


def export_runs(source: Path, out: Path, *, to: str) -> int:
    """Write the runs of a sweep for a tracker, on this machine alone unless the tracker's own settings say otherwise.

    Parameters
    ----------
    source : Path
        Folder of tables, such as ``results/tables/scaling``, or of run folders, such as ``results/runs/scaling``, whose
        complete runs are taken while others are still trained.
    out : Path
        Folder to write to. Runs that are there are left as they are, so the same call goes on after more were trained.
    to : str
        ``tensorboard``, ``wandb`` or ``mlflow``.

    Returns
    -------
    int
        Runs that were written.

    Raises
    ------
    InputError
        There is no such tracker, its package is not installed, or the folder has no runs.
    """
    if to not in _WRITERS:
        raise InputError(f"to: {to!r} was given (allowed: {', '.join(_WRITERS)})")
    runs = tracked_runs(*read_tables(source))
    try:
        return _WRITERS[to](runs, out)
    except ImportError as error:
        raise InputError(f"the package {to} is needed ({error}); run: pip install 'curselab[{to}]'") from None

"""Runs of Weights & Biases, offline unless WANDB_MODE says otherwise: the optional dependency ``curselab[wandb]``."""

import os
from collections.abc import Iterable
from pathlib import Path

from analysis.exports.tracked_runs import TrackedRun, write_folders
from curselab.errors import InputError


def write(runs: Iterable[TrackedRun], out: Path) -> int:
    """Write a folder a run, ``out/SWEEP/RUN_ID/wandb``, of the project SWEEP, and return how many were not there before.

    ``wandb sync`` sends such a folder where it should go.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    # nothing of the machine that exports is measured: the run is older
    settings = wandb.Settings(
        console="off",
        silent=True,
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )

    def write_run(run: TrackedRun, folder: Path) -> None:
        live = wandb.init(
            project=run.sweep,
            id=run.run_id,
            name=run.run_id,
            group=str(run.settings["stage"]),
            config=dict(run.settings),
            dir=folder,
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=settings,
            reinit="create_new",
        )
        for step, values in run.points:
            live.log(dict(values), step=step)
        live.summary.update(run.results)
        live.finish(exit_code=0 if run.ok else 1)

    try:
        return write_folders(runs, out, write_run)
    except (wandb.Error, ValueError) as error:  # its settings raise the second
        raise InputError(f"wandb: {' '.join(str(error).split())}") from None

"""A shard: runs that one command trains, so that starting torch is paid once, on as many processes as it is given."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from curselab.errors import InputError
from curselab.files import write_json
from trainer.allocator import keep_freed_memory
from trainer.devices import is_leader
from trainer.pieces import Piece, pieces
from trainer.pool import Send, run_pieces
from trainer.progress import Progress
from trainer.run import Outcome, run_together, warm_up
from trainer.spec import PlannedRun
from trainer.text.prepared import open_text


def train_shard(
    planned: Sequence[PlannedRun], *, name: str, texts: Path, runs: Path, out: Path, progress: Progress, workers: int = 1
) -> None:
    """Train what is not complete yet, and write the shard's list of runs when all are.

    Parameters
    ----------
    planned : sequence of PlannedRun
        Runs of one sweep.
    name : str
        Name of the shard.
    texts : Path
        Folder of prepared texts, one folder a text id.
    runs : Path
        Folder of the sweep's runs.
    out : Path
        JSON list of the shard's runs, written last.
    progress : Progress
        Told of each run that ends.
    workers : int
        Processes that train at once; runs on a GPU share this one.

    Raises
    ------
    InputError
        Some runs could not be trained; each was said in a line of its own, and the others are complete.
    """
    keep_freed_memory()
    torch.set_num_threads(1)
    opened = {text_id: open_text(texts / text_id) for text_id in {run.spec.text.text_id for run in planned}}
    warm_up([run.spec for run in planned], opened.values())

    def work(piece: Piece, send: Send) -> None:
        snapshots = piece.snapshots(runs / "snapshots")
        for group in piece.groups:
            outcomes = run_together(group, runs=runs, text=opened[group[0].spec.text.text_id], snapshots=snapshots)
            for run in group:
                send((run, outcomes[run.run_id]))
        for file in {file for files in snapshots.values() for file in files.values()}:
            file.unlink(missing_ok=True)

    computes = [run.spec.compute for run in planned]
    leads = all(map(is_leader, computes))
    unheard = {run.run_id for run in planned}
    failed: list[PlannedRun] = []

    def receive(message: tuple[PlannedRun, Outcome]) -> None:
        run, outcome = message
        unheard.remove(run.run_id)
        if outcome.summary is None:
            failed.append(run)
            progress.fails(run, outcome.error)
        elif leads:
            progress.ends(run, outcome.summary, outcome.seconds)

    longest_first = sorted(pieces(planned, workers=workers), key=lambda piece: -sum(map(progress.expected_flop, piece.runs)))
    # no fork for a process that uses CUDA or starts others for its devices, nor with Apple's libraries
    fork = sys.platform == "linux" and all(compute.accelerator == "cpu" and compute.processes == 1 for compute in computes)
    for failure in run_pieces(longest_first, work, workers=workers, receive=receive, fork=fork):
        for run in failure.piece.runs:
            if run.run_id in unheard:
                failed.append(run)
                progress.fails(run, failure.reason)
    if failed:
        raise InputError(f"shard {name} of {planned[0].sweep}: {len(failed)} of {len(planned)} runs could not be trained")
    records = [{"run_id": run.run_id, "stage": run.stage} for run in sorted(planned, key=lambda run: run.run_id)]
    if leads:
        write_json(out, {"sweep": planned[0].sweep, "shard": name, "runs": records})

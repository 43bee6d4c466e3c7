"""A shard: runs that one process trains one after another, so that starting torch and Lightning is paid once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curselab.files import write_json
from trainer.allocator import keep_freed_memory
from trainer.progress import Progress
from trainer.run import run_in_folder
from trainer.spec import PlannedRun
from trainer.text.prepared import PreparedText, open_text


def train_shard(planned: Sequence[PlannedRun], *, name: str, texts: Path, runs: Path, out: Path, progress: Progress) -> None:
    """Train what is not complete yet, and write the shard's list of runs when all are.

    Parameters
    ----------
    planned : sequence of PlannedRun
        Runs of one sweep; they are trained longest first.
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
    """
    keep_freed_memory()
    opened: dict[str, PreparedText] = {}
    records: list[dict[str, Any]] = []
    for run in sorted(planned, key=progress.expected_flop, reverse=True):
        text_id = run.spec.text.text_id
        if text_id not in opened:
            opened[text_id] = open_text(texts / text_id)
        progress.starts(run)
        summary = run_in_folder(run.spec, sweep=run.sweep, stage=run.stage, runs=runs, text=opened[text_id])
        progress.ends(run, summary)
        records.append({"run_id": run.spec.run_id, "stage": run.stage})
    write_json(out, {"sweep": planned[0].sweep, "shard": name, "runs": sorted(records, key=lambda run: run["run_id"])})

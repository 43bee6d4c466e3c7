"""Runs, from specs to folders of results.

A run's folder holds ``spec.json``, ``metrics.parquet``, perhaps ``layers.parquet``, ``provenance.json``, perhaps
``weights.safetensors``, and ``summary.json``, which is written last: a folder is complete when it is there. A run that was
interrupted goes on from its checkpoint.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from curselab.contract import check_record
from curselab.errors import InputError
from curselab.files import as_json, write_json, write_text
from curselab.integrity import digests, require_intact, sha256_of
from trainer.backends import backend, fit
from trainer.checkpoint import MOMENTS, Checkpoints, save_moments, save_weights
from trainer.devices import is_leader
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.provenance import code_hash, git_state, versions
from trainer.records import long_table, write_rows
from trainer.selection import window_nats
from trainer.sharing import backend_of
from trainer.signals import held_signals
from trainer.spec import PlannedRun, RunSpec
from trainer.strict import to_mapping
from trainer.text.prepared import PreparedText
from trainer.training import RunResult, Training, prepare

CHECKPOINT_EVERY_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a group ended."""

    summary: dict[str, Any] | None
    """The run's record of the table ``runs``; None where it could not be trained."""
    error: str = ""
    """Why it could not be trained, in one line."""
    seconds: float = 0.0
    """Its share of the group's time; 0 where a complete run was only read."""


def fingerprint(text: PreparedText) -> dict[str, str]:
    """What a result depends on beside its spec: the training code and the prepared text."""
    return {"code_sha256": code_hash("trainer.run"), "text_sha256": text.sha256}


def warm_up(specs: Sequence[RunSpec], texts: Iterable[PreparedText]) -> None:
    """Do once what runs need and cache: imports, hashes, perplexities, the checkout's state. Forked children inherit it."""
    for name in sorted({backend_of(spec) for spec in specs}):
        backend(name)
    Decoder(ModelSpec(width=2, depth=1, heads=1, ffn_width=2), 2, seed=0)  # torch imports its compiler for the first model
    by_id = {text.meta["text_id"]: text for text in texts}
    for text in by_id.values():
        fingerprint(text)
    for spec in specs:
        for part in spec.training.mixture:
            if part.selection.endswith("perplexity"):
                with suppress(InputError):  # the run that cannot have it will say so
                    window_nats(by_id[spec.text.text_id], part.domain, spec.training.split, spec.model.context)
    git_state()
    versions()
    long_table("metrics", [])  # pyarrow imports pandas for its first table


def is_complete(folder: Path, *, stage: str, marks: dict[str, str]) -> bool:
    """Tell whether a run folder holds a finished run of this code on this text; a damaged one does not."""
    try:
        require_intact(folder)
        summary = json.loads((folder / "summary.json").read_text())
        provenance = json.loads((folder / "provenance.json").read_text())
    except (OSError, ValueError):
        return False
    return summary.get("stage") == stage and all(provenance.get(key) == value for key, value in marks.items())


def run(spec: RunSpec, *, sweep: str, stage: str, text: PreparedText, runs: Path) -> RunResult:
    """Train one run and hand back what it gave; nothing is written.

    Parameters
    ----------
    spec : RunSpec
    sweep, stage : str
        Copied into the records.
    text : PreparedText
    runs : Path
        Folder of the sweep's runs, where teacher and base are looked for.
    """
    training = prepare(spec, text=text, runs=runs)
    fit([training])
    return training.result(sweep=sweep, stage=stage)


def run_in_folder(
    spec: RunSpec,
    *,
    sweep: str,
    stage: str,
    runs: Path,
    text: PreparedText,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> dict[str, Any]:
    """Train one run and leave its results in ``runs / run_id``; a complete run is only read.

    Parameters
    ----------
    spec : RunSpec
    sweep, stage : str
        Where the run stands in the plan.
    runs : Path
        Folder of the sweep's runs; teacher and base are looked for there.
    text : PreparedText
    checkpoint_every_s : float
        Least number of seconds between two checkpoints.

    Returns
    -------
    dict
        The run's record of the table ``runs``.

    Raises
    ------
    InputError
        Its teacher is missing, or the text is too short.
    """
    planned = PlannedRun(sweep, stage, spec)
    (outcome,) = run_together([planned], runs=runs, text=text, checkpoint_every_s=checkpoint_every_s).values()
    if outcome.summary is None:
        raise InputError(outcome.error)
    return outcome.summary


def run_together(
    planned: Sequence[PlannedRun],
    *,
    runs: Path,
    text: PreparedText,
    snapshots: Mapping[str, Mapping[int, Path]] | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> dict[str, Outcome]:
    """Train runs that share their steps (see :mod:`trainer.sharing`), each in its own folder.

    Parameters
    ----------
    planned : sequence of PlannedRun
    runs, text, checkpoint_every_s
        As for :func:`run_in_folder`.
    snapshots : mapping, optional
        Run id -> step -> file to start from where it is there, and to leave behind where it is not.

    Returns
    -------
    dict
        Run id -> how that run ended; one that cannot be trained does not keep the others from it.
    """
    marks = fingerprint(text)
    outcomes: dict[str, Outcome] = {}
    begun: list[tuple[PlannedRun, Training]] = []
    with _only_here(planned, runs), held_signals() as signals:
        started, cpu_started = time.monotonic(), time.process_time()
        for run in planned:
            folder = runs / run.run_id
            try:
                if is_complete(folder, stage=run.stage, marks=marks):
                    outcomes[run.run_id] = Outcome(json.loads((folder / "summary.json").read_text()))
                    continue
                if is_leader(run.spec.compute):
                    (folder / "summary.json").unlink(missing_ok=True)
                    for half in folder.glob(".*"):  # of a process that was killed as it wrote; the lock is ours
                        half.unlink()
                    write_json(folder / "spec.json", to_mapping(run.spec))
                checkpoints = Checkpoints(
                    folder / "checkpoint.ckpt", every_s=checkpoint_every_s, fingerprint=marks, signals=signals
                )
                training = prepare(run.spec, text=text, runs=runs, checkpoints=checkpoints)
                training.snapshots = (snapshots or {}).get(run.run_id, {})
                begun.append((run, training))
            except InputError as error:
                outcomes[run.run_id] = Outcome(None, str(error))
        fit([training for _, training in begun])
        for run, training in begun:
            costs = {
                "runs_together": len(begun),
                "wall_s": round((time.monotonic() - started) / len(begun), 3),
                "cpu_s": round((time.process_time() - cpu_started) / len(begun), 3),
            }
            summary = _leave(run, training, runs / run.run_id, marks | costs)
            outcomes[run.run_id] = Outcome(summary, seconds=costs["wall_s"])
    return outcomes


@contextmanager
def _only_here(planned: Sequence[PlannedRun], runs: Path) -> Iterator[None]:
    """Hold the locks of runs, and wait for a process that holds one: it may have outlived the Snakemake that started it."""
    with ExitStack() as locks:
        for run in sorted(planned, key=lambda run: run.run_id):  # in one order, so that no two processes wait for each other
            (runs / run.run_id).mkdir(parents=True, exist_ok=True)
            if is_leader(run.spec.compute):
                lock = FileLock(runs / run.run_id / "lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    log.warning("run %s: another process is training it (it holds %s); waiting", run.run_id, lock.lock_file)
                    lock.acquire()
                locks.callback(lock.release)
        yield


def _leave(run: PlannedRun, training: Training, folder: Path, marks: dict[str, Any]) -> dict[str, Any]:
    """Write a finished run's files; ``marks`` go into the provenance."""
    spec = run.spec
    result = training.result(sweep=run.sweep, stage=run.stage)
    if not is_leader(spec.compute):
        return result.summary
    weights, moments = folder / "weights.safetensors", folder / MOMENTS
    if spec.keep_weights and result.model is not None:
        save_weights(result.model, weights)
    if training.final_moments is not None and result.model is not None:
        save_moments(training.final_moments, moments)
    write_rows(folder / "metrics.parquet", "metrics", result.metrics)
    if training.probes.layers is not None:
        write_rows(folder / "layers.parquet", "layers", result.layers)
    check_record("runs", result.summary)
    summary = as_json(result.summary)
    provenance = {
        "run_id": spec.run_id,
        **git_state(),
        **versions(),
        "device": spec.compute.accelerator,
        "threads": spec.compute.threads,
        "backend": backend_of(spec),
        "model": to_mapping(training.model.spec),
        "resumed_at_step": result.resumed_at_step,
        "weights_sha256": sha256_of(weights) if weights.exists() else None,
        "optimizer_sha256": sha256_of(moments) if moments.exists() else None,
        "sha256": {**digests(folder), "summary.json": hashlib.sha256(summary.encode()).hexdigest()},
        **marks,
    }
    write_json(folder / "provenance.json", provenance)
    write_text(folder / "summary.json", summary)
    if training.checkpoints is not None:
        training.checkpoints.remove()
    return result.summary

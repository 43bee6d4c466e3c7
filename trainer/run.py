"""One run, from a spec to a folder of results.

A run's folder holds ``spec.json``, ``metrics.parquet``, ``provenance.json``, perhaps ``weights.safetensors``, and
``summary.json``, which is written last: a folder is complete when it is there. A run that was interrupted goes on from its
checkpoint.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from curselab.contract import check_record, table
from curselab.errors import InputError
from curselab.files import write_json
from trainer.backends import lightning
from trainer.callbacks import Checkpointer
from trainer.checkpoint import load_trained, save_weights, sha256_of
from trainer.evaluation import Validation
from trainer.model import Decoder
from trainer.probes import DivergenceGuard, Evaluate, Probes
from trainer.provenance import code_hash, git_state, versions
from trainer.records import SCORES, Teacher, planned_columns, teacher_columns, write_metrics
from trainer.spec import RunSpec
from trainer.stream import Windows
from trainer.strict import to_mapping
from trainer.text.prepared import PreparedText
from trainer.training import Training

CHECKPOINT_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run gave."""

    summary: dict[str, Any]
    """One record of the table ``runs``."""
    metrics: list[dict[str, Any]]
    """Records of the table ``metrics``."""
    model: Decoder | None
    """The trained model; None where nothing finite came out."""
    resumed_at_step: int | None = None


def fingerprint(text: PreparedText) -> dict[str, str]:
    """What a result depends on beside its spec: the training code and the prepared text."""
    return {"code_sha256": code_hash("trainer.run"), "text_sha256": text.sha256}


def is_complete(folder: Path, *, stage: str, marks: dict[str, str]) -> bool:
    """Tell whether a run folder holds a finished run of this code on this text; a damaged one does not."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
        provenance = json.loads((folder / "provenance.json").read_text())
    except (OSError, ValueError):
        return False
    return summary.get("stage") == stage and all(provenance.get(key) == value for key, value in marks.items())


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
        Folder of the sweep's runs; a teacher is looked for there.
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
        Another process is training this run, its teacher is missing, or the text is too short.
    """
    folder = runs / spec.run_id
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            marks = fingerprint(text)
            if not is_complete(folder, stage=stage, marks=marks):
                (folder / "summary.json").unlink(missing_ok=True)
                _make(spec, sweep=sweep, stage=stage, folder=folder, text=text, marks=marks, every_s=checkpoint_every_s)
            return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]
    except Timeout:
        raise InputError(
            f"run {spec.run_id}: another process is training it (it holds {folder / 'lock'}); wait for that process or stop it"
        ) from None


def _make(
    spec: RunSpec, *, sweep: str, stage: str, folder: Path, text: PreparedText, marks: dict[str, str], every_s: float
) -> None:
    write_json(folder / "spec.json", to_mapping(spec))
    started, cpu_started = time.monotonic(), time.process_time()
    checkpoint = folder / "checkpoint.ckpt"
    result = run(
        spec,
        sweep=sweep,
        stage=stage,
        text=text,
        runs=folder.parent,
        checkpointer=Checkpointer(checkpoint, every_s=every_s, fingerprint=marks),
    )
    weights = folder / "weights.safetensors"
    if spec.keep_weights and result.model is not None:
        save_weights(result.model, weights)
    write_metrics(folder / "metrics.parquet", result.metrics)
    check_record("runs", result.summary)
    provenance = {
        "run_id": spec.run_id,
        **git_state(),
        **marks,
        **versions(),
        "device": spec.compute.accelerator,
        "threads": spec.compute.threads,
        "resumed_at_step": result.resumed_at_step,
        "weights_sha256": sha256_of(weights) if weights.exists() else None,
        "wall_s": round(time.monotonic() - started, 3),
        "cpu_s": round(time.process_time() - cpu_started, 3),
    }
    write_json(folder / "provenance.json", provenance)
    write_json(folder / "summary.json", result.summary)
    checkpoint.unlink(missing_ok=True)


def run(
    spec: RunSpec, *, sweep: str, stage: str, text: PreparedText, runs: Path, checkpointer: Checkpointer | None = None
) -> RunResult:
    """Train one run and hand back what it gave; nothing is written but checkpoints.

    Parameters
    ----------
    spec : RunSpec
    sweep, stage : str
        Copied into the records.
    text : PreparedText
    runs : Path
        Folder of the sweep's runs, where a teacher is looked for.
    checkpointer : Checkpointer, optional
        Where to resume from and to write checkpoints to.
    """
    teacher = _load_teacher(spec, runs)
    validation = Validation(spec, _windows(spec, text, "validation"), text.token_bytes)
    evaluate, guard = Evaluate(spec, validation), DivergenceGuard()
    training = None
    if teacher is None or teacher.model is not None:
        training = Training(
            spec,
            Decoder(spec.model, text.vocab_size, seed=spec.seed),
            _windows(spec, text, spec.training.split),
            Probes(evaluate, guard),
            teacher=None if teacher is None else teacher.model,
            checkpointer=checkpointer,
        )
        lightning.fit(training)
    final = evaluate.final()
    # an evaluation that is not finite leaves no row
    status = "no_teacher" if training is None else "ok" if guard.step is None and final else "diverged"
    summary = {
        **planned_columns(spec, text, sweep=sweep, stage=stage),
        **teacher_columns(spec, teacher),
        "status": status,
        "diverged_step": (guard.step or spec.steps) if status == "diverged" else None,
        **{name: final[name] if status == "ok" else None for name in SCORES},
        "eval_tokens": validation.tokens,
        "eval_bytes": validation.bytes,
    }
    ordered = {name: summary[name] for name in table("runs").names}
    metrics = [{"sweep": sweep, "run_id": spec.run_id, **row} for row in evaluate.rows]
    if training is None:
        return RunResult(ordered, metrics, None)
    return RunResult(ordered, metrics, training.model if status == "ok" else None, training.resumed_at_step)


def _windows(spec: RunSpec, text: PreparedText, split: str) -> Windows:
    windows = Windows([text.tokens(domain, split) for domain in text.domains], spec.model.context)
    if len(windows) < 2:
        raise InputError(
            f"text {spec.text.text_id}: the {split} split has {text.n_tokens(split)} tokens, at least two windows of "
            f"{spec.model.context} and the token after are needed; give more text or a shorter model.context"
        )
    return windows


def _load_teacher(spec: RunSpec, runs: Path) -> Teacher | None:
    if spec.objective.kind != "distill":
        return None
    folder = runs / spec.objective.teacher
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        raise InputError(f"run {spec.run_id}: its teacher {spec.objective.teacher} is not trained ({folder})") from None
    if summary["status"] != "ok":
        teacher_spec = RunSpec.from_mapping(json.loads((folder / "spec.json").read_text()), where=str(folder / "spec.json"))
        return Teacher(teacher_spec, summary, None)
    teacher_spec, model = load_trained(folder)
    if teacher_spec.text != spec.text:
        raise InputError(f"run {spec.run_id}: its teacher {spec.objective.teacher} was trained on another text or tokenizer")
    return Teacher(teacher_spec, summary, model)

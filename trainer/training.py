"""One run made ready: what every backend needs to train it, and the records it leaves behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curselab.contract import table
from curselab.errors import InputError
from trainer.checkpoint import Checkpoints, load_trained, resumable
from trainer.evaluation import Validation
from trainer.memory import require_memory
from trainer.model import Decoder
from trainer.probes import DivergenceGuard, Evaluate, Probes
from trainer.records import SCORES, Teacher, planned_columns, teacher_columns
from trainer.spec import RunSpec
from trainer.stream import Windows
from trainer.text.prepared import PreparedText


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


@dataclass(slots=True)
class Training:
    """A run that a backend can train: the model and the probes hold the outcome afterwards."""

    spec: RunSpec
    text: PreparedText
    model: Decoder
    windows: Windows
    """The split to train on."""
    validation: Validation
    probes: Probes
    teacher: Teacher | None = None
    """Needed when the objective is ``distill``."""
    checkpoints: Checkpoints | None = None
    """Where to resume from and to write to."""
    snapshots: Mapping[int, Path] = field(default_factory=dict)
    """Optimiser step -> file to start from where it is there, and to leave behind where it is not."""
    resumed_at_step: int | None = None
    """Set by the backend."""

    @property
    def can_train(self) -> bool:
        """False where the teacher has diverged."""
        return self.teacher is None or self.teacher.model is not None

    def start(self) -> tuple[Path, dict[str, Any]] | None:
        """The state furthest along: the run's own checkpoint, or the last snapshot that leads to it; None at step 0."""
        if self.checkpoints is None:
            return None
        candidates = [self.checkpoints.path, *(self.snapshots[step] for step in sorted(self.snapshots, reverse=True))]
        for path in candidates:
            state = resumable(path, self.checkpoints.fingerprint)
            if state is not None:
                self.resumed_at_step = int(state["global_step"])
                return path, state
        return None

    def result(self, *, sweep: str, stage: str) -> RunResult:
        """Records of the run; ``sweep`` and ``stage`` are copied into them."""
        spec, guard, final = self.spec, self.probes.guard, self.probes.evaluate.final()
        # an evaluation that is not finite leaves no row
        status = "no_teacher" if not self.can_train else "ok" if guard.step is None and final else "diverged"
        summary = {
            **planned_columns(spec, self.text, sweep=sweep, stage=stage),
            **teacher_columns(spec, self.teacher),
            "status": status,
            "diverged_step": (guard.step or spec.steps) if status == "diverged" else None,
            **{name: final[name] if status == "ok" else None for name in SCORES},
            "eval_tokens": self.validation.tokens,
            "eval_bytes": self.validation.bytes,
        }
        ordered = {name: summary[name] for name in table("runs").names}
        metrics = [{"sweep": sweep, "run_id": spec.run_id, **row} for row in self.probes.evaluate.rows]
        return RunResult(ordered, metrics, self.model if status == "ok" else None, self.resumed_at_step)


def prepare(spec: RunSpec, *, text: PreparedText, runs: Path, checkpoints: Checkpoints | None = None) -> Training:
    """Make a run ready: initial weights, windows of its text, probes, teacher.

    Parameters
    ----------
    spec : RunSpec
    text : PreparedText
    runs : Path
        Folder of the sweep's runs, where a teacher is looked for.
    checkpoints : Checkpoints, optional

    Raises
    ------
    InputError
        The teacher is not trained, the text is too short, or the run does not fit in memory.
    """
    teacher = load_teacher(spec, runs)
    require_memory(spec, text.vocab_size, teacher=None if teacher is None else teacher.spec.model)
    validation = Validation(spec, _windows(spec, text, "validation"), text.token_bytes)
    return Training(
        spec,
        text,
        Decoder(spec.model, text.vocab_size, seed=spec.seed),
        _windows(spec, text, spec.training.split),
        validation,
        Probes(Evaluate(spec, validation), DivergenceGuard()),
        teacher=teacher,
        checkpoints=checkpoints,
    )


def load_teacher(spec: RunSpec, runs: Path) -> Teacher | None:
    """Teacher of a run, from its folder in ``runs``; None for a run without one."""
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
    return Teacher(teacher_spec, summary, model.eval().requires_grad_(False))


def _windows(spec: RunSpec, text: PreparedText, split: str) -> Windows:
    windows = Windows([text.tokens(domain, split) for domain in text.domains], spec.model.context)
    if len(windows) < 2:
        raise InputError(
            f"text {spec.text.text_id}: the {split} split has {text.n_tokens(split)} tokens, at least two windows of "
            f"{spec.model.context} and the token after are needed; give more text or a shorter model.context"
        )
    return windows

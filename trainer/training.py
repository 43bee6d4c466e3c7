"""One run made ready: what every backend needs to train it, and the records it leaves behind."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curselab.contract import check_record, completed, table
from curselab.errors import InputError
from curselab.files import read_json
from curselab.integrity import require_intact
from trainer.checkpoint import Checkpoints, load_moments, load_trained, refusing, resumable
from trainer.evaluation import ALL, Validation
from trainer.gradient_probe import GradientProbe
from trainer.layer_probe import LayerProbe
from trainer.memory import require_memory
from trainer.model import Decoder
from trainer.probes import DivergenceGuard, Evaluate, Probes
from trainer.pruning import importance, pruned
from trainer.questions import QuestionProbe, Questions
from trainer.records import SCORES, Finished, base_columns, planned_columns, teacher_columns
from trainer.schedule import last_rate
from trainer.selection import choose
from trainer.spec import DomainShare, RunSpec
from trainer.stream import Windows, make_stream
from trainer.strict import require
from trainer.text.facts import ASKED, TOLD, items
from trainer.text.prepared import PreparedText
from trainer.text.sources import sources
from trainer.text_spec import FactsText

PRUNING_BATCHES = 32


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run gave."""

    summary: dict[str, Any]
    """One record of the table ``runs``."""
    metrics: list[dict[str, Any]]
    """Records of the table ``metrics``."""
    layers: list[dict[str, Any]]
    """Records of the table ``layers``; none where the spec does not ask for them."""
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
    probes: Probes
    teacher: Finished | None = None
    """Needed when the objective is ``distill``."""
    base: Finished | None = None
    """The run that this one starts from."""
    moments: dict[int, Any] | None = None
    """State of the base run's optimiser, where the run goes on with it."""
    checkpoints: Checkpoints | None = None
    """Where to resume from and to write to."""
    snapshots: Mapping[int, Path] = field(default_factory=dict)
    """Optimiser step -> file to start from where it is there, and to leave behind where it is not."""
    resumed_at_step: int | None = None
    """Set by the backend."""
    final_moments: dict[int, Any] | None = None
    """State of the optimiser after the last step; set by the backend where the spec keeps it."""

    @property
    def missing(self) -> str | None:
        """Status of a run that cannot be trained since a run that it needs has diverged."""
        if self.teacher is not None and self.teacher.model is None:
            return "no_teacher"
        return "no_base" if self.base is not None and self.base.model is None else None

    def marks(self, path: Path) -> dict[str, str]:
        """What a state at ``path`` depends on: code, text, and the run or, for a snapshot, the steps that led to it."""
        assert self.checkpoints is not None
        own = path in (self.checkpoints.path, self.checkpoints.before)
        return {**self.checkpoints.fingerprint, "state_of": self.spec.run_id if own else path.stem}

    def start(self) -> tuple[Path, dict[str, Any]] | None:
        """The state furthest along: the run's own checkpoint, or the last snapshot that leads to it; None at step 0."""
        if self.checkpoints is None:
            return None
        snapshots = [self.snapshots[step] for step in sorted(self.snapshots, reverse=True)]
        for path in (self.checkpoints.path, self.checkpoints.before, *snapshots):
            state = resumable(path, self.marks(path))
            if state is not None:
                with refusing(path):
                    self.resumed_at_step = int(state["global_step"])
                    require(0 < self.resumed_at_step < self.spec.steps, "step", self.resumed_at_step, "one of the run's")
                return path, state
        return None

    def result(self, *, sweep: str, stage: str) -> RunResult:
        """Records of the run; ``sweep`` and ``stage`` are copied into them."""
        spec, guard, evaluate = self.spec, self.probes.guard, self.probes.evaluate
        final, scored = evaluate.final(), evaluate.validation[evaluate.domain]
        # an evaluation that is not finite leaves no row
        status = self.missing or ("ok" if guard.step is None and final else "diverged")
        summary = {
            **planned_columns(spec, self.model.spec, self.text, sweep=sweep, stage=stage),
            **base_columns(spec, self.base),
            **teacher_columns(spec, self.model.spec, self.teacher),
            "status": status,
            "diverged_step": (guard.step or spec.steps) if status == "diverged" else None,
            **{name: final[name] if status == "ok" else None for name in SCORES},
            "eval_tokens": scored.tokens,
            "eval_bytes": scored.bytes,
        }
        ordered = {name: summary[name] for name in table("runs").names}
        named = {"sweep": sweep, "run_id": spec.run_id}
        metrics = [named | row for row in self.probes.rows]
        layers = [] if self.probes.layers is None else [named | row for row in self.probes.layers.rows]
        return RunResult(ordered, metrics, layers, self.model if status == "ok" else None, self.resumed_at_step)


def prepare(spec: RunSpec, *, text: PreparedText, runs: Path, checkpoints: Checkpoints | None = None) -> Training:
    """Make a run ready: initial weights, windows of its text, probes, and the finished runs that it needs.

    Parameters
    ----------
    spec : RunSpec
    text : PreparedText
    runs : Path
        Folder of the sweep's runs, where teacher and base are looked for.
    checkpoints : Checkpoints, optional

    Raises
    ------
    InputError
        Teacher or base is not trained, the text is too short, or the run does not fit in memory.
    """
    teacher = None if spec.objective.kind != "distill" else load_finished(spec, "teacher", spec.objective.teacher, runs)
    base = None if not spec.start.base else load_finished(spec, "base", spec.start.base, runs)
    require_memory(spec, text.vocab_size, teacher=None if teacher is None else teacher.spec.model)
    windows = _training_windows(spec, text)
    model = Decoder(spec.model, text.vocab_size, seed=spec.seed)
    moments = None
    if base is not None and base.model is not None:
        if base.model.spec != spec.model:
            raise InputError(f"run {spec.run_id}: its base {spec.start.base} is a model of another shape")
        model.load_state_dict(base.model.state_dict())
        if spec.start.optimizer == "kept":
            moments = load_moments(runs / spec.start.base)
        if spec.start.sparsity > 0:
            stream = make_stream(spec, windows)
            model = pruned(model, importance(model, map(stream.batch, range(PRUNING_BATCHES))), spec.start.sparsity)
    validation, curve = (_validations(spec, text, tokens) for tokens in _scored(spec))
    evaluate = Evaluate(spec, validation, curve, rate_before=None if base is None else last_rate(base.spec))
    return Training(
        spec,
        text,
        model,
        windows,
        Probes(
            evaluate,
            DivergenceGuard(),
            layers=_layer_probe(spec, text),
            questions=_question_probe(spec, text),
            gradients=_gradient_probe(spec, text),
        ),
        teacher=teacher,
        base=base,
        moments=moments,
        checkpoints=checkpoints,
    )


def load_finished(spec: RunSpec, role: str, run_id: str, runs: Path) -> Finished:
    """A finished run that another one needs, from its folder in ``runs``.

    Parameters
    ----------
    spec : RunSpec
        The run that needs it.
    role : str
        What it is to that run, for error messages.
    run_id : str
    runs : Path

    Raises
    ------
    InputError
        It is not trained, or was trained with another tokenizer.
    """
    folder = runs / run_id
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        raise InputError(f"run {spec.run_id}: its {role} {run_id} is not trained ({folder})") from None
    require_intact(folder)
    with refusing(folder / "summary.json"):
        summary = completed("runs", summary)
        check_record("runs", summary)
    if summary["status"] != "ok":
        found = RunSpec.from_mapping(read_json(folder / "spec.json"), where=str(folder / "spec.json"))
        return Finished(found, summary, None)
    found, model = load_trained(folder)
    # a tokenizer that learns from its text is another one on every text; bytes are bytes
    if found.text.tokenizer != spec.text.tokenizer or (spec.text.tokenizer.kind != "bytes" and found.text != spec.text):
        raise InputError(f"run {spec.run_id}: its {role} {run_id} was trained with another tokenizer")
    if role == "teacher" and found.text != spec.text:
        raise InputError(f"run {spec.run_id}: its teacher {run_id} was trained on another text")
    return Finished(found, summary, model.eval().requires_grad_(False))


def _scored(spec: RunSpec) -> tuple[int, int]:
    return spec.evaluation.tokens, min(spec.evaluation.curve_tokens, spec.evaluation.tokens)


def _layer_probe(spec: RunSpec, text: PreparedText) -> LayerProbe | None:
    chosen = spec.probes
    if not chosen.tokens:
        return None
    domains = spec.evaluation.domains or text.domains
    losses = _validation(spec, text, chosen.loss_tokens, domains).batch if chosen.loss_tokens else None
    return LayerProbe(spec, _validation(spec, text, chosen.tokens, domains).batch, losses)


def _question_probe(spec: RunSpec, text: PreparedText) -> QuestionProbe | None:
    wanted = spec.evaluation.questions
    if not wanted:
        return None
    told = [source for source in sources(spec.text.source) if isinstance(source, FactsText)]
    if not told:
        raise InputError(f"run {spec.run_id}: evaluation.questions is {wanted}, but its text has no source of kind facts")
    groups, numbers = items(told[0]), {TOLD: wanted, ASKED: -(-wanted // 4)}
    there = len(groups[TOLD])
    if wanted > there:
        raise InputError(
            f"run {spec.run_id}: evaluation.questions is {wanted}, its facts give {there}; give them more members"
        )
    order = np.random.default_rng(told[0].seed).permutation(there)
    asked = {domain: [groups[domain][number] for number in order[:n]] for domain, n in numbers.items()}
    return QuestionProbe(spec, {domain: Questions(group, text.tokenizer) for domain, group in asked.items()})


def _gradient_probe(spec: RunSpec, text: PreparedText) -> GradientProbe | None:
    tokens = spec.evaluation.gradient_tokens
    if not tokens:
        return None
    pair = spec.evaluation.domains[:2]
    return GradientProbe(spec, {domain: _validation(spec, text, tokens, [domain]).batch for domain in pair})


def _validations(spec: RunSpec, text: PreparedText, tokens: int) -> dict[str, Validation]:
    if not spec.evaluation.domains:
        return {ALL: _validation(spec, text, tokens, text.domains)}
    return {domain: _validation(spec, text, tokens, [domain]) for domain in spec.evaluation.domains}


def _validation(spec: RunSpec, text: PreparedText, tokens: int, domains: Sequence[str]) -> Validation:
    windows = _windows(spec, text, "validation", dict.fromkeys(domains, 0))
    return Validation(windows, tokens=tokens, token_bytes=text.token_bytes, end=text.tokenizer.end)


def _training_windows(spec: RunSpec, text: PreparedText) -> Windows:
    training, context = spec.training, spec.model.context
    mixture = training.mixture or [DomainShare(domain=domain, share=1.0) for domain in text.domains]
    first = {part.domain: part.tokens if part.selection == "first" else 0 for part in mixture}
    windows = _windows(spec, text, training.split, first)
    chosen = {
        number: choose(part, text, split=training.split, context=context, seed=spec.seed)
        for number, part in enumerate(mixture)
        if part.selection != "first"
    }
    return Windows(windows.domains, context, chosen=chosen)


def _windows(spec: RunSpec, text: PreparedText, split: str, parts: Mapping[str, int]) -> Windows:
    """Windows of a split: of each domain, the windows that its first so many tokens fill; 0 is all of them."""
    tokens = {domain: _first(spec, text, split, domain, wanted) for domain, wanted in parts.items()}
    windows = Windows(list(tokens.values()), spec.model.context)
    few = [domain for domain, n in zip(tokens, np.diff(windows.ends, prepend=0), strict=True) if n == 0]
    if len(windows) < 2 or (few and spec.training.mixture and split != "validation"):
        of, have = "the", sum(map(len, tokens.values()))
        if few and len(text.domains) > 1:
            of, have = f"domain {few[0]!r} of the", len(tokens[few[0]])
        raise InputError(
            f"text {spec.text.text_id}: {of} {split} split has {have} tokens, at least two windows of "
            f"{spec.model.context} and the token after are needed; give more text or a shorter model.context"
        )
    return windows


def _first(spec: RunSpec, text: PreparedText, split: str, domain: str, wanted: int) -> NDArray[np.unsignedinteger]:
    tokens = text.tokens(domain, split)
    if len(tokens) <= wanted:
        raise InputError(
            f"text {spec.text.text_id}: domain {domain!r} of the {split} split has {len(tokens)} tokens, {wanted} and the "
            "token after were asked for; give more text or lower the tokens in training.mixture"
        )
    return tokens[: wanted + 1] if wanted else tokens

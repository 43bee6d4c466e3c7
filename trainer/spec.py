"""RunSpec: everything that decides the outcome of one training run, and nothing else.

A spec is plain frozen data, read strictly from YAML (:mod:`trainer.strict`). Its run id is the first 12 hex digits of the
sha256 of its canonical JSON, so two runs with one id are the same experiment. Importing this module imports no torch.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from trainer.model_spec import ModelSpec
from trainer.strict import YOUNGER, from_mapping, require, short_hash
from trainer.text_spec import TextSpec

Selection = Literal["first", "drawn", "lowest_perplexity", "highest_perplexity"]
Ablation = Literal["removed", "swapped", "skipped", "affine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveSpec:
    """What the model learns from: the text, or a trained teacher's distribution over it."""

    kind: Literal["lm", "distill"] = "lm"
    teacher: str = ""
    """Run id of the teacher, for ``distill``."""
    distill_weight: float = 1.0
    """Weight of the soft targets; 1 - weight goes to the text."""
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.kind == "distill":
            require(is_run_id(self.teacher), "teacher", self.teacher, "a run id of 12 hex digits (objective.kind is distill)")
        else:
            require(self.teacher == "", "teacher", self.teacher, "no teacher (objective.kind is lm)")
        require(0 <= self.distill_weight <= 1, "distill_weight", self.distill_weight, "a number from 0 to 1")
        require(self.temperature > 0, "temperature", self.temperature, "a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainShare:
    """One domain of a mixture."""

    domain: str
    share: float
    """Share of the training sequences."""
    tokens: int = field(default=0, metadata=YOUNGER)
    """Only so many tokens of the domain's split, repeated as often as the share asks; 0 takes all of it."""
    selection: Selection = field(default="first", metadata=YOUNGER)
    """Which tokens those are: the first ones, or windows drawn by the run's seed, or those of lowest or highest perplexity
    under an n-gram model of the domain's teacher split (:mod:`trainer.selection`)."""

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, "share", self.share, "a number above 0 and at most 1")
        require(self.tokens >= 0, "tokens", self.tokens, "0 or more")
        require(self.tokens > 0 or self.selection == "first", "selection", self.selection, "first (there are no tokens)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """How much text, in what portions, from which split and domains."""

    tokens: int
    """Training tokens; the last incomplete batch is not trained on."""
    batch_sequences: int = 16
    """Sequences an optimiser step, over all devices."""
    accumulate: int = 1
    """Parts of a step's batch that are passed through the model one after another, to save memory."""
    split: Literal["train", "teacher"] = "train"
    mixture: tuple[DomainShare, ...] = ()
    """Domains and their shares of the sequences; empty takes all domains, each in proportion to its size."""
    order: int = field(default=0, metadata=YOUNGER)
    """Draws another order of the data from the same seed: for runs that go on with text that their base has read."""

    def __post_init__(self) -> None:
        require(self.tokens >= 1, "tokens", self.tokens, "1 or more")
        require(self.batch_sequences >= 1, "batch_sequences", self.batch_sequences, "1 or more")
        whole = self.accumulate >= 1 and self.batch_sequences % self.accumulate == 0
        require(whole, "accumulate", self.accumulate, f"a divisor of batch_sequences = {self.batch_sequences}")
        names = [part.domain for part in self.mixture]
        require(len(set(names)) == len(names), "mixture", names, "each domain once")
        total = sum(part.share for part in self.mixture)
        require(not names or abs(total - 1) < 1e-9, "mixture", f"shares that sum to {total:g}", "a sum of 1")
        require(self.order >= 0, "order", self.order, "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """AdamW, with a weight decay for each group of parameters."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    """Of the matrices inside blocks."""
    weight_decay_embedding: float = 0.1
    """Of embeddings and head."""
    weight_decay_norm: float = 0.0
    """Of norm gains."""
    grad_clip: float = 1.0
    """Largest gradient norm; 0 turns clipping off."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon"):
            require(0 < getattr(self, name) < math.inf, name, getattr(self, name), "a finite number above 0")
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number from 0 to below 1")
        for name in ("weight_decay", "weight_decay_embedding", "weight_decay_norm", "grad_clip"):
            require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "a finite number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knot:
    """A point of a given schedule."""

    tokens: int
    """Training tokens seen."""
    factor: float
    """Learning rate there, as a factor of ``optimizer.learning_rate``."""

    def __post_init__(self) -> None:
        require(self.tokens >= 0, "tokens", self.tokens, "0 or more")
        require(0 <= self.factor < math.inf, "factor", self.factor, "a finite number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """Learning rate over the run: linear warm-up, then cosine, warm-up-stable-decay (WSD) or constant; or given by knots."""

    kind: Literal["cosine", "wsd", "constant", "given"] = "cosine"
    warmup_share: float = 0.05
    """Share of the steps spent warming up."""
    warmup_tokens: int = 0
    """Tokens spent warming up, instead of a share: runs that differ in length alone then begin alike. At most half of the
    steps before the decay are spent so."""
    decay_share: float = 0.2
    """Share of the steps spent decaying linearly at the end (``wsd``)."""
    final_share: float = 0.1
    """Learning rate at the end, as a share of its peak (``cosine`` and ``wsd``)."""
    knots: tuple[Knot, ...] = ()
    """``given``: linear between the knots, constant before the first and after the last."""

    def __post_init__(self) -> None:
        require(0 <= self.warmup_share < 1, "warmup_share", self.warmup_share, "a number from 0 to below 1")
        require(self.warmup_tokens >= 0, "warmup_tokens", self.warmup_tokens, "0 or more")
        require(0 <= self.final_share <= 1, "final_share", self.final_share, "a number from 0 to 1")
        room = 0 < self.decay_share <= 1 - self.warmup_share
        require(room, "decay_share", self.decay_share, "a number above 0 and at most 1 - warmup_share")
        at = [knot.tokens for knot in self.knots]
        require(at == sorted(set(at)), "knots", at, "tokens in rising order")
        wanted = "one or more knots" if self.kind == "given" else f"no knots (schedule.kind is {self.kind})"
        require(bool(at) == (self.kind == "given"), "knots", at, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """Validation on fixed windows, after the last step and at token counts spaced evenly in log."""

    tokens: int = 65_536
    """Validation tokens scored after the last step."""
    curve_tokens: int = 8_192
    """Validation tokens scored on the way there; fewer, since they are scored often."""
    factor: float = 4.0
    """Ratio of the token counts of two evaluations; they are the same for runs of any length."""
    every_step_until: int = 0
    """Optimiser steps after each of which the model is scored; above 0, it is also scored before the first."""
    domains: tuple[str, ...] = field(default=(), metadata=YOUNGER)
    """Domains scored one by one, so many tokens each; the run's loss is that of the first. Empty scores all together."""
    questions: int = field(default=0, metadata=YOUNGER)
    """Questions about the entities that a text of kind ``facts`` tells of, and a quarter as many about those that it asks
    about (:mod:`trainer.questions`); 0 asks none."""
    question_factor: float = field(default=2.0, metadata=YOUNGER)
    """Ratio of the steps after which they are asked; they are also asked before the first step and after the last."""
    gradient_tokens: int = field(default=0, metadata=YOUNGER)
    """Validation tokens of each of the first two domains, on which their gradients are compared where questions are due
    (:mod:`trainer.gradient_probe`); 0 compares none."""

    def __post_init__(self) -> None:
        require(len(set(self.domains)) == len(self.domains), "domains", list(self.domains), "each domain once")
        require(self.tokens >= 1, "tokens", self.tokens, "1 or more")
        require(self.curve_tokens >= 1, "curve_tokens", self.curve_tokens, "1 or more")
        require(1 < self.factor < math.inf, "factor", self.factor, "a finite number above 1")
        require(self.every_step_until >= 0, "every_step_until", self.every_step_until, "0 or more")
        for name in ("questions", "gradient_tokens"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        two = self.gradient_tokens == 0 or len(self.domains) >= 2
        require(two, "gradient_tokens", self.gradient_tokens, "0 (evaluation.domains names no two)")
        require(1 < self.question_factor < math.inf, "question_factor", self.question_factor, "a finite number above 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """Measurements block by block (the table ``layers``): before the first step, where the run is evaluated, at the end."""

    tokens: int = 0
    """Validation tokens on which the residual stream is measured; 0 measures none."""
    loss_tokens: int = 0
    """Validation tokens on which ablations of blocks are measured after the last step; 0 measures none."""
    ablations: tuple[Ablation, ...] = ("removed", "swapped", "skipped", "affine")
    """What is done to one block after another (:mod:`trainer.layer_losses`)."""

    def __post_init__(self) -> None:
        for name in ("tokens", "loss_tokens"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(self.tokens > 0 or self.loss_tokens == 0, "loss_tokens", self.loss_tokens, "0 (there are no probes.tokens)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeSpec:
    """Hardware facts that change the bits of the result."""

    accelerator: Literal["cpu", "gpu"] = "cpu"
    devices: int = 1
    """Of each node."""
    nodes: int = field(default=1, metadata=YOUNGER)
    """Machines; srun or torchrun starts the processes of several."""
    precision: Literal["32-true", "bf16-mixed", "bf16-true"] = "32-true"
    threads: int = 1
    """Threads of one process on a CPU."""
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """How several devices share the work: ``ddp`` has the model on each, ``fsdp`` a part of it (PyTorch's second FSDP)."""
    compile: bool = False
    """Compile the model (``torch.compile``): pays on a GPU, not on a CPU (docs/log.md)."""
    backend: Literal["auto", "lightning", "lockstep", "packed"] = "auto"
    """How the steps are carried out; ``auto`` follows from the spec alone (:func:`trainer.sharing.backend_of`)."""

    def __post_init__(self) -> None:
        require(self.devices >= 1, "devices", self.devices, "1 or more")
        require(self.nodes >= 1, "nodes", self.nodes, "1 or more")
        require(self.threads >= 1, "threads", self.threads, "1 or more")
        alone = self.backend in ("auto", "lightning") or self.processes == 1
        require(alone, "backend", self.backend, "lightning or auto (several devices)")

    @property
    def processes(self) -> int:
        """Processes that train a run together, one a device of each node."""
        return self.nodes * self.devices


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSpec:
    """What a run starts from: weights drawn from its seed, or those that another run ended with, whole or pruned."""

    base: str = ""
    """Run id of the base run, which kept its weights; empty draws new ones."""
    sparsity: float = 0.0
    """Share of the base's block parameters to prune away (:mod:`trainer.pruning`); ``model`` is the base's, unpruned."""
    optimizer: Literal["new", "kept"] = "new"
    """``kept`` goes on with the base run's moments; the schedule is always the run's own."""

    def __post_init__(self) -> None:
        good = self.base == "" or is_run_id(self.base)
        require(good, "base", self.base, "a run id of 12 hex digits")
        require(self.base != "" or self.optimizer == "new", "optimizer", self.optimizer, "new (there is no start.base)")
        require(0 <= self.sparsity < 1, "sparsity", self.sparsity, "a number from 0 to below 1")
        require(self.base != "" or self.sparsity == 0, "sparsity", self.sparsity, "0 (there is no start.base)")
        kept = self.optimizer == "kept" and self.sparsity > 0
        require(not kept, "optimizer", self.optimizer, "new (the base is pruned)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One training run."""

    model: ModelSpec
    training: TrainingSpec
    optimizer: OptimizerSpec
    text: TextSpec = field(default_factory=TextSpec)
    objective: ObjectiveSpec = field(default_factory=ObjectiveSpec)
    schedule: ScheduleSpec = field(default_factory=ScheduleSpec)
    evaluation: EvaluationSpec = field(default_factory=EvaluationSpec)
    compute: ComputeSpec = field(default_factory=ComputeSpec)
    start: StartSpec = field(default_factory=StartSpec)
    probes: ProbeSpec = field(default_factory=ProbeSpec, metadata=YOUNGER)
    seed: int = 0
    """Seeds the initial weights, the order of the data and dropout."""
    keep_weights: bool = False
    """Keep the final weights as ``weights.safetensors``: a teacher and the base of other runs need them."""
    keep_optimizer: bool = False
    """Keep the final state of the optimiser as ``optimizer.safetensors``, for runs that go on with it."""

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        tokens_a_step = self.training.batch_sequences * self.model.context
        require(
            self.training.tokens >= tokens_a_step,
            "training.tokens",
            self.training.tokens,
            f"at least one batch of {tokens_a_step} tokens",
        )
        ranks = self.training.batch_sequences % (self.compute.processes * self.training.accumulate) == 0
        several = "compute.devices" if self.compute.nodes == 1 else "compute.nodes times compute.devices"
        require(ranks, several, self.compute.processes, "a divisor of training.batch_sequences / training.accumulate")
        for name, tokens in (
            ("probes.tokens", self.probes.tokens),
            ("evaluation.gradient_tokens", self.evaluation.gradient_tokens),
        ):
            require(self.compute.processes == 1 or tokens == 0, name, tokens, f"0 ({several} is above 1)")
        uncut = self.start.sparsity == 0 or self.model.scheme == "pre"
        require(uncut, "start.sparsity", self.start.sparsity, f"0 (model.scheme is {self.model.scheme}; only pre is pruned)")
        require(self.keep_weights or not self.keep_optimizer, "keep_optimizer", True, "keep_weights: true beside it")
        if self.training.split == "teacher":
            require(self.text.teacher_share > 0, "text.teacher_share", self.text.teacher_share, "a share above 0 for teachers")
        if any(part.selection.endswith("perplexity") for part in self.training.mixture):
            judged = self.training.split == "train" and self.text.teacher_share > 0
            wanted = "train beside a text.teacher_share above 0 (the teacher split judges perplexity)"
            require(judged, "training.split", self.training.split, wanted)

    @property
    def run_id(self) -> str:
        """First 12 hex digits of the sha256 of the canonical JSON."""
        return short_hash(self)

    @property
    def tokens_per_step(self) -> int:
        """Training tokens of one optimiser step."""
        return self.training.batch_sequences * self.model.context

    @property
    def steps(self) -> int:
        """Optimiser steps of the run."""
        return self.training.tokens // self.tokens_per_step

    @classmethod
    def from_mapping(cls, mapping: object, *, where: str = "") -> "RunSpec":
        """Read a spec strictly from plain values, as YAML or JSON give them."""
        return from_mapping(cls, mapping, where=where)


def is_run_id(text: str) -> bool:
    """Tell whether a text has the form of a run id."""
    return re.fullmatch("[0-9a-f]{12}", text) is not None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run and its place in a plan."""

    sweep: str
    stage: str
    spec: RunSpec

    @property
    def run_id(self) -> str:
        """Run id of the spec."""
        return self.spec.run_id

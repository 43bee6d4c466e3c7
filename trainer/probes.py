"""Measurements during training: plain objects that see each step, own their rows, and know nothing of Lightning.

A probe keeps what it needs as tensors and looks at them now and then: reading a number every step would make an accelerator
wait for the host.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from trainer.evaluation import ALL, Validation, evaluation_steps
from trainer.gradient_probe import GradientProbe
from trainer.layer_probe import LayerProbe
from trainer.model import Decoder
from trainer.questions import QuestionProbe
from trainer.schedule import factor_at
from trainer.spec import RunSpec

Row = dict[str, Any]


class Probe(Protocol):
    """What every training loop calls after each optimiser step."""

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """See step ``step`` (from 1), its detached mean training loss in nats/token, and the model after it."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold for an interrupted run to end with the same rows."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""


class Evaluate:
    """Score the validation split at the steps that are due, and record the mean training loss since the last time.

    The learning rate of the step and the sum of all rates up to it stand beside them: laws of whole loss curves need both.

    Parameters
    ----------
    spec : RunSpec
    validation : mapping
        Domain, or ``all`` -> what scores a model on it after the last step; the run's loss is that of the first.
    curve : mapping
        Domain -> what scores it on the way there.
    rate_before : float, optional
        Last learning rate of the run that this one starts from.
    """

    def __init__(
        self,
        spec: RunSpec,
        validation: Mapping[str, Validation],
        curve: Mapping[str, Validation],
        *,
        rate_before: float | None = None,
    ) -> None:
        self.spec = spec
        self.validation = validation
        self.curve = curve
        self.domain = next(iter(validation))
        """The domain that the run's loss is of."""
        self.steps = set(evaluation_steps(spec))
        self.rows: list[Row] = []
        self.rate_before = rate_before
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._loss_count = 0

    def begin(self, model: Decoder) -> None:
        """Score the initial weights, where the first steps are scored too."""
        if not self.spec.evaluation.every_step_until:
            return
        if self.rate_before is not None:
            self._record(0, self.spec.training.split, "learning_rate", self.rate_before)
            self._record(0, self.spec.training.split, "learning_rate_sum", 0.0)
        self._score(0, model, self.curve)

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """Add up the training loss; evaluate where it is due."""
        self._loss_sum = loss.double() + self._loss_sum.to(loss.device)
        self._loss_count += 1
        if step not in self.steps:
            return
        loss_sum = float(self._loss_sum)
        if not math.isfinite(loss_sum):
            return
        split, peak = self.spec.training.split, self.spec.optimizer.learning_rate
        factors = [factor_at(self.spec, done) for done in range(step)]
        self._record(step, split, "objective_nats_per_token", loss_sum / self._loss_count)
        self._record(step, split, "learning_rate", peak * factors[-1])
        self._record(step, split, "learning_rate_sum", peak * math.fsum(factors))
        self._loss_sum, self._loss_count = torch.zeros_like(self._loss_sum), 0
        self._score(step, model, self.validation if step == self.spec.steps else self.curve)

    def final(self) -> dict[str, float]:
        """Scores on the run's domain after the last step; empty where that evaluation was not reached or not finite."""
        own = {"step": self.spec.steps, "split": "validation", "domain": self.domain}
        return {row["metric"]: row["value"] for row in self.rows if own.items() <= row.items()}

    def state_dict(self) -> dict[str, Any]:
        """Rows, and the training loss since the last one."""
        return {"rows": self.rows, "loss_sum": float(self._loss_sum), "loss_count": self._loss_count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self.rows = list(state["rows"])
        self._loss_sum = torch.tensor(state["loss_sum"], dtype=torch.float64)
        self._loss_count = state["loss_count"]

    def _score(self, step: int, model: Decoder, domains: Mapping[str, Validation]) -> None:
        for domain, scored in domains.items():
            scores = scored.scores(model)
            if all(map(math.isfinite, scores.values())):
                for metric, value in scores.items():
                    self._record(step, "validation", metric, value, domain=domain)

    def _record(self, step: int, split: str, metric: str, value: float, *, domain: str = ALL) -> None:
        at = {"step": step, "tokens": step * self.spec.tokens_per_step}
        self.rows.append({**at, "split": split, "domain": domain, "metric": metric, "value": value})


class DivergenceGuard:
    """Find the first step whose training loss is not finite: a recorded outcome, not a crash.

    Parameters
    ----------
    look_every : int
        Steps between two looks at the losses; ``stop`` lags by that much, ``step`` is exact.
    """

    def __init__(self, look_every: int = 16) -> None:
        self.look_every = look_every
        self.stop = False
        """Whether a look has found such a step; reading it costs nothing."""
        self._found: int | None = None
        self._finite: list[Tensor] = []
        self._last = 0

    @property
    def step(self) -> int | None:
        """The first bad step, looked up to the step just done."""
        if self._finite and self._found is None:
            finite = torch.stack(self._finite).tolist()
            if not all(finite):
                self._found = self._last - len(finite) + 1 + finite.index(False)
                self.stop = True
        self._finite = []
        return self._found

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """Remember whether the loss is finite, and look now and then."""
        self._last = step
        self._finite.append(torch.isfinite(loss))
        if len(self._finite) >= self.look_every:
            _ = self.step

    def state_dict(self) -> dict[str, Any]:
        """The first bad step."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self._found = state["step"]
        self.stop = self._found is not None


class Probes:
    """The probes of one run, as one.

    Parameters
    ----------
    evaluate : Evaluate
    guard : DivergenceGuard
    layers : LayerProbe, optional
        Where the run is measured block by block.
    questions : QuestionProbe, optional
        Where it is asked.
    gradients : GradientProbe, optional
        Where those of two domains are compared.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        guard: DivergenceGuard,
        *,
        layers: LayerProbe | None = None,
        questions: QuestionProbe | None = None,
        gradients: GradientProbe | None = None,
    ) -> None:
        self.evaluate = evaluate
        self.guard = guard
        self.layers = layers
        self.questions = questions
        self.gradients = gradients
        by_name: dict[str, Probe | None] = {"evaluate": evaluate, "guard": guard, "layers": layers}
        by_name |= {"questions": questions, "gradients": gradients}
        self._by_name = {name: probe for name, probe in by_name.items() if probe is not None}

    @property
    def rows(self) -> list[Row]:
        """Of the table ``metrics``, without sweep and run id."""
        return [row for probe in (self.evaluate, self.questions, self.gradients) if probe is not None for row in probe.rows]

    def begin(self, model: Decoder) -> None:
        """Show the model before its first step."""
        for probe in (self.evaluate, self.layers, self.questions, self.gradients):
            if probe is not None:
                probe.begin(model)

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """Show every probe a step."""
        for probe in self._by_name.values():
            probe.after_step(step, loss, model)

    def state_dict(self) -> dict[str, Any]:
        """State of every probe by its name."""
        return {name: probe.state_dict() for name, probe in self._by_name.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        for name, probe in self._by_name.items():
            probe.load_state_dict(state[name])

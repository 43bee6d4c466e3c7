"""Several runs on the same batches in a plain loop: one pass of the teacher serves all its students.

Each run has its own model, optimiser, schedule, clipping and probes, and the bits that the reference backend gives it. Runs
may begin at different steps, from checkpoints or snapshots, and end at different ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.checkpoint import save_state
from trainer.objective import objective_loss, teacher_logits
from trainer.optimizer import make_optimizer
from trainer.stream import StepStream
from trainer.training import Training


def fit(trainings: Sequence[Training]) -> None:
    """Train runs of one teacher, text and order of data to their ends.

    Parameters
    ----------
    trainings : sequence of Training
        Their specs differ at most in model, optimiser, schedule, objective's weights, evaluation and number of tokens.
    """
    spec, teacher = trainings[0].spec, trainings[0].teacher
    torch.set_num_threads(spec.compute.threads)
    device = torch.device("cuda" if spec.compute.accelerator == "gpu" else "cpu")
    teacher_model = None if teacher is None or teacher.model is None else teacher.model.to(device)
    steppers = [Stepper(training, device) for training in trainings]
    stream = StepStream(trainings[0].windows, spec.training.batch_sequences, seed=spec.seed)
    while active := [stepper for stepper in steppers if not stepper.done]:
        step = min(stepper.step for stepper in active)
        batch = stream.batch(step).to(device)
        taught = teacher_logits(teacher_model, batch)
        for stepper in active:
            if stepper.step == step:
                stepper.train(batch, taught)


class Stepper:
    """One model with its optimiser, schedule, probes and checkpoints, taken one step at a time.

    Parameters
    ----------
    training : Training
    device : torch.device
    """

    def __init__(self, training: Training, device: torch.device) -> None:
        self.training = training
        self.step = 0
        """Optimiser steps done."""
        self.model = training.model.to(device).train()
        self.optimizer, self.scheduler = make_optimizer(training.spec, self.model)
        # in the optimiser's order, which decides the last bit of the gradient's norm
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        start = training.start()
        if start is not None:
            self._load(start[1])

    @property
    def done(self) -> bool:
        """No step is left, or the loss is no longer finite."""
        return self.step >= self.training.spec.steps or self.training.probes.guard.stop

    def train(self, batch: Tensor, taught: Tensor | None) -> None:
        """Do one optimiser step on token ids (batch, context + 1) and, for a student, its teacher's logits."""
        spec = self.training.spec
        self.optimizer.zero_grad()
        loss = objective_loss(spec.objective, self.model, batch, taught)
        loss.backward()
        if spec.optimizer.grad_clip:
            torch.nn.utils.clip_grad_norm_(self._parameters, spec.optimizer.grad_clip)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        self.training.probes.after_step(self.step, loss.detach(), self.model)
        if not self.done:
            self._save_what_is_due()

    def _save_what_is_due(self) -> None:
        snapshot = self.training.snapshots.get(self.step)
        if snapshot is not None:
            save_state(self._write, snapshot)
        checkpoints = self.training.checkpoints
        if checkpoints is not None and checkpoints.due():
            checkpoints.save(self._write)

    def _write(self, path: Path) -> None:
        assert self.training.checkpoints is not None
        state = {
            "fingerprint": self.training.checkpoints.fingerprint,
            "global_step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "probes": self.training.probes.state_dict(),
        }
        torch.save(state, path)

    def _load(self, state: dict[str, Any]) -> None:
        self.step = int(state["global_step"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.training.probes.load_state_dict(state["probes"])

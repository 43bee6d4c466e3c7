"""Several runs on the same batches in a plain loop: one pass of the teacher serves all its students.

Each run has its own model, optimiser, schedule, clipping and probes, and the bits that the reference backend gives it. Runs
may begin at different steps, from checkpoints or snapshots, and end at different ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.checkpoint import refusing, save_state
from trainer.objective import objective_loss, seed_dropout, teacher_logits
from trainer.optimizer import make_optimizer
from trainer.stream import make_stream
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
    stream, parts = make_stream(spec, trainings[0].windows), spec.training.accumulate
    while active := [stepper for stepper in steppers if not stepper.done]:
        step = min(stepper.step for stepper in active)
        now = [stepper for stepper in active if stepper.step == step]
        for number in range(step * parts, (step + 1) * parts):
            batch = stream.batch(number).to(device)
            taught = teacher_logits(teacher_model, batch)
            for stepper in now:
                stepper.learn(number, batch, taught)
        for stepper in now:
            stepper.finish_step()
        stop_if_asked(steppers)


def stop_if_asked(steppers: Sequence["Stepper"]) -> None:
    """Write every run's state and let the signal through, where the process was asked to stop."""
    checkpoints = steppers[0].training.checkpoints
    if checkpoints is not None and checkpoints.signals.asked:
        for stepper in steppers:
            if not stepper.done:
                stepper.save_checkpoint()
        checkpoints.signals.deliver()


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
        if training.spec.compute.compile:
            self.model.compile()
        self.optimizer, self.scheduler = make_optimizer(training.spec, self.model, training.moments)
        # in the optimiser's order, which decides the last bit of the gradient's norm
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.losses: list[Tensor] = []
        """Of the parts of the step under way, in nats/token."""
        start = training.start()
        if start is not None:
            with refusing(start[0]):
                self._load(start[1])
        else:
            training.probes.begin(self.model)

    @property
    def done(self) -> bool:
        """No step is left, or the loss is no longer finite."""
        return self.step >= self.training.spec.steps or self.training.probes.guard.stop

    def learn(self, number: int, batch: Tensor, taught: Tensor | None) -> None:
        """Add the gradient of batch ``number`` of the run.

        Parameters
        ----------
        number : int
        batch : Tensor (batch, context + 1)
            Token ids.
        taught : Tensor (batch, context, vocab_size) or None
            The teacher's logits, for a student.
        """
        spec = self.training.spec
        seed_dropout(spec, number)
        loss = objective_loss(spec.objective, self.model, batch, taught)
        self.losses.append(loss.detach())
        (loss / spec.training.accumulate).backward()

    def finish_step(self) -> None:
        """Move the weights by the gradients since the last step."""
        spec = self.training.spec
        if spec.optimizer.grad_clip:
            torch.nn.utils.clip_grad_norm_(self._parameters, spec.optimizer.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.scheduler.step()
        self.step += 1
        self.training.probes.after_step(self.step, torch.stack(self.losses).mean(), self.model)
        self.losses = []
        if self.done:
            self.training.final_moments = self.optimizer.state_dict()["state"] if spec.keep_optimizer else None
        else:
            self._save_what_is_due()

    def save_checkpoint(self) -> None:
        """Write the state to go on from."""
        checkpoints = self.training.checkpoints
        assert checkpoints is not None
        checkpoints.save(lambda path: self._write(path, self.training.marks(checkpoints.path)))

    def _save_what_is_due(self) -> None:
        snapshot = self.training.snapshots.get(self.step)
        if snapshot is not None:
            save_state(lambda path: self._write(path, self.training.marks(snapshot)), snapshot)
        if self.training.checkpoints is not None and self.training.checkpoints.due():
            self.save_checkpoint()

    def _write(self, path: Path, marks: dict[str, str]) -> None:
        state = {
            "fingerprint": marks,
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

"""What Lightning calls during a fit: the probes, then the checkpoints."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from trainer.checkpoint import save_state
from trainer.module import LanguageModule
from trainer.probes import Probes
from trainer.training import Training


class ProbeCallback(L.Callback):
    """Show every optimiser step to the probes, and stop a run that diverged."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes
        self._losses: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Forward the step just done: the mean loss of its batches."""
        assert isinstance(pl_module, LanguageModule)
        self._losses.append(outputs["loss"])
        if len(self._losses) < trainer.accumulate_grad_batches:
            return
        self.probes.after_step(trainer.global_step, torch.stack(self._losses).mean(), pl_module.model)
        self._losses = []
        trainer.should_stop |= self.probes.guard.stop

    def state_dict(self) -> dict[str, Any]:
        """State of the probes."""
        return self.probes.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Hand the probes their state back."""
        self.probes.load_state_dict(state_dict)


class CheckpointCallback(L.Callback):
    """Write the whole training state: every so often to go on from, and at given steps for other runs to branch from.

    Parameters
    ----------
    training : Training
        With checkpoints.
    """

    def __init__(self, training: Training) -> None:
        assert training.checkpoints is not None
        self.training = training
        self.checkpoints = training.checkpoints
        self._marks: dict[str, str] = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write what is due after a step while steps are left."""
        step_done = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not step_done or trainer.should_stop or trainer.global_step >= trainer.max_steps:
            return
        snapshot = self.training.snapshots.get(trainer.global_step)
        if snapshot is not None:
            self._marks = self.training.marks(snapshot)
            save_state(trainer.save_checkpoint, snapshot)
        if self.checkpoints.due():
            self._marks = self.training.marks(self.checkpoints.path)
            self.checkpoints.save(trainer.save_checkpoint)
            self.checkpoints.signals.deliver()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Mark what the checkpoint depends on."""
        checkpoint["fingerprint"] = self._marks

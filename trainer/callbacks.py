"""What Lightning calls during a fit: the probes, then the checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

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

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the model before its first step."""
        assert isinstance(pl_module, LanguageModule)
        if trainer.global_step == 0:
            self.probes.begin(pl_module.model)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Forward the step just done: the mean loss of its batches."""
        assert isinstance(pl_module, LanguageModule)
        self._losses.append(outputs["loss"])
        if len(self._losses) < trainer.accumulate_grad_batches:
            return
        # over all devices, so that they stop together; Lightning has divided each loss by their number
        loss = cast(Tensor, trainer.strategy.reduce(torch.stack(self._losses).sum(), reduce_op="mean"))
        self._losses = []
        self.probes.after_step(trainer.global_step, loss, pl_module.model)
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
            self._save(trainer, lambda write: save_state(write, snapshot))
        if trainer.strategy.reduce_boolean_decision(self.checkpoints.due(), all=False):
            self._marks = self.training.marks(self.checkpoints.path)
            self._save(trainer, self.checkpoints.save)
            self.checkpoints.signals.deliver()

    def _save(self, trainer: L.Trainer, keep: Callable[[Callable[[Path], object]], None]) -> None:
        """Gather the state from all devices, and have the first one write it."""
        if trainer.is_global_zero:
            keep(trainer.save_checkpoint)
        else:
            trainer.save_checkpoint(self.checkpoints.path)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Mark what the checkpoint depends on."""
        checkpoint["fingerprint"] = self._marks

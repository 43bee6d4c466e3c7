"""What Lightning calls during a fit: the probes, then the checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from trainer.checkpoint import Checkpoints, save_state
from trainer.module import LanguageModule
from trainer.probes import Probes


class ProbeCallback(L.Callback):
    """Show every optimiser step to the probes, and stop a run that diverged."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Forward the step just done."""
        assert isinstance(pl_module, LanguageModule)
        self.probes.after_step(trainer.global_step, outputs["loss"], pl_module.model)
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
    checkpoints : Checkpoints
    snapshots : mapping
        Optimiser step -> file.
    """

    def __init__(self, checkpoints: Checkpoints, snapshots: Mapping[int, Path]) -> None:
        self.checkpoints = checkpoints
        self.snapshots = snapshots

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write what is due while steps are left."""
        if trainer.should_stop or trainer.global_step >= trainer.max_steps:
            return
        if trainer.global_step in self.snapshots:
            save_state(trainer.save_checkpoint, self.snapshots[trainer.global_step])
        if self.checkpoints.due():
            self.checkpoints.save(trainer.save_checkpoint)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Mark what the checkpoint depends on."""
        checkpoint["fingerprint"] = self.checkpoints.fingerprint

"""What Lightning calls during a fit: the probes, and the checkpoints."""

import time
from pathlib import Path
from typing import Any

import lightning as L

from trainer.checkpoint import save_state
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


class Checkpointer(L.Callback):
    """Write a checkpoint of the whole training state every so often, atomically.

    Parameters
    ----------
    path : Path
    every_s : float
        Least number of seconds between two checkpoints.
    fingerprint : dict
        What the state depends on beside the spec; a checkpoint of other code or other text is not resumed.
    clock : callable
        Seconds, for the interval.
    """

    def __init__(self, path: Path, *, every_s: float, fingerprint: dict[str, str], clock: Any = time.monotonic) -> None:
        self.path = path
        self.every_s = every_s
        self.fingerprint = fingerprint
        self._clock = clock
        self._last = clock()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write when the interval has passed and steps are left."""
        due = self._clock() - self._last >= self.every_s
        if due and not trainer.should_stop and trainer.global_step < trainer.max_steps:
            save_state(trainer, self.path)
            self._last = self._clock()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Mark what the checkpoint depends on."""
        checkpoint["fingerprint"] = self.fingerprint

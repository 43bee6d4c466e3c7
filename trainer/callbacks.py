"""Measurements during training: each callback owns its rows and hands them back after the fit."""

import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from trainer.checkpoint import save_state
from trainer.losses import bits_per_byte, window_nats
from trainer.module import LanguageModule
from trainer.spec import RunSpec
from trainer.stream import Windows

Row = dict[str, Any]


def evaluation_steps(steps: int, points: int) -> list[int]:
    """At most ``points`` optimiser steps, evenly spaced in log over the last two decades of a run; the last step always."""
    if points == 1:
        return [steps]
    return sorted({round(step) for step in np.geomspace(max(1.0, steps / 100), steps, points)})


class Evaluate(L.Callback):
    """Score fixed validation windows at log-spaced steps, and record the mean training loss since the last time.

    Parameters
    ----------
    spec : RunSpec
    windows : Windows
        The validation split.
    token_bytes : array (vocab_size,)
        Bytes of UTF-8 text that each token stands for.
    """

    def __init__(self, spec: RunSpec, windows: Windows, token_bytes: NDArray[np.integer]) -> None:
        self.spec = spec
        # a standard error needs two windows
        wanted = max(2, spec.evaluation.tokens // spec.model.context)
        numbers = np.unique(np.linspace(0, len(windows) - 1, min(wanted, len(windows))).astype(np.int64))
        self.batch = windows.gather(numbers)
        self.tokens = self.batch[:, 1:].numel()
        self.bytes = int(np.asarray(token_bytes)[self.batch[:, 1:].numpy()].sum())
        self.steps = set(evaluation_steps(spec.steps, spec.evaluation.points))
        self.rows: list[Row] = []
        self._loss_sum, self._loss_count = 0.0, 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up the training loss; evaluate where it is due."""
        self._loss_sum += float(outputs["loss"])
        self._loss_count += 1
        step = trainer.global_step
        if step in self.steps and math.isfinite(self._loss_sum):
            self._record(step, self.spec.training.split, "objective_nats_per_token", self._loss_sum / self._loss_count)
            self._loss_sum, self._loss_count = 0.0, 0
            scores = self.scores(pl_module)
            if all(map(math.isfinite, scores.values())):
                for metric, value in scores.items():
                    self._record(step, "validation", metric, value)

    @torch.inference_mode()
    def scores(self, module: L.LightningModule) -> dict[str, float]:
        """Validation loss: mean and standard error over windows (nats/token), and bits/byte."""
        assert isinstance(module, LanguageModule)
        module.model.eval()
        # 16 windows at a time keep the logits in cache
        nats = torch.cat([self._nats(module, rows) for rows in self.batch.split(16)]).numpy()
        module.model.train()
        per_window = nats / self.spec.model.context
        spread = float(per_window.std(ddof=1))
        return {
            "loss_nats_per_token": float(per_window.mean()),
            "loss_se_nats_per_token": spread / math.sqrt(len(per_window)),
            "loss_bits_per_byte": bits_per_byte(float(nats.sum()), self.bytes),
        }

    @staticmethod
    def _nats(module: LanguageModule, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.to(module.device)
        return window_nats(module.model(rows[:, :-1]), rows[:, 1:]).cpu()

    def _record(self, step: int, split: str, metric: str, value: float) -> None:
        tokens = step * self.spec.tokens_per_step
        self.rows.append({"step": step, "tokens": tokens, "split": split, "metric": metric, "value": value})

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold for the table of an interrupted run to come out the same."""
        return {"rows": self.rows, "loss_sum": self._loss_sum, "loss_count": self._loss_count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self.rows = list(state_dict["rows"])
        self._loss_sum, self._loss_count = state_dict["loss_sum"], state_dict["loss_count"]


class DivergenceGuard(L.Callback):
    """Stop a run whose training loss is no longer finite, and remember the step: a recorded outcome, not a crash."""

    def __init__(self) -> None:
        self.step: int | None = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss of the step just done."""
        if self.step is None and not torch.isfinite(outputs["loss"]):
            self.step = trainer.global_step
            trainer.should_stop = True


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

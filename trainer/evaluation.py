"""Scores of a model on fixed windows of the validation split."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.losses import bits_per_byte, window_nats
from trainer.model import Decoder
from trainer.spec import RunSpec
from trainer.stream import Windows


def evaluation_steps(steps: int, points: int) -> list[int]:
    """At most ``points`` optimiser steps, evenly spaced in log over the last two decades of a run; the last step always."""
    if points == 1:
        return [steps]
    return sorted({round(step) for step in np.geomspace(max(1.0, steps / 100), steps, points)})


class Validation:
    """Fixed windows of the validation split.

    Parameters
    ----------
    spec : RunSpec
    windows : Windows
        The validation split.
    token_bytes : array (vocab_size,)
        Bytes of UTF-8 text that each token stands for.
    """

    def __init__(self, spec: RunSpec, windows: Windows, token_bytes: NDArray[np.integer]) -> None:
        # a standard error needs two windows
        wanted = max(2, spec.evaluation.tokens // spec.model.context)
        numbers = np.unique(np.linspace(0, len(windows) - 1, min(wanted, len(windows))).astype(np.int64))
        self.batch = windows.gather(numbers)
        self.context = spec.model.context
        self.tokens = self.batch[:, 1:].numel()
        self.bytes = int(np.asarray(token_bytes)[self.batch[:, 1:].numpy()].sum())

    @torch.inference_mode()
    def scores(self, model: Decoder) -> dict[str, float]:
        """Validation loss: mean and standard error over windows (nats/token), and bits/byte."""
        device = model.embedding.weight.device
        model.eval()
        # 16 windows at a time keep the logits in cache
        rows = (rows.to(device) for rows in self.batch.split(16))
        nats = torch.cat([window_nats(model(tokens[:, :-1]), tokens[:, 1:]).cpu() for tokens in rows]).numpy()
        model.train()
        per_window = nats / self.context
        spread = float(per_window.std(ddof=1))
        return {
            "loss_nats_per_token": float(per_window.mean()),
            "loss_se_nats_per_token": spread / math.sqrt(len(per_window)),
            "loss_bits_per_byte": bits_per_byte(float(nats.sum()), self.bytes),
        }

"""Scores of a model on fixed windows of the validation split, each of whose tokens is scored once."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.losses import bits_per_byte, token_nats
from trainer.model import Decoder
from trainer.spec import RunSpec
from trainer.stream import Windows

ALL = "all"
"""What stands for all domains together in the column ``domain``."""
ROWS = 16  # windows at a time, so that the logits stay in cache


def evaluation_steps(spec: RunSpec) -> list[int]:
    """Optimiser steps after which a run is scored: powers of a factor, the first ones if asked for, the last one always.

    Runs of different length on batches of one size are scored at the same token counts.
    """
    chosen = spec.evaluation
    first = range(1, min(chosen.every_step_until, spec.steps) + 1)
    return sorted({*spaced_steps(spec.steps, chosen.factor), *first})


def spaced_steps(last: int, factor: float) -> list[int]:
    """Whole powers of a factor below ``last``, rounded to steps, and ``last`` itself."""
    powers = range(math.floor(math.log(last, factor)) + 1)
    return sorted({step for step in (round(factor**power) for power in powers) if step < last} | {last})


class Validation:
    """Fixed windows of the validation split, the same for every run on one text and context.

    Parameters
    ----------
    windows : Windows
        The validation split.
    tokens : int
        How many tokens to score, about: whole windows, evenly spread over the split.
    token_bytes : array (vocab_size,)
        Bytes of UTF-8 text that each token stands for.
    end : int
        The token that ends a document.
    """

    def __init__(self, windows: Windows, *, tokens: int, token_bytes: NDArray[np.integer], end: int) -> None:
        # a standard error needs two windows
        wanted = max(2, tokens // windows.context)
        numbers = np.unique(np.linspace(0, len(windows) - 1, min(wanted, len(windows))).astype(np.int64))
        self.batch = windows.gather(numbers)
        self.tokens = self.batch[:, 1:].numel()
        self.bytes = int(np.asarray(token_bytes)[self.batch[:, 1:].numpy()].sum())
        self._document = _documents(windows, numbers, end)

    @torch.no_grad()  # not inference mode, which models in parts do not allow
    def nats(self, model: Decoder) -> NDArray[np.float64]:
        """Cross-entropy of every scored token in nats, (n_windows, context)."""
        device = model.embedding.weight.device
        was_training = model.training
        model.eval()
        rows = (rows.to(device) for rows in self.batch.split(ROWS))
        nats = [token_nats(model(tokens[:, :-1]), tokens[:, 1:]).cpu() for tokens in rows]
        model.train(was_training)
        return torch.cat(nats).double().numpy()

    def scores(self, model: Decoder) -> dict[str, float]:
        """Validation loss: mean and its standard error over documents (nats/token), and bits/byte."""
        nats = self.nats(model)
        return {
            "loss_nats_per_token": float(nats.mean()),
            "loss_se_nats_per_token": standard_error(nats.ravel(), self._document),
            "loss_bits_per_byte": bits_per_byte(float(nats.sum()), self.bytes),
        }


def standard_error(values: NDArray[np.float64], group: NDArray[np.int64]) -> float:
    """Standard error of the mean of values that come in groups: the ratio estimator of cluster sampling.

    Parameters
    ----------
    values : array (n,)
    group : array (n,)
        Group of each value, from 0 without gaps, at least two.

    Notes
    -----
    Cochran, Sampling Techniques (1977), equation 6.13, without the finite-population factor.
    """
    excess = np.bincount(group, weights=values - values.mean())
    groups = len(excess)
    return math.sqrt(groups / (groups - 1) * float(excess @ excess)) / len(values)


def _documents(windows: Windows, numbers: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """Document of every scored token (n_windows * context,), from 0 without gaps; its window where all are of one document."""
    domains, starts = windows.places(numbers)
    reach = np.arange(1, windows.context + 1)
    document, before = np.empty((len(numbers), windows.context), dtype=np.int64), 0
    for domain in np.unique(domains):
        mine = domains == domain
        ends = np.flatnonzero(windows.domains[domain] == end)
        document[mine] = before + np.searchsorted(ends, starts[mine, None] + reach)
        before += len(ends) + 1
    _, document = np.unique(document.ravel(), return_inverse=True)
    return document if document[-1] > 0 else np.repeat(np.arange(len(numbers)), windows.context)

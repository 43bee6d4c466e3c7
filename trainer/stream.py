"""Batches as a pure function of (seed, step): what a run sees does not depend on how often it was interrupted.

A split is cut into windows of ``context`` tokens; each epoch visits every window once, in an order drawn from (seed, epoch)
alone. Nothing repeats within an epoch, and resuming needs one integer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Windows:
    """Windows of ``context + 1`` tokens (inputs and the tokens that follow) over one split, several domains end to end.

    Parameters
    ----------
    domains : sequence of arrays (n_tokens,)
        Token ids of each domain, usually memory-mapped.
    context : int
        Inputs a window, in tokens.
    """

    def __init__(self, domains: Sequence[NDArray[np.integer]], context: int) -> None:
        self.domains = domains
        self.context = context
        counts = [max(0, (len(tokens) - 1) // context) for tokens in domains]
        self.ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def gather(self, numbers: NDArray[np.int64]) -> Tensor:
        """Token ids (n, context + 1) of the windows with these numbers."""
        which = np.searchsorted(self.ends, numbers, side="right")
        starts = (numbers - np.concatenate(([0], self.ends))[which]) * self.context
        reach = np.arange(self.context + 1)
        rows = np.empty((len(numbers), self.context + 1), dtype=np.int64)
        for domain in np.unique(which):
            mine = which == domain
            rows[mine] = self.domains[domain][starts[mine, None] + reach]
        return torch.from_numpy(rows)


class StepStream:
    """Training batches, numbered by optimiser step.

    Parameters
    ----------
    windows : Windows
    batch_sequences : int
        Windows a step, over all devices.
    seed : int
    rank, world_size : int
        This device and the number of devices; each takes its share of the same global batch.
    """

    def __init__(self, windows: Windows, batch_sequences: int, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.windows = windows
        self.batch_sequences = batch_sequences
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.step = 0
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> Tensor:
        """Token ids (batch_sequences / world_size, context + 1) of one step."""
        first = step * self.batch_sequences
        samples = np.arange(first + self.rank, first + self.batch_sequences, self.world_size)
        epochs, places = np.divmod(samples, len(self.windows))
        numbers = np.empty_like(samples)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            numbers[mine] = self._permutation(int(epoch))[places[mine]]
        return self.windows.gather(numbers)

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield self.batch(self.step)
            self.step += 1

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.windows))
            self._epoch = epoch
        return self._order

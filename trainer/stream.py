"""Batches as a pure function of (seed, number): what a run sees does not depend on how often it was interrupted.

A split is cut into windows of ``context`` tokens; each epoch visits every window once, in an order drawn from (seed, epoch)
alone. Nothing repeats within an epoch, and resuming needs one integer.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.spec import RunSpec


class Windows:
    """Windows of ``context + 1`` tokens (inputs and the tokens that follow) over one split, several domains end to end.

    Parameters
    ----------
    domains : sequence of arrays (n_tokens,)
        Token ids of each domain, usually memory-mapped.
    context : int
        Inputs a window, in tokens.
    chosen : mapping, optional
        Number of a domain -> the windows that are left of it (n,), numbered within the domain; the others keep all.
    """

    def __init__(
        self,
        domains: Sequence[NDArray[np.integer]],
        context: int,
        *,
        chosen: Mapping[int, NDArray[np.int64]] | None = None,
    ) -> None:
        self.domains = domains
        self.context = context
        self.chosen = dict(chosen or {})
        counts = [max(0, (len(tokens) - 1) // context) for tokens in domains]
        self.ends = np.cumsum([len(self.chosen.get(domain, range(count))) for domain, count in enumerate(counts)])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def places(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Domain (n,) of the windows with these numbers, and where in it they start (n,)."""
        domains = np.searchsorted(self.ends, numbers, side="right")
        within = numbers - np.concatenate(([0], self.ends))[domains]
        for domain, windows in self.chosen.items():
            mine = domains == domain
            within[mine] = windows[within[mine]]
        return domains, within * self.context

    def gather(self, numbers: NDArray[np.int64]) -> Tensor:
        """Token ids (n, context + 1) of the windows with these numbers."""
        domains, starts = self.places(numbers)
        reach = np.arange(self.context + 1)
        rows = np.empty((len(numbers), self.context + 1), dtype=np.int64)
        for domain in np.unique(domains):
            mine = domains == domain
            rows[mine] = self.domains[domain][starts[mine, None] + reach]
        return torch.from_numpy(rows)


class Order(Protocol):
    """Which window each training sample is, as a pure function of the sample's number."""

    def numbers(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows (n,) of the samples with these numbers (n,)."""
        ...


class Shuffled:
    """All windows once an epoch, in an order drawn from (key, epoch) alone.

    Parameters
    ----------
    size : int
        Number of windows.
    key : tuple of int
        Seeds the orders.
    """

    def __init__(self, size: int, key: tuple[int, ...]) -> None:
        self.size = size
        self.key = key
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def numbers(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows (n,) of the samples with these numbers (n,)."""
        epochs, places = np.divmod(samples, self.size)
        numbers = np.empty_like(samples)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            numbers[mine] = self._permutation(int(epoch))[places[mine]]
        return numbers

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._order = np.random.default_rng((*self.key, epoch)).permutation(self.size)
            self._epoch = epoch
        return self._order


class Mixture:
    """Domains in given shares: at every sample, each has had its share to within one window or so.

    The i-th window of a domain is due at (i + 1/2) / share, and windows come in the order in which they are due. Within a
    domain every window comes once an epoch, in an order that does not depend on the other domains.

    Parameters
    ----------
    windows : Windows
        Of the mixture's domains, in its order.
    shares : mapping
        Domain -> share of the samples; they sum to 1.
    seed : int
    order : int
        Draws other orders from the same seed.
    """

    def __init__(self, windows: Windows, shares: Mapping[str, float], *, seed: int, order: int = 0) -> None:
        self.shares = np.array(list(shares.values()))
        self.firsts = np.concatenate(([0], windows.ends[:-1]))
        sizes = np.diff(windows.ends, prepend=0)
        key = (seed, order) if order else (seed,)
        self.orders = [Shuffled(int(size), (*key, crc32(name.encode()))) for size, name in zip(sizes, shares, strict=True)]
        self._domain, self._place = self._due(1024)

    def numbers(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows (n,) of the samples with these numbers (n,)."""
        if samples.max() >= len(self._domain):
            self._domain, self._place = self._due(2 * int(samples.max()))
        domains, places = self._domain[samples], self._place[samples]
        numbers = np.empty_like(samples)
        for domain in np.unique(domains):
            mine = domains == domain
            numbers[mine] = self.firsts[domain] + self.orders[domain].numbers(places[mine])
        return numbers

    def _due(self, samples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Domain (samples,) of the first samples, and how many windows of that domain came before each (samples,)."""
        # among n samples no domain is more than the number of domains ahead of its share
        counts = np.ceil((samples + len(self.shares)) * self.shares).astype(np.int64)
        domain = np.repeat(np.arange(len(counts)), counts)
        place = np.concatenate([np.arange(count) for count in counts])
        first = np.lexsort((domain, (place + 0.5) / self.shares[domain]))[:samples]
        return domain[first], place[first]


class StepStream:
    """Training batches by their number.

    Parameters
    ----------
    windows : Windows
    order : Order
    sequences : int
        Windows a batch, over all devices.
    rank, world_size : int
        This device and the number of devices; each takes its share of the same global batch.
    """

    def __init__(self, windows: Windows, order: Order, sequences: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.windows = windows
        self.order = order
        self.sequences = sequences
        self.rank = rank
        self.world_size = world_size
        self.position = 0
        """Number of the batch with which iteration goes on."""

    def batch(self, number: int) -> Tensor:
        """Token ids (sequences / world_size, context + 1)."""
        first = number * self.sequences
        samples = np.arange(first + self.rank, first + self.sequences, self.world_size)
        return self.windows.gather(self.order.numbers(samples))

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield self.batch(self.position)
            self.position += 1


def make_stream(spec: RunSpec, windows: Windows, *, rank: int = 0, world_size: int = 1) -> StepStream:
    """Batches of a run; a step that accumulates takes several of them.

    Parameters
    ----------
    spec : RunSpec
    windows : Windows
        Of the domains that the run is trained on.
    rank, world_size : int
        This device and the number of devices.
    """
    training = spec.training
    order: Order = Shuffled(len(windows), (spec.seed, training.order) if training.order else (spec.seed,))
    if training.mixture:
        shares = {part.domain: part.share for part in training.mixture}
        order = Mixture(windows, shares, seed=spec.seed, order=training.order)
    return StepStream(windows, order, training.batch_sequences // training.accumulate, rank=rank, world_size=world_size)

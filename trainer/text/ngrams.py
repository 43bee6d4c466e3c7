"""Interpolated Kneser-Ney n-grams of tokens: a cheap model that says how usual a piece of text is.

With c(.) counts, h' the context h without its first token, and D_k one discount an order k,

    p_k(w | h) = max(c(h w) - D_k, 0) / c(h .)  +  D_k N1+(h .) / c(h .)  p_{k-1}(w | h'),      p_0 = 1 / V.

Below the highest order a count c(h w) is the number N1+(. h w) of different tokens before h w. A context that was never seen
leaves the lower order's probability as it is. D_k = n1 / (n1 + 2 n2), from the n-grams counted once and twice.

Source: Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling, Computer Speech and
Language 13, equations 17 and 24; the discount is that of Ney, Essen and Kneser (1994).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
BLOCK = 2**20
"""Tokens scored at a time, so that memory does not grow with the text."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Counts of the n-grams of one order, each packed into one number."""

    grams: Ids
    """Sorted, (n_grams,)."""
    counts: Ids
    contexts: Ids
    """Sorted, (n_contexts,): the n-grams without their last token."""
    totals: Ids
    """c(h .), (n_contexts,)."""
    followers: Ids
    """N1+(h .), (n_contexts,)."""
    discount: float


class KneserNey:
    """N-gram model of a text.

    Parameters
    ----------
    tokens : array (n_tokens,)
        The text to learn from, longer than the order.
    vocab_size : int
    order : int
        Longest n-gram in tokens; fewer where so many do not fit into 63 bits.
    """

    def __init__(self, tokens: NDArray[np.integer], *, vocab_size: int, order: int = 5) -> None:
        self.vocab_size = vocab_size
        bits = max(1, (vocab_size - 1).bit_length())
        self.order = max(1, min(order, 63 // bits))
        self._orders: list[_Order] = []
        grams, counts = np.unique(self._packed(tokens, self.order), return_counts=True)
        for length in range(self.order, 0, -1):
            self._orders.insert(0, _counted(grams, counts, vocab_size))
            # an n-gram of the order below counts once for each token that stands before it
            longer = np.unique(self._packed(tokens, length))
            grams, counts = np.unique(longer % vocab_size ** (length - 1), return_counts=True)

    def nats(self, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
        """Surprise of each token after those before it, -ln p in nats, (n_tokens,)."""
        back = self.order - 1
        blocks = [tokens[max(0, first - back) : first + BLOCK] for first in range(0, len(tokens), BLOCK)]
        return np.concatenate([self._nats(block)[min(i, 1) * back :] for i, block in enumerate(blocks)])

    def _nats(self, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
        p = np.full(len(tokens), 1 / self.vocab_size)
        for length, order in enumerate(self._orders[: len(tokens)], start=1):
            grams, longer = self._packed(tokens, length), p[length - 1 :]
            counts = _looked_up(order.grams, order.counts, grams)
            contexts = grams // self.vocab_size
            totals = _looked_up(order.contexts, order.totals, contexts)
            seen = totals > 0
            followers = _looked_up(order.contexts, order.followers, contexts)[seen]
            kept = np.maximum(counts[seen] - order.discount, 0)
            longer[seen] = (kept + order.discount * followers * longer[seen]) / totals[seen]
        return -np.log(p)

    def _packed(self, tokens: NDArray[np.integer], length: int) -> Ids:
        """Every n-gram of a length as one number, (n_tokens - length + 1,)."""
        packed = np.zeros(len(tokens) - length + 1, dtype=np.int64)
        for place in range(length):
            packed *= self.vocab_size
            packed += tokens[place : place + len(packed)]
        return packed


def _counted(grams: Ids, counts: Ids, vocab_size: int) -> _Order:
    contexts, firsts, followers = np.unique(grams // vocab_size, return_index=True, return_counts=True)
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    # without n-grams counted once and twice, as among the letters of a long text, one half is as good as another discount
    discount = once / (once + 2 * twice) if once and twice else 0.5
    return _Order(grams, counts, contexts, np.add.reduceat(counts, firsts), followers, float(discount))


def _looked_up(keys: Ids, values: Ids, wanted: Ids) -> Ids:
    """Values of the wanted keys, 0 for those that are not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)

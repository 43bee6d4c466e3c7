"""Bin packing of prompts by their lengths: best-fit decreasing in O(n log n). Importing this module imports no torch.

Best-fit decreasing takes the items from the longest to the shortest and puts each into the fullest bin that still holds it. It
needs at most 11/9 of the fewest bins and four more (Johnson, Demers, Ullman, Garey and Graham 1974, SIAM Journal on Computing
3(4)); on lengths of prompts it needs hardly one more.
"""

import heapq
import operator
from collections.abc import Iterable

import numpy as np

from curselab.errors import InputError


def pack(lengths: Iterable[int], capacity: int) -> list[list[int]]:
    """Pack prompts into bins, best-fit decreasing.

    Parameters
    ----------
    lengths : iterable of int
        Tokens of each prompt. A prompt is never cut: one longer than a bin is alone in a bin of its own. Prompts of one length
        keep their order.
    capacity : int
        Tokens that a bin holds.

    Returns
    -------
    list of list of int
        Numbers of the prompts in each bin, longest first, each number once.

    Raises
    ------
    InputError
        A length is no whole number or below 0, or the capacity below 1.

    Notes
    -----
    Items shrink, so a bin that was filled with one length is set aside until they are short enough for what it has left. Open
    bins lie in a heap of residuals, the fullest on top, and bins set aside in another, the emptiest on top; every item moves
    one bin from one heap to the other at most, whatever the capacity.
    """
    sizes, capacity = _lengths(lengths), _capacity(capacity)
    bins: list[list[int]] = []
    held: dict[int, list[int]] = {}  # bins by residual
    fitting: list[int] = []  # residuals of at least the length at hand, a heap
    waiting: list[int] = []  # those set aside, negated, a heap
    for numbers in _by_length(sizes):
        length, first = sizes[numbers[0]], 0
        while waiting and -waiting[0] >= length:
            heapq.heappush(fitting, -heapq.heappop(waiting))
        while first < len(numbers):
            residual = fitting[0] if fitting else capacity
            if fitting:
                number = held[residual].pop()
                if not held[residual]:
                    del held[heapq.heappop(fitting)]
            else:
                number = len(bins)
                bins.append([])
            # the bin stays the fullest that fits until it is too full
            count = max(residual // length, 1) if length else len(numbers)
            taken = numbers[first : first + count]
            bins[number] += taken
            first, residual = first + len(taken), residual - length * len(taken)
            if residual < 0:  # one prompt longer than a bin
                continue
            if residual in held:
                held[residual].append(number)
                continue
            held[residual] = [number]
            heapq.heappush(waiting, -residual)
    return bins


def fewest_bins(lengths: Iterable[int], capacity: int) -> int:
    """Lower bound of the number of bins: all tokens over the capacity; a prompt longer than a bin fills one.

    Parameters
    ----------
    lengths : iterable of int
        Tokens of each prompt.
    capacity : int
        Tokens that a bin holds.
    """
    sizes, capacity = _lengths(lengths), _capacity(capacity)
    longer = sum(size > capacity for size in sizes)
    return longer + -(-sum(size for size in sizes if size <= capacity) // capacity)


def _by_length(sizes: list[int]) -> list[list[int]]:
    """Numbers of the prompts of each length, from the longest."""
    if not sizes:
        return []
    given = np.asarray(sizes)
    order = np.argsort(-given, kind="stable")
    ends = np.flatnonzero(np.diff(given[order])) + 1
    return [numbers.tolist() for numbers in np.split(order, ends)]


def _lengths(lengths: Iterable[int]) -> list[int]:
    try:
        sizes = [operator.index(length) for length in lengths]
    except TypeError:
        raise InputError("lengths: whole numbers of tokens are needed, one a prompt") from None
    if sizes and min(sizes) < 0:
        raise InputError(f"lengths: {min(sizes)} was given, a length of 0 tokens or more is needed")
    return sizes


def _capacity(capacity: int) -> int:
    if capacity < 1:
        raise InputError(f"capacity: {capacity!r} was given, a bin of 1 token or more is needed")
    return capacity

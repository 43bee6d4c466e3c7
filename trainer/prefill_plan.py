r"""Which forward passes prefill a batch of prompts, planned from their lengths alone. Importing this module imports no torch.

A plan is a list of calls; a call has rows of slots, and each prompt lies whole in one row of one call.

==================  ==========================================================================================
method              calls
==================  ==========================================================================================
``padded_left``     one, a prompt a row, on the right of its row; a mask hides the pads (the default of libraries)
``padded_right``    one, a prompt a row, on the left of its row: what comes later is never seen, so no mask
``padded_micro``    the same slots in several calls: time less what large activations cost
``dynamic_padding`` a few prompts at a time, in the order given, each call as wide as its longest prompt
``length_sorted``   the same, longest first
``buckets``         the same, cut where the estimated time is least, by dynamic programming
``prepacking``      one, rows packed as full as the longest prompt is long, and a mask of blocks
``token_stream``    one row each without pads; attention goes prompt by prompt
==================  ==========================================================================================

Prepacking is that of Zhao, Israel, Van den Broeck and Grover (2024), arXiv:2404.09529, but for the last token of each prompt,
which their code leaves to the first step of decoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from curselab.errors import InputError
from trainer.packing import pack

Method = Literal[
    "padded_left",
    "padded_right",
    "padded_micro",
    "dynamic_padding",
    "length_sorted",
    "buckets",
    "prepacking",
    "token_stream",
]
METHODS: tuple[Method, ...] = get_args(Method)
LIMITED: tuple[Method, ...] = ("padded_micro", "dynamic_padding", "length_sorted", "buckets", "token_stream")
"""Methods of several calls, which a budget of slots limits."""

_BUDGET = 4096
_STREAM = 1024, 2048

_LARGEST_KEPT = 2**25
"""Bytes from which on glibc hands every block back to the kernel (upper limit of M_MMAP_THRESHOLD, mallopt(3))."""


class Place(NamedTuple):
    """Where a prompt lies in a call."""

    prompt: int
    row: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Call:
    """One forward pass."""

    rows: int
    width: int
    attention: Literal["causal", "masked", "by_prompt"]
    """One causal kernel over whole rows; one with a dense mask that keeps prompts apart; or a causal one a prompt."""
    places: tuple[Place, ...]

    @property
    def tokens(self) -> int:
        """Slots of all rows, pads included."""
        return self.rows * self.width

    @property
    def pairs(self) -> int:
        """Pairs of tokens for which attention is computed: the causal kernel leaves out what comes later, a mask does not."""
        if self.attention == "masked":
            return self.rows * self.width**2
        if self.attention == "causal":
            return self.rows * _half(self.width)
        return sum(_half(place.length) for place in self.places)

    @property
    def kernels(self) -> int:
        """Attention kernels a layer."""
        return len(self.places) if self.attention == "by_prompt" else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time of a forward pass by what it computes; the time of one token is the unit."""

    pair: float = 1 / 1536
    """A pair of tokens in attention; by FLOP it is one over six times the width of a usual block."""
    call: float = 16.0
    """What a call costs whatever is in it."""

    def __post_init__(self) -> None:
        if self.pair < 0 or self.call < 0:
            raise InputError(f"cost: pair {self.pair!r} and call {self.call!r} were given, both are 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a plan computes; times follow from it."""

    tokens: int
    """Slots, pads included."""
    large_bytes: int = 0
    """Of a block's activations, in tensors so large that their memory is fetched from the kernel anew."""
    causal_pairs: int
    """Pairs of tokens in attention of causal kernels, a head and layer."""
    masked_pairs: int = 0
    """The same under a dense mask, seen or not."""
    calls: int = 0
    """Forward passes."""
    kernels: int = 0
    """Attention kernels a layer."""


def activations(width: int, ffn_width: int, qkv_width: int) -> tuple[int, ...]:
    """Features a slot of each tensor that a gated block makes: about 20 of the width are norms, rotations and sums."""
    return (qkv_width, 2 * ffn_width, ffn_width, ffn_width, *[width] * 20)


def work(calls: Sequence[Call], *, features: Sequence[int] = ()) -> Work:
    """Count what calls compute.

    Parameters
    ----------
    calls : sequence of Call
    features : sequence of int
        Of each tensor that a block makes (:func:`activations`), each of 4 bytes.
    """
    masked = [call.attention == "masked" for call in calls]
    tensors = [4 * call.tokens * each for call in calls for each in features]
    return Work(
        tokens=sum(call.tokens for call in calls),
        large_bytes=sum(size for size in tensors if size >= _LARGEST_KEPT),
        causal_pairs=sum(call.pairs for call, hidden in zip(calls, masked, strict=True) if not hidden),
        masked_pairs=sum(call.pairs for call, hidden in zip(calls, masked, strict=True) if hidden),
        calls=len(calls),
        kernels=sum(call.kernels for call in calls),
    )


def least_work(lengths: Sequence[int]) -> Work:
    """Count what no method can do without: every real token, and attention within its prompt."""
    return Work(tokens=sum(lengths), causal_pairs=sum(map(_half, lengths)))


def plan(lengths: Sequence[int], method: Method, *, budget: int | None = None, cost: Cost | None = None) -> tuple[Call, ...]:
    """Plan the forward passes of a batch of prompts.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each prompt, 1 or more.
    method : str
        One of ``METHODS``.
    budget : int, optional
        Slots of a call at most; a prompt that is longer has a call of its own. Methods with a single call have none. 4,096
        when left out; of a token stream a quarter of its tokens, but 1,024 at least and 2,048 at most: its activations then
        take less memory than its caches, and its matrices are large enough.
    cost : Cost, optional
        Of ``buckets``.

    Raises
    ------
    InputError
        Unknown method, an empty prompt, or a bad budget.
    """
    if method not in METHODS:
        raise InputError(f"method: {method!r} was given (allowed: {', '.join(METHODS)})")
    if budget is not None and (method not in LIMITED or budget < 1):
        raise InputError(f"budget: {budget!r} was given for {method}, 1 or more for one of {', '.join(LIMITED)}")
    if lengths and min(lengths) < 1:
        raise InputError(f"lengths: {min(lengths)} was given, a prompt has 1 token or more")
    if not lengths:
        return ()
    numbers = list(range(len(lengths)))
    if method == "padded_left":
        return (_padded(numbers, lengths, left=True),)
    if method == "padded_right":
        return (_padded(numbers, lengths),)
    if method == "prepacking":
        return (_packed(pack(lengths, max(lengths)), lengths, "masked"),)
    if method == "token_stream":
        least, most = _STREAM
        chunk = min(max(sum(lengths) // 4, least), most) if budget is None else budget
        return tuple(_packed([prompts], lengths, "by_prompt") for prompts in pack(lengths, chunk))
    budget = _BUDGET if budget is None else budget
    if method == "padded_micro":
        rows = max(1, budget // max(lengths))
        groups = [numbers[first : first + rows] for first in range(0, len(numbers), rows)]
        return tuple(_padded(group, lengths, width=max(lengths)) for group in groups)
    if method != "dynamic_padding":
        numbers.sort(key=lambda number: -lengths[number])
    cut = _cheapest(numbers, lengths, budget, cost or Cost()) if method == "buckets" else _filled(numbers, lengths, budget)
    return tuple(_padded(group, lengths) for group in cut)


def _half(length: int) -> int:
    return length * (length + 1) // 2


def _padded(numbers: Sequence[int], lengths: Sequence[int], *, width: int = 0, left: bool = False) -> Call:
    """One prompt a row, as wide as the longest of them when no width is given."""
    width = width or max(lengths[number] for number in numbers)
    starts = [width - lengths[number] if left else 0 for number in numbers]
    places = [Place(number, row, starts[row], lengths[number]) for row, number in enumerate(numbers)]
    return Call(len(numbers), width, "masked" if any(starts) else "causal", tuple(places))


def _packed(bins: Sequence[Sequence[int]], lengths: Sequence[int], attention: Literal["masked", "by_prompt"]) -> Call:
    """Prompts of each bin one after another in a row."""
    places = []
    for row, numbers in enumerate(bins):
        ends = np.cumsum([lengths[number] for number in numbers]).tolist()
        places += [Place(n, row, end - lengths[n], lengths[n]) for n, end in zip(numbers, ends, strict=True)]
    width = max(place.start + place.length for place in places)
    return Call(len(bins), width, attention, tuple(places))


def _filled(numbers: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Groups of prompts in their order, each as large as the budget of padded slots allows."""
    groups: list[list[int]] = []
    width = 0
    for number in numbers:
        width = max(width, lengths[number])
        if groups and (len(groups[-1]) + 1) * width <= budget:
            groups[-1].append(number)
        else:
            groups.append([number])
            width = lengths[number]
    return groups


def _cheapest(numbers: Sequence[int], lengths: Sequence[int], budget: int, cost: Cost) -> list[list[int]]:
    """Groups of prompts, longest first, that cost least together."""
    widths = np.array([lengths[number] for number in numbers])
    a_row = widths + cost.pair * widths * (widths + 1) / 2
    least = np.zeros(len(numbers) + 1)  # cost of the first so many
    begins = np.zeros(len(numbers) + 1, dtype=int)  # of the last group of them
    for end in range(1, len(numbers) + 1):
        rows = end - np.arange(end)
        total = least[:end] + cost.call + rows * a_row[:end]
        total[(rows * widths[:end] > budget) & (rows > 1)] = np.inf
        begins[end] = int(np.argmin(total))
        least[end] = total[begins[end]]
    groups, end = [], len(numbers)
    while end:
        groups.append(list(numbers[begins[end] : end]))
        end = int(begins[end])
    return groups[::-1]

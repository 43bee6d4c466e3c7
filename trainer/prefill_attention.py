"""Attention of a prefill call: causal rows, a dense mask that keeps prompts apart, or kernels that never see two prompts.

Keys and values may have fewer heads than queries (grouped-query attention, Ainslie et al. 2023, arXiv:2305.13245).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.prefill_plan import Call


class Mix(Protocol):
    """Attention of one layer."""

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        """Mix values, (rows, heads, width, head_dim).

        Parameters
        ----------
        query : Tensor (rows, heads, width, head_dim)
        key, value : Tensor (rows, kv_heads, width, head_dim)
        scale : float, optional
            Of the scores; 1 / sqrt(head_dim) when left out.
        """


class KeyValue(NamedTuple):
    """Keys and values of one layer."""

    key: Tensor
    value: Tensor


class Recorder:
    """Attention of all layers of one pass, which keeps the keys and values that it sees, in the order of the layers.

    Parameters
    ----------
    mix : callable
    """

    def __init__(self, mix: Mix) -> None:
        self.layers: list[KeyValue] = []
        self._mix = mix

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        """Attention of the next layer."""
        self.layers.append(KeyValue(_own(key), _own(value)))
        return self._mix(query, *self.layers[-1], scale)


class Continuation:
    """Attention of one more token of one prompt, to what its cache holds and to itself; the cache grows by it.

    Parameters
    ----------
    layers : sequence of KeyValue
        Each (kv_heads, length, head_dim).
    """

    def __init__(self, layers: tuple[KeyValue, ...]) -> None:
        self._past, self._now = layers, list[KeyValue]()

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        """Attention of the next layer."""
        past = self._past[len(self._now)]
        self._now.append(KeyValue(torch.cat((past.key, key[0]), 1), torch.cat((past.value, value[0]), 1)))
        return sdpa(query, self._now[-1].key[None], self._now[-1].value[None], scale)

    @property
    def layers(self) -> tuple[KeyValue, ...]:
        """The cache with the token, once all layers were called."""
        return tuple(self._now)


def mix_of(call: Call, device: torch.device, dtype: torch.dtype) -> Mix:
    """Attention of a call.

    On a GPU a kernel a prompt would be bound by launches, so prompts by themselves go through one kernel for ragged batches in
    half precision, and through a compiled block mask in others.
    """
    if call.attention == "causal":
        return partial(sdpa, is_causal=True)
    if call.attention == "masked":
        mask = block_mask(call, device=device, dtype=dtype)
        return partial(sdpa, attn_mask=mask)
    if device.type != "cuda":
        return partial(by_prompt, call)
    return ragged(call, device) if dtype in (torch.float16, torch.bfloat16) else flexible(call, device)


def sdpa(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, **how: Any) -> Tensor:
    """PyTorch's kernel, for grouped heads too."""
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=grouped, **how)


def by_prompt(call: Call, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """One causal kernel for each prompt of a single row: nothing but pairs within a prompt is computed."""
    lengths = [place.length for place in call.places]
    cut = zip(*(each.split(lengths, dim=2) for each in (query, key, value)), strict=True)
    mixed = [sdpa(q, k, v, scale, is_causal=True).transpose(1, 2) for q, k, v in cut]
    return torch.cat(mixed, dim=1).transpose(1, 2)  # heads side by side in memory, so that what follows need not copy it


def owners(call: Call) -> Tensor:
    """Number of the prompt in each slot (rows, width), -1 for pads."""
    owner = torch.full((call.rows, call.width), -1)
    for place in call.places:
        owner[place.row, place.start : place.start + place.length] = place.prompt
    return owner


def block_mask(call: Call, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Mask (rows, 1, width, width) added to the scores: 0 within a prompt and not later, minus infinity elsewhere.

    Pads see pads, since a row of the softmax with nothing in it has no value.
    """
    owner = owners(call).to(device)
    seen = (owner[:, :, None] == owner[:, None, :]).tril_()
    return torch.zeros(seen.shape, device=device, dtype=dtype).masked_fill_(~seen, -torch.inf)[:, None]


def ragged(call: Call, device: torch.device) -> Mix:
    """FlashAttention over ragged prompts of a single row."""
    from torch.nn.attention.varlen import varlen_attn

    lengths = torch.tensor([0, *(place.length for place in call.places)], device=device, dtype=torch.int32)
    offsets, longest = lengths.cumsum(0, dtype=torch.int32), max(place.length for place in call.places)

    def mix(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        flat = [each[0].transpose(0, 1) for each in (query, key, value)]  # (width, heads, head_dim)
        how: dict[str, Any] = {"scale": scale, "window_size": (-1, 0), "enable_gqa": query.shape[1] != key.shape[1]}
        mixed = varlen_attn(flat[0], flat[1], flat[2], offsets, offsets, longest, longest, **how)
        assert isinstance(mixed, Tensor)
        return mixed.transpose(0, 1)[None]

    return mix


def flexible(call: Call, device: torch.device) -> Mix:
    """FlexAttention with a block mask that leaves out whole blocks of other prompts (Dong et al. 2024, arXiv:2412.05496)."""
    from torch.nn.attention.flex_attention import create_block_mask

    owner = owners(call)[0].to(device)

    def seen(batch: Tensor, head: Tensor, at: Tensor, other: Tensor) -> Tensor:
        return (owner[at] == owner[other]) & (at >= other)

    blocks = create_block_mask(seen, None, None, call.width, call.width, device=device)

    def mix(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        grouped = query.shape[1] != key.shape[1]
        mixed: Tensor = _compiled_flex()(query, key, value, block_mask=blocks, scale=scale, enable_gqa=grouped)
        return mixed

    return mix


@cache
def _compiled_flex() -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention

    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=True)
    return compiled


def _own(x: Tensor) -> Tensor:
    """Copy a view of something larger, which would be kept alive as a whole."""
    return x if x.untyped_storage().nbytes() == x.nbytes else x.clone()

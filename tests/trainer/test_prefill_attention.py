"""Kernels of attention against softmax written out, one prompt after another."""

import math

import pytest
import torch
from torch import Tensor

from trainer.prefill_attention import Mix, block_mask, by_prompt, flexible, mix_of, owners
from trainer.prefill_plan import METHODS, Call, Method, plan

LENGTHS = [5, 1, 9, 2, 9, 1, 4]
CPU = torch.device("cpu")


def by_hand(call: Call, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    mixed, group = torch.zeros_like(query), query.shape[1] // key.shape[1]
    for place in call.places:
        cut = (place.row, slice(None), slice(place.start, place.start + place.length))
        scores = scale * query[cut] @ key[cut].repeat_interleave(group, 0).mT
        later = torch.ones(place.length, place.length).triu(1).bool()
        mixed[cut] = scores.masked_fill(later, -math.inf).softmax(-1) @ value[cut].repeat_interleave(group, 0)
    return mixed


def assert_mixes(mix: Mix, call: Call, *, kv_heads: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(call.rows, heads, call.width, 16, generator=generator) for heads in (4, kv_heads, kv_heads)
    )
    real = owners(call)[:, None, :, None] >= 0
    for scale in (None, 0.1):
        mixed = mix(query, key, value, scale)
        expected = by_hand(call, query, key, value, scale or 16**-0.5)
        torch.testing.assert_close(mixed * real, expected, atol=1e-5, rtol=1e-5)
        assert mixed.isfinite().all()


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("method", METHODS)
def test_attention_of_every_call_is_softmax_within_each_prompt(method: Method, kv_heads: int) -> None:
    for call in plan(LENGTHS, method):
        assert_mixes(mix_of(call, CPU, torch.float32), call, kv_heads=kv_heads)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
def test_a_block_mask_of_flex_attention_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    monkeypatch.setattr("trainer.prefill_attention._compiled_flex", lambda: flex_attention)
    (call,) = plan(LENGTHS, "token_stream")
    assert_mixes(flexible(call, CPU), call, kv_heads=2)


def test_a_kernel_a_prompt_leaves_the_strides_of_the_query() -> None:
    (call,) = plan(LENGTHS, "token_stream")
    query = torch.randn(1, call.width, 4, 16).transpose(1, 2)
    assert by_prompt(call, query, query, query).stride() == query.stride()


def test_the_mask_says_who_sees_whom() -> None:
    """Rows of 4: prompts of 3 and 1 in the first, one of 2 and pads in the second."""
    (call,) = plan([3, 2, 1, 4], "prepacking")
    mask = block_mask(call, device=CPU, dtype=torch.float32)
    assert mask.shape == (3, 1, 4, 4)
    seen = [["".join("x" if value == 0 else "." for value in row) for row in rows] for rows in mask[:, 0].tolist()]
    assert seen == [["x...", "xx..", "xxx.", "xxxx"], ["x...", "xx..", "xxx.", "...x"], ["x...", "xx..", "..x.", "..xx"]]

"""Models of transformers, unmodified and with random weights, against their own forward passes and ``generate``."""

from typing import Any

import pytest
import torch
from torch import Tensor

from curselab.errors import InputError
from tests.trainer.peers import llama
from tests.trainer.test_norms import model_spec, shaken
from trainer.hub_prefill import dynamic_cache, refuse_leaks
from trainer.prefill import continue_greedily, prefill, runner_of
from trainer.prefill_plan import LIMITED, METHODS, Method

transformers = pytest.importorskip("transformers", reason="extra hub")
LENGTHS = (7, 1, 30, 12, 1, 2, 29, 9)
COMMON: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**COMMON),
    "qwen2": lambda: transformers.Qwen2Config(**COMMON),
    "olmo2": lambda: transformers.Olmo2Config(**COMMON),
    "mistral": lambda: transformers.MistralConfig(**COMMON, sliding_window=31),
    "gemma2": lambda: transformers.Gemma2Config(**COMMON, head_dim=8),
}


def small(kind: str) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(CONFIGS[kind]()).eval()
        with torch.no_grad():  # far enough from uniform that continuations differ
            for weight in model.parameters():
                weight.mul_(4 if weight.dim() > 1 else 1)
    return model


def prompts() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(1, 61, (length,), generator=generator) for length in LENGTHS]


def run(model: Any, method: Method) -> Any:
    return prefill(model, prompts(), method=method, budget=40 if method in LIMITED else None)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "olmo2", "mistral"])
def test_every_method_gives_what_each_prompt_alone_gives(kind: str) -> None:
    model = small(kind)
    with torch.no_grad():
        expected = [model(prompt[None], use_cache=True) for prompt in prompts()]
    text = []
    if kind == "llama":
        text = [model.generate(p[None], max_new_tokens=5, do_sample=False)[0, len(p) :].tolist() for p in prompts()]
    for method in METHODS:
        done = run(model, method)
        for number, out in enumerate(expected):
            torch.testing.assert_close(done.logits[number], out.logits[0, -1], atol=1e-5, rtol=1e-5)
            for pair, layer in zip(done.caches[number], out.past_key_values.layers, strict=True):
                torch.testing.assert_close(tuple(pair), (layer.keys[0], layer.values[0]), atol=1e-5, rtol=1e-5)
        if kind == "llama":
            assert continue_greedily(model, done, 5).tolist() == text
    assert model.config._attn_implementation == "sdpa"  # and is left as it was


def test_our_llama_and_theirs_prefill_alike() -> None:
    ours = shaken(model_spec("pre", depth=3, context=40)).float().eval()
    theirs = llama(ours)
    for method in METHODS:
        a, b = run(ours, method), run(theirs, method)
        torch.testing.assert_close(a.logits, b.logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(a.caches[2][1].key, b.caches[2][1].key, atol=1e-5, rtol=1e-5)
    assert runner_of(theirs).cost.pair == pytest.approx(runner_of(ours).cost.pair, rel=0.01)  # their norms count


@pytest.mark.parametrize("numbers", [None, [2], [1, 4], [3, 6, 0]])
def test_generate_goes_on_from_the_cache_that_is_handed_over(numbers: list[int] | None) -> None:
    model = small("llama")
    done = run(model, "token_stream")
    cache, mask = dynamic_cache(done, numbers)
    chosen = list(range(len(LENGTHS))) if numbers is None else numbers
    width = mask.shape[1]
    ids = torch.zeros(len(chosen), width + 1, dtype=torch.long)
    for row, number in enumerate(chosen):
        ids[row, width - LENGTHS[number] : width] = done.prompts[number]
        ids[row, width] = done.logits[number].argmax()
    mask = torch.cat((mask, mask.new_ones(len(chosen), 1)), 1)
    out = model.generate(ids, attention_mask=mask, past_key_values=cache, max_new_tokens=4, do_sample=False)
    assert out[:, width:].tolist() == continue_greedily(model, done, 5)[chosen].tolist()


def test_the_cache_of_one_prompt_is_handed_over_without_a_copy() -> None:
    done = run(small("llama"), "token_stream")
    cache, mask = dynamic_cache(done, [2])
    assert cache.layers[0].keys.data_ptr() == done.caches[2][0].key.data_ptr()
    assert mask.tolist() == [[1] * 30]


def packed() -> tuple[Tensor, Tensor]:
    """Two prompts in one row, and their positions."""
    first, second = prompts()[0], prompts()[3]
    at = torch.cat((torch.arange(7), torch.arange(12)))
    return torch.cat((first, second))[None], at[None]


@torch.no_grad()
def test_transformers_lets_prompts_see_each_other_once_a_cache_is_used() -> None:
    """What the guard is there for; where this fails, transformers has mended it and the guard can go."""
    model, (ids, at) = small("llama"), packed()
    alone = model(prompts()[3][None]).logits[0, -1]
    torch.testing.assert_close(model(ids, position_ids=at, use_cache=False).logits[0, -1], alone, atol=1e-5, rtol=1e-5)
    assert (model(ids, position_ids=at, use_cache=True).logits[0, -1] - alone).abs().max() > 0.1


@torch.no_grad()
def test_a_leak_is_refused_and_what_is_none_is_not() -> None:
    model, (ids, at) = small("llama"), packed()
    mask = torch.zeros(1, 1, 19, 19)
    left = torch.tensor([[0] * 3 + [1] * 16])
    with refuse_leaks(model):
        for cached in ({}, {"use_cache": True}, {"past_key_values": transformers.DynamicCache()}):
            with pytest.raises(InputError, match="position_ids restart within a row while a cache is used"):
                model(ids, position_ids=at, **cached)
        model(ids, position_ids=at, use_cache=False)
        model(ids, position_ids=at, attention_mask=mask)
        model(ids, position_ids=torch.arange(19)[None])
        model(ids, position_ids=(left.cumsum(-1) - 1).clamp(min=0), attention_mask=left)
        model(ids)
        model.generate(ids, attention_mask=left, max_new_tokens=3, do_sample=False)
        prefill(model, prompts())
    model(ids, position_ids=at)  # and afterwards it is the model that it was


def test_what_is_not_plain_causal_attention_is_refused() -> None:
    with pytest.raises(InputError, match="its attention has softcap, attention to all earlier tokens is needed"):
        prefill(small("gemma2"), prompts())
    mistral = small("mistral")
    with pytest.raises(InputError, match="a sliding window of 31 tokens for a prompt of 32"):
        prefill(mistral, [*prompts(), torch.ones(32, dtype=torch.long)])
    assert mistral.config._attn_implementation == "sdpa"
    with pytest.raises(InputError, match="Linear: has no attention that can be replaced"):
        prefill(torch.nn.Linear(2, 2).eval(), prompts())  # type: ignore[arg-type]


def test_a_model_with_layers_of_another_kind_is_refused() -> None:
    config = transformers.Lfm2Config(**COMMON, layer_types=["conv", "full_attention", "conv"])
    hybrid = transformers.AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(InputError, match="1 of 3 layers have attention"):
        prefill(hybrid, prompts())

"""Every method against each prompt alone, through the model's own forward pass."""

import pytest
import torch
from torch import Tensor

from curselab.errors import InputError
from tests.trainer.test_norms import model_spec, shaken
from trainer.model import Decoder, rotate
from trainer.prefill import Prefill, continue_greedily, prefill, runner_of
from trainer.prefill_plan import LIMITED, METHODS, Cost, Method

LENGTHS = (7, 1, 30, 12, 1, 2, 29, 9, 12)
STEPS = 6
MODELS = {
    "llama": {"scheme": "pre"},
    "gpt2": {"scheme": "pre", "positions": "learned", "norm": "layer", "ffn": "gelu"},
    "peri": {"scheme": "peri"},
    "narrowing": {"scheme": "layerscale", "block_heads": (2, 1, 2), "block_ffn_widths": (24, 16, 8)},
}


def decoder(name: str) -> Decoder:
    fields = dict(MODELS[name])
    return shaken(model_spec(str(fields.pop("scheme")), depth=3, context=40, **fields)).float().eval()


def prompts(seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(61, (length,), generator=generator) for length in LENGTHS]


def run(model: Decoder, given: list[Tensor], method: Method) -> Prefill:
    return prefill(model, given, method=method, budget=40 if method in LIMITED else None)


@torch.no_grad()
def alone(model: Decoder, prompt: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]], list[int]]:
    """Last logits, keys and values of every block, and a greedy continuation without a cache."""
    layers, x = [], model.embed(prompt[None])
    cosine, sine = model.cosine[: len(prompt)], model.sine[: len(prompt)]
    for block in model.blocks:
        qkv = block.attention.qkv(block.attention_norm(x) * block.rule.input)
        _, key, value = qkv.view(len(prompt), 3, block.attention.heads, -1).permute(1, 2, 0, 3)
        layers.append((rotate(key, cosine, sine) if block.attention.rotary else key, value))
        x = block(x, cosine, sine)
    text = prompt
    for _ in range(STEPS):
        text = torch.cat((text, model(text[None])[0, -1].argmax()[None]))
    return model(prompt[None])[0, -1], layers, text[len(prompt) :].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_every_method_gives_what_each_prompt_alone_gives(name: str) -> None:
    model, given = decoder(name), prompts()
    expected = [alone(model, prompt) for prompt in given]
    for method in METHODS:
        done = run(model, given, method)
        continued = continue_greedily(model, done, STEPS).tolist()
        for number, (logits, layers, continuation) in enumerate(expected):
            torch.testing.assert_close(done.logits[number], logits, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close([tuple(pair) for pair in done.caches[number]], layers, atol=1e-5, rtol=1e-5)
            assert continued[number] == continuation


@pytest.mark.parametrize("method", METHODS)
def test_no_prompt_sees_another(method: Method) -> None:
    model, given = decoder("llama"), prompts()
    before = run(model, given, method)
    for changed in range(len(given)):
        others = [*given[:changed], (given[changed] + 1) % 61, *given[changed + 1 :]]
        after = run(model, others, method)
        for number in range(len(given)):
            same = torch.equal(before.logits[number], after.logits[number]) and all(
                torch.equal(old.key, new.key) and torch.equal(old.value, new.value)
                for old, new in zip(before.caches[number], after.caches[number], strict=True)
            )
            assert same == (number != changed)


@pytest.mark.parametrize("method", METHODS)
def test_caches_are_views_and_keep_nothing_but_their_call_alive(method: Method) -> None:
    model, given = decoder("llama"), prompts()
    done = run(model, given, method)
    storages = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
        for cache in done.caches
        for pair in cache
        for each in pair
    }
    slots = sum(storages.values()) / (2 * 3 * 16 * 4)  # keys and values, blocks, width, bytes of a float
    padded = dict.fromkeys(("padded_left", "padded_right", "padded_micro"), 9 * 30)
    exact = {**padded, "prepacking": 4 * 30, "token_stream": sum(LENGTHS)}
    if method in exact:
        assert slots == exact[method]
    else:
        assert sum(LENGTHS) <= slots < 9 * 30


def test_the_cost_of_a_model_is_that_of_its_flop() -> None:
    """A usual block has 12 width^2 weights, and two products of its width a pair: 2 / (12 width)."""
    model = Decoder(model_spec("pre", width=48, ffn_width=128, heads=3), 61, seed=0).eval()
    assert runner_of(model).cost.pair == pytest.approx(1 / (6 * 48), rel=0.01)
    assert runner_of(model).cost.call == Cost().call


def test_a_batch_that_cannot_be_run_is_one_line() -> None:
    model = decoder("llama")
    with pytest.raises(InputError, match="prompts: 2 of at most 41 tokens were given, one or more of 1 to 40"):
        prefill(model, [[1, 2], [0] * 41])
    with pytest.raises(InputError, match="prompts: 0 of at most 0"):
        prefill(model, [])
    with pytest.raises(InputError, match="a prompt has 1 token or more"):
        prefill(model, [[1], []])
    with pytest.raises(InputError, match="tokens: 12 was given after a prompt of 30, the model reads 40"):
        continue_greedily(model, prefill(model, prompts()), 12)
    with pytest.raises(InputError, match="is in training mode, evaluation mode is needed"):
        prefill(decoder("llama").train(), prompts())

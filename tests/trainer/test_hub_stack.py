"""Public models by the same probes, on small ones with random weights."""

from pathlib import Path

import pytest
import torch

from curselab.errors import InputError
from tests.trainer.peers import llama
from tests.trainer.test_norms import model_spec, shaken
from trainer.hub_stack import HubStack, load_checkpoint, measure_checkpoint
from trainer.layer_losses import loss_rows
from trainer.layer_streams import stream_rows
from trainer.stack import DecoderStack

transformers = pytest.importorskip("transformers", reason="extra hub")
TOKENS = torch.randint(61, (18, 13), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def both():
    ours = shaken(model_spec("pre", depth=4, embedding_std=0.6)).float()
    return ours, llama(ours)


def test_our_llama_and_theirs_are_measured_alike(both) -> None:
    ours, theirs = both
    for measure in (stream_rows, loss_rows):
        rows, others = (measure(stack, TOKENS) for stack in (DecoderStack(ours), HubStack(theirs)))
        assert [row[:3] for row in others] == [row[:3] for row in rows]
        assert [row.value for row in others] == pytest.approx([row.value for row in rows], rel=2e-4, abs=2e-5)


def test_our_block_and_theirs_are_the_same_to_a_hundred_thousandth(both) -> None:
    ours, theirs = (DecoderStack(both[0]), HubStack(both[1]))
    x = ours.embed(TOKENS[:2, :-1])
    torch.testing.assert_close(theirs.embed(TOKENS[:2, :-1]), x, atol=0, rtol=0)
    for number in range(4):
        after = ours.block(number, x)
        torch.testing.assert_close(theirs.block(number, x), after, atol=1e-5, rtol=1e-5)
        x = after


def small(kind: str):
    common = {"vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    config = {
        "qwen2": lambda: transformers.Qwen2Config(**common, num_key_value_heads=2),
        "gemma2": lambda: transformers.Gemma2Config(**common, num_key_value_heads=2, head_dim=8),
        "olmo2": lambda: transformers.Olmo2Config(**common, num_key_value_heads=2),
        "gpt2": lambda: transformers.GPT2Config(vocab_size=61, n_embd=16, n_layer=3, n_head=2, n_positions=32),
        "neox": lambda: transformers.GPTNeoXConfig(**common, use_parallel_residual=True),
    }[kind]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("kind", ["qwen2", "gemma2", "olmo2", "gpt2", "neox"])
def test_a_model_in_parts_is_the_model(kind: str) -> None:
    model = small(kind)
    stack, inputs, targets = HubStack(model), TOKENS[:3, :-1], TOKENS[:3, 1:]
    assert stack.part_names == (() if kind == "neox" else ("attention", "ffn"))
    with torch.no_grad():
        x = stack.embed(inputs)
        streams = model(inputs, output_hidden_states=True, use_cache=False).hidden_states
        for number in range(3):
            torch.testing.assert_close(x, streams[number])
            parts, after = stack.parts(number, x)
            torch.testing.assert_close(stack.block(number, x), after)
            if parts:
                torch.testing.assert_close(stack.without(number, "ffn", x), parts["attention"].after)
            x = after
        logits = model(inputs, use_cache=False).logits
        expected = logits.logsumexp(-1) - logits.gather(-1, targets[..., None])[..., 0]
        torch.testing.assert_close(stack.nats(x, targets), expected)
    assert len(measure_checkpoint(model, TOKENS)) > 3 * 10
    torch.testing.assert_close(model(inputs, use_cache=False).logits, logits)  # and is left as it was


def test_a_checkpoint_is_loaded_from_a_folder_and_one_of_the_hub_needs_its_commit(tmp_path: Path) -> None:
    small("qwen2").save_pretrained(tmp_path)
    assert HubStack(load_checkpoint(str(tmp_path))).depth == 3
    with pytest.raises(InputError, match="revision 'main' was given, a commit of 40 hex digits"):
        load_checkpoint("someone/model", revision="main")

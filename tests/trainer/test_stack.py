import pytest
import torch

from tests.trainer.test_norms import model_spec, shaken
from trainer.norms import RULES
from trainer.stack import DecoderStack

TOKENS = torch.randint(61, (2, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scheme", RULES)
def test_a_stack_is_the_model_in_parts(scheme: str) -> None:
    model = shaken(model_spec(scheme))
    stack, x = DecoderStack(model), None
    x = stack.embed(TOKENS)
    for number in range(stack.depth):
        parts, after = stack.parts(number, x)
        assert tuple(parts) == stack.part_names
        torch.testing.assert_close(stack.block(number, x), after)
        x = after
    nats = stack.nats(x, TOKENS)
    logits = model(TOKENS)
    torch.testing.assert_close(nats, logits.logsumexp(-1) - logits.gather(-1, TOKENS[..., None])[..., 0])


@pytest.mark.parametrize("scheme", ["pre", "peri", "post", "deepnorm", "layerscale", "rezero"])
def test_a_sub_layer_that_writes_nothing_is_a_block_without_it(scheme: str) -> None:
    x = torch.randn(2, 12, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for part, matrix in (("attention", "attention.out"), ("ffn", "ffn.down")):
        model = shaken(model_spec(scheme))
        stack = DecoderStack(model)
        stack.embed(TOKENS)
        found = stack.without(3, part, x)
        with torch.no_grad():
            model.blocks[3].get_submodule(matrix).weight.zero_()
        torch.testing.assert_close(found, stack.block(3, x))

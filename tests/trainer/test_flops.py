from typing import Literal

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainer.flops import count_parameters, forward_flop_per_token, train_flop
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.spec import OptimizerSpec, RunSpec, TrainingSpec


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("ffn", ["swiglu", "gelu"])
def test_forward_flop_equal_those_torch_counts(depth: int, ffn: Literal["swiglu", "gelu"]) -> None:
    spec = ModelSpec(width=32, depth=depth, heads=2, ffn_width=48, context=16, ffn=ffn)
    model = Decoder(spec, 61, seed=0)
    with (
        FlopCounterMode(display=False) as counter,
        torch.no_grad(),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
    ):
        model(torch.zeros(2, spec.context, dtype=torch.long))
    assert counter.get_total_flops() == 2 * spec.context * forward_flop_per_token(spec, 61)


def test_training_flop_follow_the_convention_of_palm() -> None:
    # 6 N + 12 L d T a token (Chowdhery et al. 2204.02311, appendix B), N without norm gains
    model = ModelSpec(width=512, depth=8, heads=8, ffn_width=1376, context=128)
    spec = RunSpec(model=model, training=TrainingSpec(tokens=16 * 128 * 10), optimizer=OptimizerSpec(learning_rate=1e-3))
    params = count_parameters(model, 256)
    per_token = 6 * (params.total - params.norms) + 12 * model.depth * model.width * model.context
    assert train_flop(spec) == per_token * spec.training.tokens


def test_a_teacher_adds_one_forward_pass() -> None:
    model = ModelSpec(width=32, depth=1, heads=2, ffn_width=48)
    spec = RunSpec(model=model, training=TrainingSpec(tokens=2048), optimizer=OptimizerSpec(learning_rate=1e-3))
    assert train_flop(spec, teacher=model) == pytest.approx(train_flop(spec) * 4 / 3)

from pathlib import Path

import pytest
import torch

from curselab.errors import InputError
from trainer import memory
from trainer.footprint import BASE, estimate_bytes
from trainer.losses import lm_loss
from trainer.memory import machine_bytes, require_memory
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.spec import TrainingSpec


@pytest.mark.parametrize(
    ("width", "depth", "vocab", "accumulate"), [(64, 4, 256, 1), (128, 2, 256, 1), (32, 4, 4096, 1), (64, 4, 256, 4)]
)
def test_the_estimate_is_within_a_factor_of_two_of_what_autograd_keeps(
    spec, width: int, depth: int, vocab: int, accumulate: int
) -> None:
    shape = ModelSpec(width=width, depth=depth, heads=width // 32, ffn_width=8 * width // 3, context=128)
    chosen = spec(model=shape, training=TrainingSpec(tokens=16 * 128, batch_sequences=16, accumulate=accumulate))
    model = Decoder(shape, vocab, seed=0)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    tokens = torch.zeros(16 // accumulate, 128, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        lm_loss(model(tokens), tokens).backward()
    weights = sum(p.numel() * 4 for p in model.parameters())
    # weights are among what is kept; their gradient and moments are not, nor is the gradient of the logits
    measured = sum(kept.values()) + 3 * weights + 4 * tokens.numel() * vocab
    assert 0.5 < (estimate_bytes(chosen, vocab) - BASE) / measured < 2


def test_a_run_that_cannot_fit_is_one_line_with_the_estimate(spec) -> None:
    require_memory(spec(), 256)
    giant = spec(model=ModelSpec(width=65536, depth=100, heads=512, ffn_width=174_760, context=32))
    with pytest.raises(
        InputError, match=rf"run {giant.run_id}: needs about \d+\.\d GB of memory, \d+\.\d GB are there"
    ) as caught:
        require_memory(giant, 256)
    assert "\n" not in str(caught.value)


def test_the_limit_of_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine_bytes()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CGROUP", limit)
    limit.write_text("1000000\n")
    assert machine_bytes() == 1_000_000
    limit.write_text("max\n")
    assert machine_bytes() >= whole

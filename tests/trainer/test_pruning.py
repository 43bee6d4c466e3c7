"""Structured pruning against masks that autograd differentiates, and against models that lost nothing."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.flops import count_parameters
from trainer.losses import lm_loss, text_loss
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.pruning import Importance, importance, pruned
from trainer.run import run, run_in_folder
from trainer.spec import ObjectiveSpec, StartSpec

LLAMA = ModelSpec(width=16, depth=2, heads=4, ffn_width=24, context=12)
GPT2 = replace(LLAMA, norm="layer", positions="learned", ffn="gelu", tie_embeddings=False)
VOCAB = 13


def text(seed: int, rows: int = 3) -> torch.Tensor:
    return torch.randint(VOCAB, (rows, LLAMA.context + 1), generator=torch.Generator().manual_seed(seed))


def by_autograd(model: Decoder, batch: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """Gradients of masks that really multiply."""
    spec, hooks = model.spec, []
    heads = [torch.ones(spec.heads, requires_grad=True) for _ in model.blocks]
    units = [torch.ones(spec.ffn_width, requires_grad=True) for _ in model.blocks]
    features = torch.ones(spec.width, requires_grad=True)
    writers = [model.embedding]
    for block, xi, nu in zip(model.blocks, heads, units, strict=True):
        each = xi.repeat_interleave(spec.features_per_head)
        hooks.append(block.attention.out.register_forward_pre_hook(lambda _, x, mask=each: (x[0] * mask,)))
        hooks.append(block.ffn.down.register_forward_pre_hook(lambda _, x, mask=nu: (x[0] * mask,)))
        writers += [block.attention.out, block.ffn.down]
    hooks += [writer.register_forward_hook(lambda _, inputs, x: x * features) for writer in writers]
    lm_loss(model(batch[:, :-1]), batch[:, 1:]).backward()
    for hook in hooks:
        hook.remove()
    return [mask.grad for mask in heads], [mask.grad for mask in units], features.grad


@pytest.mark.parametrize("spec", [LLAMA, GPT2])
def test_importances_are_mean_absolute_gradients_of_masks(spec: ModelSpec) -> None:
    model, batches = Decoder(spec, VOCAB, seed=0), [text(seed) for seed in range(4)]
    found = importance(model, batches)
    each = [by_autograd(model, batch) for batch in batches]
    for i in range(spec.depth):
        torch.testing.assert_close(found.heads[i], torch.stack([heads[i].abs() for heads, _, _ in each]).mean(0))
        torch.testing.assert_close(found.units[i], torch.stack([units[i].abs() for _, units, _ in each]).mean(0))
    torch.testing.assert_close(found.features, torch.stack([features.abs() for _, _, features in each]).mean(0))
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("spec", [LLAMA, GPT2])
def test_nothing_pruned_is_the_same_model_bit_for_bit(spec: ModelSpec) -> None:
    model = Decoder(spec, VOCAB, seed=0)
    same = pruned(model, importance(model, [text(0)]), 0.0)
    assert count_parameters(same.spec, VOCAB).total == count_parameters(spec, VOCAB).total
    with torch.no_grad():
        assert torch.equal(model(text(1)[:, :-1]), same(text(1)[:, :-1]))


@pytest.mark.parametrize("spec", [LLAMA, GPT2])
@pytest.mark.parametrize("sparsity", [0.1, 0.6, 0.95])
def test_counts_equal_the_weights_that_are_left_about_as_many_as_asked_for(spec: ModelSpec, sparsity: float) -> None:
    model = Decoder(replace(spec, width=64, ffn_width=96), VOCAB, seed=0)
    small = pruned(model, importance(model, [text(0)]), sparsity)
    counts, before = count_parameters(small.spec, VOCAB), count_parameters(model.spec, VOCAB)
    assert counts.total == sum(p.numel() for p in small.parameters())
    left = (counts.attention + counts.ffn) / (before.attention + before.ffn)
    assert left == pytest.approx(1 - sparsity, abs=0.06)
    assert small(text(0)[:, :-1]).shape == (3, LLAMA.context, VOCAB)


def test_what_is_left_are_the_most_important_parts_of_all_blocks_together() -> None:
    model = Decoder(replace(LLAMA, ffn_width=8), VOCAB, seed=0)
    chosen = Importance(
        heads=(torch.tensor([30.0, 10.0, 40.0, 0.0]), torch.tensor([0.0, 0.0, 0.0, 5.0])),
        units=(torch.tensor([8.0, 6.0, 0, 0, 0, 0, 0, 0]), torch.tensor([0, 0, 0, 0, 0, 0, 0.03, 0.04])),
        features=torch.arange(16.0),
    )
    small = pruned(model, chosen, 0.75)  # half of the heads, of the units and of the features
    assert small.spec.block_heads == (3, 1)
    features = torch.arange(8, 16)
    assert torch.equal(small.embedding.weight, model.embedding.weight[:, features])
    qkv = model.blocks[1].attention.qkv.weight.view(3, 4, 4, 16)[:, [3]][..., features]
    assert torch.equal(small.blocks[1].attention.qkv.weight, qkv.reshape(12, 8))
    assert small.spec.block_ffn_widths[0] >= 2
    assert small.spec.block_ffn_widths[1] >= 2
    assert torch.equal(small.blocks[1].ffn.down.weight[:, -2:], model.blocks[1].ffn.down.weight[features][:, [6, 7]])


def test_pruning_the_important_parts_hurts_more(spec, text, tmp_path: Path) -> None:
    base = spec(model=ModelSpec(width=32, depth=2, heads=4, ffn_width=48, context=32), keep_weights=True)
    trained = run(base, sweep="s", stage="t", text=text, runs=tmp_path).model
    (domain,) = text.domains
    tokens = torch.from_numpy(text.tokens(domain, "train")[: 64 * 33].astype("int64")).view(64, 33)
    scores = importance(trained, tokens.split(8))
    reversed_scores = Importance(
        tuple(1 / each for each in scores.heads), tuple(1 / each for each in scores.units), 1 / scores.features
    )
    with torch.no_grad():
        whole = text_loss(trained, tokens)
        kept, lost = (text_loss(pruned(trained, each, 0.5), tokens) for each in (scores, reversed_scores))
    assert whole < kept < lost


def test_a_student_is_cut_out_of_its_teacher(spec, text, tmp_path: Path) -> None:
    shape = ModelSpec(width=32, depth=2, heads=4, ffn_width=48, context=32)
    teacher = spec(model=shape, keep_weights=True)
    run_in_folder(teacher, sweep="s", stage="teacher", runs=tmp_path, text=text)
    student = spec(
        model=shape,
        start=StartSpec(base=teacher.run_id, sparsity=0.6),
        objective=ObjectiveSpec(kind="distill", teacher=teacher.run_id, distill_weight=0.5),
        keep_weights=True,
    )
    summary = run_in_folder(student, sweep="s", stage="t", runs=tmp_path, text=text)
    result = run(student, sweep="s", stage="t", text=text, runs=tmp_path)
    assert result.summary == summary
    assert summary["params_total"] == sum(p.numel() for p in result.model.parameters())
    assert summary["params_non_embedding"] < 0.45 * summary["teacher_params_non_embedding"]
    assert math.isfinite(summary["loss_nats_per_token"])
    # and it can teach in turn
    pupil = spec(objective=ObjectiveSpec(kind="distill", teacher=student.run_id), seed=3)
    assert run(pupil, sweep="s", stage="t", text=text, runs=tmp_path).summary["teacher_id"] == student.run_id

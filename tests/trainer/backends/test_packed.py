"""Packs against the reference backend, and members against their own company."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.backends import backend
from trainer.backends.packed import Member
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.packed_model import packed_losses
from trainer.run import run_together
from trainer.spec import OptimizerSpec, PlannedRun, RunSpec, ScheduleSpec, TrainingSpec
from trainer.training import RunResult, prepare

LLAMA = ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32)
GPT2 = replace(LLAMA, norm="layer", positions="learned", ffn="gelu", ffn_width=64)
MODELS = [
    LLAMA,
    GPT2,
    replace(LLAMA, tie_embeddings=False),
    replace(GPT2, positions="rotary"),
    replace(GPT2, width=6, heads=1),
]
FILES = ("weights.safetensors", "metrics.parquet", "summary.json")


def train(name: str, specs: list[RunSpec], text, runs: Path) -> list[RunResult]:
    trainings = [prepare(spec, text=text, runs=runs) for spec in specs]
    backend(name)(trainings)
    return [training.result(sweep="s", stage="t") for training in trainings]


def weights(result: RunResult) -> torch.Tensor:
    assert result.model is not None
    return torch.cat([parameter.detach().flatten() for parameter in result.model.parameters()])


def unlike(base: RunSpec) -> list[RunSpec]:
    """Runs of one shape that differ in all else that a pack may hold."""
    longer = replace(base.training, tokens=31 * base.tokens_per_step)
    return [
        base,
        replace(base, seed=1, training=longer, optimizer=OptimizerSpec(learning_rate=3e-3, grad_clip=0.1)),
        replace(base, seed=2, schedule=ScheduleSpec(kind="wsd"), optimizer=OptimizerSpec(learning_rate=2e-2, grad_clip=0.0)),
        replace(base, seed=2, optimizer=OptimizerSpec(learning_rate=1e-2, beta1=0.8, weight_decay=1.0)),
    ]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("accumulate", [1, 4])
def test_twenty_steps_equal_the_reference_to_rounding(spec, text, tmp_path: Path, model: ModelSpec, accumulate: int) -> None:
    training = TrainingSpec(tokens=20 * 8 * 32, batch_sequences=8, accumulate=accumulate)
    specs = unlike(spec(model=model, training=training))
    for packed, chosen in zip(train("packed", specs, text, tmp_path), specs, strict=True):
        (alone,) = train("lightning", [chosen], text, tmp_path)
        assert float((weights(packed) - weights(alone)).norm()) <= 1e-5 * float(weights(alone).norm())
        assert [{**row, "value": None} for row in packed.metrics] == [{**row, "value": None} for row in alone.metrics]
        values = [[row["value"] for row in result.metrics] for result in (packed, alone)]
        assert values[0] == pytest.approx(values[1], rel=1e-5)


@pytest.mark.parametrize("scheme", ["lns", "peri", "mix", "branch_sqrt"])
def test_a_pack_gives_every_scheme_the_bits_of_a_run_alone(spec, text, tmp_path: Path, scheme: str) -> None:
    model = replace(LLAMA, depth=4, scheme=scheme, initialisation="plain")
    specs = [spec(model=model, seed=seed) for seed in (0, 1)]
    for packed, chosen in zip(train("packed", specs, text, tmp_path), specs, strict=True):
        (alone,) = train("lockstep", [chosen], text, tmp_path)
        assert torch.equal(weights(packed), weights(alone))
        assert packed.metrics == alone.metrics


@pytest.mark.parametrize("model", MODELS)
def test_the_bits_of_a_member_do_not_depend_on_its_company(spec, text, tmp_path: Path, model: ModelSpec) -> None:
    specs = unlike(spec(model=model))
    alone = [train("packed", [chosen], text, tmp_path)[0] for chosen in specs]
    for order in ([0, 1, 2, 3], [3, 0], [2, 1, 0]):
        for number, result in zip(order, train("packed", [specs[i] for i in order], text, tmp_path), strict=True):
            assert torch.equal(weights(result), weights(alone[number]))
            assert result.metrics == alone[number].metrics


def test_a_member_that_diverges_is_recorded_and_leaves_the_others_alone(spec, text, tmp_path: Path) -> None:
    good = [spec(seed=seed, training=TrainingSpec(tokens=40 * 8 * 32, batch_sequences=8)) for seed in (0, 1)]
    wild = replace(good[0], optimizer=OptimizerSpec(learning_rate=1e30, grad_clip=0.0))
    first, diverged, second = train("packed", [good[0], wild, good[1]], text, tmp_path)
    (alone,) = train("lightning", [wild], text, tmp_path)
    assert diverged.summary["status"] == "diverged"
    assert diverged.summary == alone.summary
    for result, chosen in ((first, good[0]), (second, good[1])):
        assert torch.equal(weights(result), weights(train("packed", [chosen], text, tmp_path)[0]))


def test_members_go_on_from_where_each_of_them_was(spec, text, tmp_path: Path, monkeypatch) -> None:
    specs = [replace(chosen, keep_weights=True) for chosen in unlike(spec())]
    planned = [PlannedRun("s", "t", chosen) for chosen in specs]
    run_together(planned, runs=tmp_path / "undisturbed", text=text)
    steps = []

    def fails_now_and_then(member: Member, finish=Member.finish_step) -> None:
        finish(member)
        steps.append(member.step)
        if len(steps) in (26, 60):
            raise KeyboardInterrupt

    monkeypatch.setattr(Member, "finish_step", fails_now_and_then)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_together(planned, runs=tmp_path / "disturbed", text=text, checkpoint_every_s=0.0)
    (tmp_path / "disturbed" / specs[3].run_id / "checkpoint.ckpt").unlink()
    outcomes = run_together(planned, runs=tmp_path / "disturbed", text=text)
    assert all(outcome.summary is not None for outcome in outcomes.values())
    for chosen in specs:
        folders = (tmp_path / "undisturbed" / chosen.run_id, tmp_path / "disturbed" / chosen.run_id)
        for name in FILES:
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_all_at_once_equals_one_by_one(model: ModelSpec) -> None:
    models = [Decoder(model, 256, seed=seed) for seed in range(3)]
    tokens = torch.randint(256, (3, 4, 33), generator=torch.Generator().manual_seed(0))
    losses, gradients = [], []
    for one_by_one in (True, False):
        found = packed_losses(models, tokens, one_by_one=one_by_one)
        parameters = [parameter for model in models for parameter in model.parameters()]
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(found.sum(), parameters)]))
        losses.append(found)
    torch.testing.assert_close(*losses)
    assert float((gradients[0] - gradients[1]).norm()) <= 1e-5 * float(gradients[0].norm())


def test_a_large_vocabulary_is_packed_too() -> None:
    models = [Decoder(LLAMA, 2000, seed=seed) for seed in range(2)]
    tokens = torch.randint(2000, (2, 4, 33), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(*(packed_losses(models, tokens, one_by_one=one_by_one) for one_by_one in (True, False)))


def test_mixed_precision_follows_the_reference(spec, text, tmp_path: Path) -> None:
    base = spec()
    mixed = replace(base, compute=replace(base.compute, precision="bf16-mixed"))
    ((packed,), (reference,), (full,)) = (
        train(name, [chosen], text, tmp_path) for name, chosen in (("packed", mixed), ("lightning", mixed), ("packed", base))
    )
    losses = [result.summary["loss_nats_per_token"] for result in (packed, reference, full)]
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)
    assert losses[0] != losses[2]

"""Gradients against the change of losses along them, and the movement of weights that were moved by hand."""

import copy

import pytest
import torch

from curselab.errors import InputError
from trainer.gradient_probe import GradientProbe
from trainer.losses import text_loss
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.spec import ComputeSpec, EvaluationSpec

MODEL = ModelSpec(width=16, depth=3, heads=2, ffn_width=24, context=32)


@pytest.fixture
def batches() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return {"new": torch.randint(40, (4, 33), generator=random), "old": torch.randint(20, 60, (4, 33), generator=random)}


@pytest.fixture
def chosen(spec):
    return spec(model=MODEL, evaluation=EvaluationSpec(domains=("new", "old"), gradient_tokens=128, question_factor=4.0))


def rows(probe: GradientProbe) -> dict[tuple[int, str, str], float]:
    return {(row["step"], row["domain"], row["metric"]): row["value"] for row in probe.rows}


def test_norms_and_cosine_tell_how_losses_change_along_the_gradients(chosen, batches) -> None:
    model, probe = Decoder(MODEL, 64, seed=0).double(), GradientProbe(chosen, batches)
    probe.begin(model)
    found = rows(probe)
    one, other = (found[0, domain, "gradient_norm"] for domain in ("new", "old"))
    loss = text_loss(model, batches["new"])
    along = torch.autograd.grad(loss, list(model.parameters()))
    h, losses = 1e-5, {"new": [], "old": []}
    for sign in (1, -1):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, gradient in zip(moved.parameters(), along, strict=True):
                parameter += sign * h * gradient
            for domain, values in losses.items():
                values.append(float(text_loss(moved, batches[domain])))
    slope = {domain: (up - down) / (2 * h) for domain, (up, down) in losses.items()}
    assert slope["new"] == pytest.approx(one**2, rel=1e-5)
    assert slope["old"] == pytest.approx(found[0, "new", "gradient_cosine"] * one * other, rel=1e-5)


def test_lower_blocks_that_moved_twice_as_far_give_two(chosen, batches) -> None:
    model, probe, again = Decoder(MODEL, 64, seed=0), *(GradientProbe(chosen, batches) for _ in range(2))
    probe.begin(model)
    assert (0, "all", "weight_change_bottom_over_top") not in rows(probe)
    probe.after_step(1, torch.tensor(0.0), model)
    assert (1, "all", "weight_change_bottom_over_top") not in rows(probe)  # nothing has moved
    again.load_state_dict(probe.state_dict())
    with torch.no_grad():
        for block, factor in zip(model.blocks, (1.02, 7.0, 1.01), strict=True):  # the middle one is in neither half
            for parameter in block.parameters():
                parameter *= factor
    for one in (probe, again):
        one.after_step(4, torch.tensor(0.0), model)
    assert rows(probe)[4, "all", "weight_change_bottom_over_top"] == pytest.approx(2, rel=1e-4)
    assert rows(again) == rows(probe)


def test_it_measures_where_questions_are_asked_and_leaves_the_model_as_it_was(chosen, batches) -> None:
    model, probe = Decoder(MODEL, 64, seed=0).train(), GradientProbe(chosen, batches)
    before = copy.deepcopy(model.state_dict())
    probe.begin(model)
    for step in range(1, chosen.steps + 1):
        probe.after_step(step, torch.tensor(0.0), model)
    assert [step for step, domain, metric in rows(probe) if metric == "gradient_cosine"] == [0, 1, 4, 16, 20]
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_two_domains_on_one_device_are_needed(spec) -> None:
    with pytest.raises(InputError, match=r"gradient_tokens: 64 was given, 0 \(evaluation.domains names no two\)"):
        EvaluationSpec(domains=("new",), gradient_tokens=64)
    two = EvaluationSpec(domains=("new", "old"), gradient_tokens=64)
    with pytest.raises(InputError, match=r"evaluation.gradient_tokens: 64 was given, 0 \(compute.devices is above 1\)"):
        spec(evaluation=two, compute=ComputeSpec(devices=2))

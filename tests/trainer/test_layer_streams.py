"""Measurements of the stream on blocks whose effect is known, and the exact budget of variance on trained models."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainer.test_norms import model_spec, shaken
from trainer.layer_streams import _off_identity, stream_rows
from trainer.model import SubLayer
from trainer.model_spec import ModelSpec
from trainer.run import run
from trainer.spec import ProbeSpec
from trainer.stack import DecoderStack


class Known:
    """Blocks that turn the stream in a plane, stretch it, and add a fixed branch."""

    depth = 3
    part_names = ("attention", "ffn")

    def embed(self, tokens: Tensor) -> Tensor:
        x = torch.randn(*tokens.shape, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        x = x - x.mean(-1, keepdim=True)
        x = x / x.norm(dim=-1, keepdim=True)
        x[:, 0] = 1e6  # the first position counts for nothing
        return x

    def block(self, number: int, x: Tensor) -> Tensor:
        if number == 0:
            cosine, sine = math.cos(0.3), math.sin(0.3)
            turn = torch.eye(8, dtype=torch.float64)
            for i in range(0, 8, 2):
                turn[i : i + 2, i : i + 2] = torch.tensor([[cosine, -sine], [sine, cosine]])
            return x @ turn
        return 3 * x if number == 1 else 1.0 * x

    def parts(self, number: int, x: Tensor) -> tuple[dict[str, SubLayer], Tensor]:
        after = self.block(number, x)
        nothing = SubLayer(after, torch.zeros_like(after), after)
        return {"attention": SubLayer(x, after - x, after), "ffn": nothing}, after


def found(stack, tokens: Tensor) -> dict[tuple[int, str, str], float]:
    return {(row.layer, row.part, row.metric): row.value for row in stream_rows(stack, tokens)}


def test_turning_stretching_and_doing_nothing_are_measured_as_what_they_are() -> None:
    rows = found(Known(), torch.zeros(20, 8, dtype=torch.long))
    assert rows[0, "embedding", "residual_variance"] == pytest.approx(1 / 8)
    assert rows[1, "block", "angular_distance_rad"] == pytest.approx(0.3)
    assert rows[1, "block", "block_influence"] == pytest.approx(1 - math.cos(0.3))
    # |R - I|_F / |I|_F of a turn by phi is 2 sin(phi / 2), for every vector and so for every draw of signs
    for metric in ("jacobian_minus_identity", "relative_contribution", "relative_contribution_median"):
        assert rows[1, "block", metric] == pytest.approx(2 * math.sin(0.15))
    assert rows[2, "block", "angular_distance_rad"] == pytest.approx(0, abs=1e-7)
    assert rows[2, "block", "residual_variance"] == pytest.approx(9 * rows[1, "block", "residual_variance"])
    assert rows[2, "attention", "branch_stream_correlation"] == pytest.approx(1)
    assert rows[2, "attention", "relative_contribution"] == pytest.approx(2)
    assert rows[2, "block", "jacobian_minus_identity"] == pytest.approx(2)
    assert rows[3, "block", "jacobian_minus_identity"] == 0
    assert rows[3, "ffn", "branch_variance"] == 0
    assert (3, "ffn", "branch_stream_correlation") not in rows  # nothing correlates with nothing


@pytest.mark.parametrize("scheme", ["pre", "post", "lns"])
def test_the_estimate_of_the_jacobian_is_that_of_autograd_in_the_mean(scheme: str) -> None:
    model = shaken(model_spec(scheme, width=8, heads=1, ffn_width=12, embedding_std=0.6))
    stack, tokens = DecoderStack(model), torch.arange(5)[None]
    x = stack.embed(tokens).detach()
    exact = torch.autograd.functional.jacobian(lambda y: stack.block(2, y), x)[0, 1:, :, 0, 1:]  # (4, 8, 4, 8)
    squared = float((exact.reshape(32, 32) - torch.eye(32)).square().sum() / 32)
    draws = []
    for number in range(300):
        before = x.clone().requires_grad_()
        draws.append(_off_identity(before, stack.block(2, before), number).mean())
    estimates = torch.stack(draws)
    assert float(estimates.mean()) == pytest.approx(squared, abs=4 * float(estimates.std()) / math.sqrt(300))
    assert float(estimates.std()) > 0


@pytest.mark.parametrize("scheme", ["pre", "lns", "peri", "layerscale", "branch_sqrt"])
def test_the_budget_of_variance_is_exact_in_trained_models(spec, text, tmp_path: Path, scheme: str) -> None:
    model = ModelSpec(width=16, depth=3, heads=2, ffn_width=24, context=32, scheme=scheme, initialisation="plain")
    chosen = spec(model=model, probes=ProbeSpec(tokens=640))
    rows = {
        (row["step"], row["layer"], row["part"], row["metric"]): row["value"]
        for row in run(chosen, sweep="s", stage="t", text=text, runs=tmp_path).layers
    }
    for step in {step for step, *_ in rows}:
        before = rows[step, 0, "embedding", "residual_variance"]
        for layer in (1, 2, 3):
            for part in ("attention", "ffn"):
                branch, correlation, after = (
                    rows[step, layer, part, metric]
                    for metric in ("branch_variance", "branch_stream_correlation", "residual_variance")
                )
                budget = before + branch + 2 * correlation * math.sqrt(before * branch)
                assert after == pytest.approx(budget, rel=1e-5)
                assert -1 <= correlation <= 1
                before = after
            assert rows[step, layer, "block", "residual_variance"] == before


@pytest.mark.parametrize("scheme", ["post", "deepnorm"])
def test_the_budget_holds_for_the_sum_that_a_norm_follows(scheme: str) -> None:
    stack = DecoderStack(shaken(model_spec(scheme, embedding_std=0.6)))
    tokens = torch.randint(61, (4, 13), generator=torch.Generator().manual_seed(0))
    rows, x = found(stack, tokens), stack.embed(tokens[:, :-1]).detach()
    stream, branch, _ = stack.parts(0, x)[0]["attention"]
    total = float((stream + branch).detach()[:, 1:].var(-1, correction=0).mean())
    scaled = {"post": 1, "deepnorm": 4}[scheme] * rows[0, "embedding", "residual_variance"]  # (2 * 8)^(1/4) squared
    added, correlation = (rows[1, "attention", name] for name in ("branch_variance", "branch_stream_correlation"))
    assert total == pytest.approx(scaled + added + 2 * correlation * math.sqrt(scaled * added), rel=1e-9)

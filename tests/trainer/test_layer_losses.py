"""Ablations of blocks whose worth is known."""

import math

import pytest
import torch
from torch import Tensor

from tests.trainer.test_norms import model_spec, shaken
from trainer.fold import fold
from trainer.layer_losses import loss_rows
from trainer.layer_streams import ROWS
from trainer.model import Decoder
from trainer.stack import DecoderStack

WIDTH = 6


class Known:
    """Blocks: an affine map, the identity, one that is not affine; the loss of a token is the last stream's square."""

    depth = 3
    part_names = ()

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64)
        self.table = torch.randn(61, WIDTH, generator=generator, dtype=torch.float64)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.table[tokens]

    def block(self, number: int, x: Tensor) -> Tensor:
        return (x @ self.matrix + 1, x, x.abs())[number]

    def nats(self, x: Tensor, targets: Tensor) -> Tensor:
        return (x - 1).square().mean(-1)


def deltas(rows) -> dict[tuple[int, str, str], float]:
    return {(row.layer, row.part, row.metric): row.value for row in rows}


@pytest.mark.parametrize("windows", [2 * ROWS, ROWS + 5])
def test_known_blocks_are_worth_what_they_are(windows: int) -> None:
    stack = Known()
    tokens = torch.randint(61, (windows, 9), generator=torch.Generator().manual_seed(1))
    rows = deltas(loss_rows(stack, tokens))
    x = stack.table[tokens[:, :-1]]

    def loss(last: Tensor) -> Tensor:
        return (last - 1).square().mean(-1)[:, 1:].mean(1)

    whole = loss((x @ stack.matrix + 1).abs())
    assert rows[3, "block", "loss_nats_per_token"] == pytest.approx(float(whole.mean()))
    expected = {
        (1, "removed"): loss(x.abs()),
        (1, "truncated"): loss(x),
        (2, "removed"): whole,
        (2, "swapped"): loss(x.abs() * 0 + (x @ stack.matrix + 1).abs()),
        (3, "removed"): loss(x @ stack.matrix + 1),
        (3, "truncated"): loss(x @ stack.matrix + 1),
    }
    for (layer, how), score in expected.items():
        excess = score - whole
        assert rows[layer, "block", f"loss_{how}_delta_nats_per_token"] == pytest.approx(float(excess.mean()), abs=1e-12)
        error = float(excess.std()) / math.sqrt(windows)
        assert rows[layer, "block", f"loss_{how}_delta_se_nats_per_token"] == pytest.approx(error, abs=1e-12)
    affine = {layer: rows[layer, "block", "loss_affine_delta_nats_per_token"] for layer in (1, 2, 3)}
    assert affine[1] == pytest.approx(0, abs=1e-9)
    assert affine[2] == pytest.approx(0, abs=1e-9)
    assert abs(affine[3]) > 0.01
    assert (3, "block", "loss_swapped_delta_nats_per_token") not in rows


def test_what_is_not_asked_for_is_not_measured() -> None:
    tokens = torch.randint(61, (8, 9), generator=torch.Generator().manual_seed(1))
    every = deltas(loss_rows(Known(), tokens))
    some = deltas(loss_rows(Known(), tokens, ["removed"]))
    assert some == {key: value for key, value in every.items() if not {"swapped", "affine"} & set(key[2].split("_"))}
    assert len(some) == 1 + 2 * 2 * 3  # the whole model; removed and truncated with their errors


def test_an_affine_map_is_not_fitted_on_few_tokens_nor_tested_on_its_own() -> None:
    few = torch.randint(61, (4, 9), generator=torch.Generator().manual_seed(1))
    assert not [name for _, _, name in deltas(loss_rows(Known(), few)) if "affine" in name]

    class Noise(Known):
        """A last block that no map can predict."""

        def block(self, number: int, x: Tensor) -> Tensor:
            return torch.frac(x * 1e4) if number == 2 else x

    tokens = torch.randint(61, (8, 9), generator=torch.Generator().manual_seed(1))
    rows = deltas(loss_rows(Noise(), tokens))
    assert rows[3, "block", "loss_affine_delta_nats_per_token"] < 0  # the mean is nearer to 1 than noise is


def test_a_block_that_is_left_keeps_its_own_number() -> None:
    # folding makes each block of LayerNorm Scaling one that carries its scale along, so leaving one out needs no numbers
    model = shaken(model_spec("lns", embedding_std=0.6))
    tokens = torch.randint(61, (6, 13), generator=torch.Generator().manual_seed(0))
    rows = deltas(loss_rows(DecoderStack(model), tokens))
    folded = fold(model.float()).double()
    shorter = Decoder(model_spec("pre", depth=7), 61, seed=0).double()
    kept = {name: value for name, value in folded.state_dict().items() if not name.startswith("blocks.")}
    for new, old in enumerate(number for number in range(8) if number != 2):
        prefix = f"blocks.{old}."
        kept |= {
            name.replace(prefix, f"blocks.{new}.", 1): value
            for name, value in folded.state_dict().items()
            if name.startswith(prefix)
        }
    shorter.load_state_dict(kept)

    def loss(whole: Decoder) -> float:
        logits, targets = whole(tokens[:, :-1])[:, 1:], tokens[:, 2:]
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).detach())

    assert rows[3, "block", "loss_removed_delta_nats_per_token"] == pytest.approx(loss(shorter) - loss(folded), abs=1e-6)
    assert abs(loss(shorter) - loss(folded)) > 1e-3

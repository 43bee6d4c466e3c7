"""What the loss says about each block: how much it rises when the block is not what it was trained to be.

``removed``: the stream passes the block by. ``swapped``: it changes places with the next one. ``skipped``: one of its
sub-layers adds nothing. ``affine``: an affine map takes its place, fitted by least squares on one half of the windows and used
on the other. ``truncated``: the block and all above it are removed. Every block that is left keeps its own number and scales.

Sources: removal, Gromov et al. (2403.17887) and Men et al. (2403.03853); affine maps and swaps, arXiv:2603.15389, which fits
and tests on the same text.
"""

import math
from collections.abc import Collection, Iterator
from typing import get_args

import torch
from torch import Tensor

from trainer.layer_streams import ROWS, Measured
from trainer.spec import Ablation
from trainer.stack import Stack

ABLATIONS: tuple[Ablation, ...] = get_args(Ablation)
TOKENS_A_FEATURE = 4  # fewer make an affine map that has learnt the text by heart


@torch.no_grad()
def loss_rows(stack: Stack, windows: Tensor, ablations: Collection[str] = ABLATIONS) -> list[Measured]:
    """Measure every block on some text.

    Parameters
    ----------
    stack : Stack
        In evaluation mode.
    windows : Tensor (n_windows, length + 1)
        Token ids; at least two windows. The first token of each is not scored.
    ablations : collection of str
        Those to measure, of ``ABLATIONS``; ``truncated`` costs nothing and always is.

    Returns
    -------
    list of Measured
        Differences to the loss of the whole model on the same tokens in nats/token, each with its standard error over windows,
        and that loss itself.
    """
    maps = _affine_maps(stack, windows) if "affine" in ablations else []
    losses: dict[tuple[int, str, str], list[Tensor]] = {}
    for rows in windows.split(ROWS):
        inputs, targets = rows[:, :-1], rows[:, 1:]
        streams = _streams(stack, inputs)
        even = torch.arange(len(rows), device=rows.device) % 2 == 0  # of all windows, since ROWS is even
        for key, x in _ablated(stack, streams, ablations, maps, even):
            losses.setdefault(key, []).append(stack.nats(x, targets)[:, 1:].double().mean(1).cpu())
    scores = {key: torch.cat(values) for key, values in losses.items()}
    whole = scores.pop((stack.depth, "block", ""))
    found = [Measured(stack.depth, "block", "loss_nats_per_token", float(whole.mean()))]
    for (layer, part, how), score in scores.items():
        excess = score - whole
        error = float(excess.std()) / math.sqrt(len(excess))
        found.append(Measured(layer, part, f"loss_{how}_delta_nats_per_token", float(excess.mean())))
        found.append(Measured(layer, part, f"loss_{how}_delta_se_nats_per_token", error))
    return found


def _streams(stack: Stack, inputs: Tensor) -> list[Tensor]:
    """Stream before the first block and after each."""
    streams = [stack.embed(inputs)]
    for number in range(stack.depth):
        streams.append(stack.block(number, streams[-1]))
    return streams


def _ablated(
    stack: Stack, streams: list[Tensor], ablations: Collection[str], maps: list[tuple[Tensor, Tensor]], even: Tensor
) -> Iterator[tuple[tuple[int, str, str], Tensor]]:
    """Last stream under each ablation."""

    def rest(number: int, x: Tensor) -> Tensor:
        for later in range(number, stack.depth):
            x = stack.block(later, x)
        return x

    yield (stack.depth, "block", ""), streams[-1]
    for n, x in enumerate(streams[:-1]):
        yield (n + 1, "block", "truncated"), x
        if "removed" in ablations:
            yield (n + 1, "block", "removed"), rest(n + 1, x)
        if "swapped" in ablations and n + 1 < stack.depth:
            yield (n + 1, "block", "swapped"), rest(n + 2, stack.block(n, stack.block(n + 1, x)))
        for part in stack.part_names if "skipped" in ablations else ():
            yield (n + 1, part, "skipped"), rest(n + 1, stack.without(n, part, x))
        if maps:
            to_odd, to_even = (_mapped(x, weights) for weights in maps[n])
            replaced = torch.where(even[:, None, None], to_even, to_odd)
            replaced[:, 0] = streams[n + 1][:, 0]
            yield (n + 1, "block", "affine"), rest(n + 1, replaced)


def _affine_maps(stack: Stack, windows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Maps (width + 1, width) of each block, fitted on the even and on the odd windows; none on too few tokens."""
    chunks = [_streams(stack, rows[:, :-1]) for rows in windows.split(ROWS)]
    streams = [torch.cat(parts)[:, 1:] for parts in zip(*chunks, strict=True)]
    half, length, width = streams[0][1::2].shape
    if half * length < TOKENS_A_FEATURE * (width + 1):
        return []
    maps = []
    for before, after in zip(streams, streams[1:], strict=False):
        even, odd = (_fitted(before[start::2], after[start::2]) for start in (0, 1))
        maps.append((even, odd))
    return maps


def _fitted(before: Tensor, after: Tensor) -> Tensor:
    x, y = (stream.flatten(0, 1).double().cpu() for stream in (before, after))
    solution = torch.linalg.lstsq(torch.cat((x, x.new_ones(len(x), 1)), dim=1), y, driver="gelsd").solution
    return solution.to(before)


def _mapped(x: Tensor, weights: Tensor) -> Tensor:
    return x @ weights[:-1] + weights[-1]

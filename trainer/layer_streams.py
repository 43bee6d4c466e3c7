r"""What each block does to the residual stream: variances, contributions, angles, and how far it is from the identity.

All are of tokens but the first of each window, whose activations can be huge. With :math:`v` the variance along the features,
averaged over tokens, a sub-layer that adds :math:`f` to the stream :math:`x` keeps the exact budget

.. math:: v(x + f) = v(x) + v(f) + 2 \rho \sqrt{v(x) v(f)}

where :math:`\rho` is ``branch_stream_correlation``.

Sources: variance along the features, averaged over tokens, arXiv:2603.15389; relative contribution, Csordas et al.
(2505.13898); angular distance, Gromov et al. (2403.17887, equation 7), who divide it by pi and take the last token of each
sequence alone; block influence, Men et al. (2403.03853, equation 1).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.model import SubLayer
from trainer.stack import Stack

ROWS = 16  # windows at a time


class Measured(NamedTuple):
    """One number of one block."""

    layer: int
    """Number of the block, from 1; 0 is the embedding."""
    part: str
    metric: str
    value: float


def stream_rows(stack: Stack, windows: Tensor) -> list[Measured]:
    """Measure every block on some text.

    Parameters
    ----------
    stack : Stack
        In evaluation mode.
    windows : Tensor (n_windows, length + 1)
        Token ids.
    """
    places = [(n, part) for n in range(1, stack.depth + 1) for part in ("block", *stack.part_names)]
    embedded: list[Tensor] = []
    seen: list[list[Tensor]] = [[] for _ in places]
    for rows in windows.split(ROWS):
        with torch.no_grad():
            x = stack.embed(rows[:, :-1])
        embedded.append(_variance(x))
        found: list[Tensor] = []
        for number in range(stack.depth):
            before = x.detach().requires_grad_()
            with torch.enable_grad():
                parts, after = stack.parts(number, before)
                off_identity = _off_identity(before, after, number)
            x = after.detach()
            found.append(_of_block(before.detach(), x, off_identity))
            found += [_of_part(SubLayer(*(tensor.detach() for tensor in sub))) for sub in parts.values()]
        for place, values in zip(seen, found, strict=True):
            place.append(values)
    measured = list(_summary(0, "embedding", ["residual_variance"], torch.stack([torch.cat(embedded)])))
    for (layer, part), chunks in zip(places, seen, strict=True):
        measured += _summary(layer, part, OF_BLOCK if part == "block" else OF_PART, torch.cat(chunks, dim=1))
    return measured


OF_BLOCK = ["residual_variance", "relative_contribution", "block_influence", "angular_distance_rad", "squared_off_identity"]
OF_PART = ["residual_variance", "relative_contribution", "branch_variance", "stream_variance", "covariance"]
NO_MEDIAN = ("squared_off_identity", "stream_variance", "covariance")


def _of_block(before: Tensor, after: Tensor, off_identity: Tensor) -> Tensor:
    """Quantities of ``OF_BLOCK`` for every token but the first, (quantities, batch, length - 1)."""
    x, y = before[:, 1:].double(), after[:, 1:].double()
    sizes = x.norm(dim=-1), y.norm(dim=-1)
    cosine = (x * y).sum(-1) / (sizes[0] * sizes[1])
    angle = cosine.clamp(-1, 1).acos()
    return torch.stack([_variance(after), (y - x).norm(dim=-1) / sizes[0], 1 - cosine, angle, off_identity])


def _of_part(sub: SubLayer) -> Tensor:
    """Quantities of ``OF_PART`` for every token but the first, (quantities, batch, length - 1)."""
    x, f = sub.stream[:, 1:].double(), sub.branch[:, 1:].double()
    size = f.norm(dim=-1) / x.norm(dim=-1)
    x, f = _centred(x), _centred(f)
    return torch.stack([_variance(sub.after), size, *((a * b).mean(-1) for a, b in ((f, f), (x, x), (x, f)))])


def _variance(x: Tensor) -> Tensor:
    """Variance along the features of every token but the first, (batch, length - 1)."""
    return _centred(x[:, 1:].double()).square().mean(-1)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _off_identity(before: Tensor, after: Tensor, number: int) -> Tensor:
    """Squared Frobenius norm of J - I over that of I, estimated for every token by one random cotangent (Hutchinson)."""
    generator = torch.Generator().manual_seed(number)
    signs = torch.randint(2, before.shape, generator=generator).mul_(2).sub_(1).to(before)
    signs[:, 0] = 0
    (pulled,) = torch.autograd.grad(after, before, signs)
    return (pulled - signs)[:, 1:].double().square().mean(-1)


def _summary(layer: int, part: str, names: Sequence[str], values: Tensor) -> Iterator[Measured]:
    """Means and medians over tokens, and what follows from them, of values (quantities, batch, length - 1)."""
    tokens = values.flatten(1)
    means = dict(zip(names, tokens.mean(1).tolist(), strict=True))
    medians = dict(zip(names, tokens.median(1).values.tolist(), strict=True))
    for name in names:
        if name not in NO_MEDIAN:
            yield Measured(layer, part, name, means[name])
            yield Measured(layer, part, f"{name}_median", medians[name])
    if part == "block":
        yield Measured(layer, part, "jacobian_minus_identity", math.sqrt(means["squared_off_identity"]))
    scale = math.sqrt(means.get("stream_variance", 0) * means.get("branch_variance", 0))
    if scale > 0:
        yield Measured(layer, part, "branch_stream_correlation", means["covariance"] / scale)

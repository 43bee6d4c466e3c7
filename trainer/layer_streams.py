r"""What each block does to the residual stream: variances, contributions, angles, and how far it is from the identity.

All are of tokens but the first of each window, whose activations can be huge. With :math:`v` the variance along the features,
averaged over tokens, a sub-layer that adds :math:`f` to the stream :math:`x` keeps the exact budget

.. math:: v(x + f) = v(x) + v(f) + 2 \rho \sqrt{v(x) v(f)}

where :math:`\rho` is ``branch_stream_correlation``.

Sources: variance along the features, averaged over tokens, arXiv:2603.15389; relative contribution, Csordas et al.
(2505.13898); angular distance, Gromov et al. (2403.17887, equation 7); block influence, Men et al. (2403.03853, equation 1).
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

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
    seen: dict[tuple[int, str, str], list[Tensor]] = {}

    def see(layer: int, part: str, found: Mapping[str, Tensor]) -> None:
        for name, values in found.items():
            seen.setdefault((layer, part, name), []).append(values.detach().cpu())

    for rows in windows.split(ROWS):
        with torch.no_grad():
            x = stack.embed(rows[:, :-1])
        see(0, "embedding", {"residual_variance": _variance(x)})
        for number in range(stack.depth):
            before = x.detach().requires_grad_()
            with torch.enable_grad():
                parts, after = stack.parts(number, before)
                see(number + 1, "block", {"squared_off_identity": _off_identity(before, after, number)})
            x = after.detach()
            see(number + 1, "block", _of_block(before.detach(), x))
            for part, sub in parts.items():
                see(number + 1, part, _of_part(SubLayer(*(tensor.detach() for tensor in sub))))
    tokens = {key: torch.cat(values).flatten() for key, values in seen.items()}
    return list(_rows(tokens))


def _of_block(before: Tensor, after: Tensor) -> dict[str, Tensor]:
    x, y = before[:, 1:].double(), after[:, 1:].double()
    cosine = F.cosine_similarity(x, y, dim=-1)
    return {
        "residual_variance": _variance(after),
        "relative_contribution": (y - x).norm(dim=-1) / x.norm(dim=-1),
        "block_influence": 1 - cosine,
        "angular_distance_rad": cosine[:, -1:].clamp(-1, 1).acos(),
    }


def _of_part(sub: SubLayer) -> dict[str, Tensor]:
    stream, branch = sub.stream[:, 1:].double(), sub.branch[:, 1:].double()
    centred = stream - stream.mean(-1, keepdim=True), branch - branch.mean(-1, keepdim=True)
    return {
        "residual_variance": _variance(sub.after),
        "stream_variance": centred[0].square().mean(-1),
        "branch_variance": centred[1].square().mean(-1),
        "covariance": (centred[0] * centred[1]).mean(-1),
        "relative_contribution": branch.norm(dim=-1) / stream.norm(dim=-1),
    }


def _variance(x: Tensor) -> Tensor:
    """Variance along the features of every token but the first, (batch, length - 1)."""
    return x[:, 1:].double().var(-1, correction=0)


def _off_identity(before: Tensor, after: Tensor, number: int) -> Tensor:
    """Squared Frobenius norm of J - I over that of I, estimated for every token by one random cotangent (Hutchinson)."""
    generator = torch.Generator().manual_seed(number)
    signs = torch.randint(2, before.shape, generator=generator).mul_(2).sub_(1).to(before)
    signs[:, 0] = 0
    (pulled,) = torch.autograd.grad(after, before, signs)
    return (pulled - signs)[:, 1:].double().square().mean(-1)


MEDIANS = ("residual_variance", "branch_variance", "relative_contribution", "block_influence")


def _rows(tokens: Mapping[tuple[int, str, str], Tensor]) -> Iterator[Measured]:
    """Means and medians over tokens, and what follows from them."""
    means = {key: float(values.mean()) for key, values in tokens.items()}
    for (layer, part, name), mean in means.items():
        if name == "squared_off_identity":
            yield Measured(layer, part, "jacobian_minus_identity", math.sqrt(mean))
        elif name == "covariance":
            scale = math.sqrt(means[layer, part, "stream_variance"] * means[layer, part, "branch_variance"])
            if scale > 0:
                yield Measured(layer, part, "branch_stream_correlation", mean / scale)
        elif name != "stream_variance":
            yield Measured(layer, part, name, mean)
        if name in MEDIANS:
            yield Measured(layer, part, f"{name}_median", float(tokens[layer, part, name].median()))

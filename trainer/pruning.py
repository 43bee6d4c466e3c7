r"""Structured pruning of a trained model by the gradient of masks: heads, feed-forward units, and one width for all blocks.

A mask :math:`\xi = 1` multiplies what each head, each hidden unit of a feed-forward network and each feature that is written
to the residual stream gives. Its importance is :math:`I = \mathbb{E}\,|\partial L / \partial \xi|` over batches, with no
change of weights. Heads are ranked over all blocks together, after each block's importances are divided by their norm; so are
hidden units; features are ranked once. Each of the three loses a share :math:`p' = 1 - \sqrt{1 - p}`, since the parameters of
blocks are products of two of them, so that a share :math:`p` of these goes.

Source: Zhang et al. (2023), arXiv:2311.07052, in the form of their released code (github.com/GeneZC/MiniMA). Ours: every block
keeps at least one head and one unit.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trainer.losses import lm_loss
from trainer.model import Block, Decoder, SwiGLU


@dataclass(frozen=True, slots=True)
class Importance:
    """Mean absolute gradients of the masks."""

    heads: tuple[Tensor, ...]
    """Of each block, (heads,)."""
    units: tuple[Tensor, ...]
    """Of each block's feed-forward network, (ffn_width,)."""
    features: Tensor
    """Of the residual stream, (width,)."""


def importance(model: Decoder, batches: Iterable[Tensor]) -> Importance:
    """Measure how much the loss of a model on text depends on each of its parts.

    Parameters
    ----------
    model : Decoder
        Left as it is; its weights take gradients.
    batches : iterable of Tensor (batch, length + 1)
        Token ids.
    """
    blocks = _blocks(model)
    heads = [torch.zeros(block.attention.heads) for block in blocks]
    units = [torch.zeros(block.ffn.down.in_features) for block in blocks]
    features, n = torch.zeros(model.spec.width), 0
    for batch in batches:
        with _Masks(model) as masks:
            loss = lm_loss(model(batch[:, :-1]), batch[:, 1:])
            torch.autograd.grad(loss, list(model.parameters()))
        for i, block in enumerate(blocks):
            heads[i] += masks.gradient[block.attention.out].view(block.attention.heads, -1).sum(dim=1).abs()
            units[i] += masks.gradient[block.ffn.down].abs()
        features += masks.stream.abs()
        n += 1
    return Importance(tuple(each / n for each in heads), tuple(each / n for each in units), features / n)


class _Masks:
    """Gradients of the masks of one pass: a mask's is the sum of its features times their gradients."""

    def __init__(self, model: Decoder) -> None:
        self.gradient: dict[nn.Module, Tensor] = {}
        """Of what enters a matrix, (in_features,)."""
        self.stream = torch.zeros(model.spec.width)
        self._model, self._hooks = model, ExitStack()

    def __enter__(self) -> "_Masks":
        writers: list[nn.Module] = [self._model.embedding]
        for block in _blocks(self._model):
            for matrix in (block.attention.out, block.ffn.down):
                self._hooks.callback(matrix.register_forward_pre_hook(self._enters).remove)
                writers.append(matrix)
        for writer in writers:
            self._hooks.callback(writer.register_forward_hook(self._written).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def _enters(self, matrix: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs

        def keep(gradient: Tensor) -> None:
            self.gradient[matrix] = (x.detach() * gradient).flatten(0, -2).sum(dim=0)

        x.register_hook(keep)

    def _written(self, writer: nn.Module, inputs: object, x: Tensor) -> None:
        def add(gradient: Tensor) -> None:
            self.stream += (x.detach() * gradient).flatten(0, -2).sum(dim=0)

        x.register_hook(add)


@torch.no_grad()
def pruned(model: Decoder, importance: Importance, sparsity: float) -> Decoder:
    """The most important parts of a model, as a model of their own.

    Parameters
    ----------
    model : Decoder
    importance : Importance
    sparsity : float
        Share of the blocks' parameters to lose, 0 to below 1; 0 gives the same weights.

    Returns
    -------
    Decoder
        Its ``spec`` holds the shape that results.
    """
    keep = math.sqrt(1 - sparsity)
    heads, units = _most_important(importance.heads, keep), _most_important(importance.units, keep)
    n_features = max(1, round(keep * model.spec.width))
    features = importance.features.topk(n_features).indices.sort().values
    spec = replace(
        model.spec,
        width=n_features,
        head_width=model.spec.features_per_head,
        block_heads=tuple(map(len, heads)),
        block_ffn_widths=tuple(map(len, units)),
    )
    small = Decoder(spec, model.embedding.num_embeddings, seed=0)
    small.embedding.weight.copy_(model.embedding.weight[:, features])
    _copy_gain(small.norm, model.norm, features)
    if not spec.tie_embeddings:
        small.head.weight.copy_(model.head.weight[:, features])
    if spec.positions == "learned":
        small.position.weight.copy_(model.position.weight[:, features])
    for block, source, some_heads, some_units in zip(_blocks(small), _blocks(model), heads, units, strict=True):
        _copy(block, source, some_heads, some_units, features)
    return small


def _copy(block: Block, source: Block, heads: Tensor, units: Tensor, features: Tensor) -> None:
    _copy_gain(block.attention_norm, source.attention_norm, features)
    _copy_gain(block.ffn_norm, source.ffn_norm, features)
    n = source.attention.heads
    qkv = source.attention.qkv.weight.unflatten(0, (3, n, -1))  # (3, heads, head_width, width)
    block.attention.qkv.weight.copy_(qkv[:, heads][..., features].flatten(0, 2))
    out = source.attention.out.weight.unflatten(1, (n, -1))  # (width, heads, head_width)
    block.attention.out.weight.copy_(out[features][:, heads].flatten(1))
    parts = 2 if isinstance(source.ffn, SwiGLU) else 1
    into = source.ffn.into.weight.unflatten(0, (parts, -1))  # (parts, ffn_width, width)
    block.ffn.into.weight.copy_(into[:, units][..., features].flatten(0, 1))
    block.ffn.down.weight.copy_(source.ffn.down.weight[features][:, units])


def _copy_gain(norm: nn.Module, source: nn.Module, features: Tensor) -> None:
    assert isinstance(norm.weight, Tensor)
    assert isinstance(source.weight, Tensor)
    norm.weight.copy_(source.weight[features])


def _most_important(by_block: Sequence[Tensor], keep: float) -> list[Tensor]:
    """Numbers of the parts to keep in each block, rising: a share of all, each block's most important one always."""
    scores = [each / each.norm().clamp_min(torch.finfo(each.dtype).tiny) for each in by_block]
    for each in scores:
        each[each.argmax()] = math.inf
    n = max(len(scores), round(keep * sum(map(len, scores))))
    kept = torch.zeros(sum(map(len, scores)), dtype=torch.bool)
    kept[torch.cat(scores).topk(n).indices] = True
    return [part.nonzero().flatten() for part in kept.split([len(each) for each in scores])]


def _blocks(model: Decoder) -> list[Block]:
    return [block for block in model.blocks if isinstance(block, Block)]

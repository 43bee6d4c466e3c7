"""Decoders of one shape as one: weights with a leading axis of members, and each product a batch of products.

A step of a small model is mostly the cost of starting its operations; a pack starts each of them once for all its members.
The members stay ordinary decoders and get their gradients where a decoder has them. On a CPU LayerNorm and losses are computed
for one member after another: as fast in its cache, and with the bits of a decoder alone.
"""

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.losses import head_loss, token_nats
from trainer.model import Attention, Block, Decoder, Gelu, Map, SwiGLU, join, rotate
from trainer.norms import Rule, norms_embedding


def packed_losses(models: Sequence[Decoder], tokens: Tensor, *, one_by_one: bool) -> Tensor:
    """Mean next-token cross-entropy of each member on its own text in nats/token, (members,).

    Parameters
    ----------
    models : sequence of Decoder
        The members: of one shape, without dropout, and of a scheme whose rule packs.
    tokens : Tensor (members, batch, length + 1)
    one_by_one : bool
        Whether LayerNorm and losses are computed for one member after another.
    """
    x, targets = packed_features(models, tokens[..., :-1], one_by_one=one_by_one), tokens[..., 1:].flatten(1)
    weights = [model.head.weight for model in models]
    if one_by_one:
        return torch.stack([head_loss(*member) for member in zip(x, weights, targets, strict=True)])
    return token_nats(torch.bmm(x, torch.stack(weights).mT), targets).mean(1)


def packed_features(models: Sequence[Decoder], tokens: Tensor, *, one_by_one: bool) -> Tensor:
    """Normed residual streams (members, batch x length, width) from token ids (members, batch, length)."""
    (members, batch, length), spec = tokens.shape, models[0].spec
    table = torch.cat([model.embedding.weight for model in models])  # (members x vocab_size, width)
    first = torch.arange(members, device=tokens.device).mul_(len(table) // members)
    x = F.embedding(tokens + first[:, None, None], table)  # (members, batch, length, width)
    if spec.positions == "learned":
        x = x + torch.stack([model.position.weight for model in models])[:, None, :length]
    x = x.flatten(1, 2)
    if norms_embedding(spec):
        x = _norm([model.embedding_norm for model in models], x, one_by_one)
    cosine, sine = models[0].cosine[:length], models[0].sine[:length]
    for blocks in cast("zip[tuple[Block, ...]]", zip(*(model.blocks for model in models), strict=True)):
        attentions, ffns = [block.attention for block in blocks], [block.ffn for block in blocks]
        norms = [block.attention_norm for block in blocks], [block.attention_out_norm for block in blocks]
        mix = partial(_attention, attentions, batch=batch, cosine=cosine, sine=sine)
        x = _joined(blocks[0].rule, x, mix, *norms, one_by_one)
        norms = [block.ffn_norm for block in blocks], [block.ffn_out_norm for block in blocks]
        x = _joined(blocks[0].rule, x, partial(_ffn, ffns), *norms, one_by_one)
    return _norm([model.norm for model in models], x, one_by_one)


def _joined(
    rule: Rule, x: Tensor, branch: Map, norms: Sequence[nn.Module], outs: Sequence[nn.Module | None], one_by_one: bool
) -> Tensor:
    after = [layer for layer in outs if layer is not None]
    return join(
        rule,
        x,
        branch,
        norm=lambda y: _norm(norms, y, one_by_one),
        out_norm=(lambda y: _norm(after, y, one_by_one)) if after else None,
    ).after


def _attention(layers: Sequence[Attention], x: Tensor, *, batch: int, cosine: Tensor, sine: Tensor) -> Tensor:
    """Map (members, batch x length, width) to the same."""
    members, rows, _ = x.shape
    qkv = _linear([layer.qkv for layer in layers], x)
    qkv = qkv.view(members * batch, rows // batch, 3, layers[0].heads, -1)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (members x batch, heads, length, head_dim)
    if layers[0].rotary:
        query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    return _linear([layer.out for layer in layers], mixed.transpose(1, 2).reshape(members, rows, -1))


def _ffn(layers: Sequence[SwiGLU | Gelu], x: Tensor) -> Tensor:
    hidden = layers[0].activation(_linear([layer.into for layer in layers], x))
    return _linear([layer.down for layer in layers], hidden)


def _linear(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    return torch.bmm(x, torch.stack([layer.weight for layer in layers]).mT)


def _norm(layers: Sequence[nn.Module], x: Tensor, one_by_one: bool) -> Tensor:
    one, shape = layers[0], x.shape[-1:]
    assert isinstance(one, nn.RMSNorm | nn.LayerNorm)
    if isinstance(one, nn.LayerNorm) and one_by_one:
        return torch.stack([layer(member) for layer, member in zip(layers, x, strict=True)])
    gains = torch.stack([cast(Tensor, layer.weight) for layer in layers])[:, None]
    if isinstance(one, nn.LayerNorm):
        return F.layer_norm(x, shape, eps=one.eps) * gains
    return F.rms_norm(x, shape, eps=one.eps) * gains

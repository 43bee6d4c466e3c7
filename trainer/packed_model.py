"""Decoders of one shape as one: weights with a leading axis of members, and each product a batch of products.

A step of a small model is mostly the cost of starting its operations; a pack starts each of them once for all its members.
The members stay ordinary decoders and get their gradients where a decoder has them. On a CPU LayerNorm and losses are computed
for one member after another: as fast in its cache, and with the bits of a decoder alone.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.losses import head_loss, token_nats
from trainer.model import Attention, Block, Decoder, Gelu, SwiGLU, rotate


def packed_losses(models: Sequence[Decoder], tokens: Tensor, *, one_by_one: bool) -> Tensor:
    """Mean next-token cross-entropy of each member on its own text in nats/token, (members,).

    Parameters
    ----------
    models : sequence of Decoder
        The members: of one shape and without dropout.
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
    cosine, sine = models[0].cosine[:length], models[0].sine[:length]
    for blocks in cast("zip[tuple[Block, ...]]", zip(*(model.blocks for model in models), strict=True)):
        normed = _norm([block.attention_norm for block in blocks], x, one_by_one)
        x = x + _attention([block.attention for block in blocks], normed.unflatten(1, (batch, length)), cosine, sine)
        normed = _norm([block.ffn_norm for block in blocks], x, one_by_one)
        x = x + _ffn([block.ffn for block in blocks], normed)
    return _norm([model.norm for model in models], x, one_by_one)


def _attention(layers: Sequence[Attention], x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Map (members, batch, length, width) to (members, batch x length, width)."""
    members, batch, length, _ = x.shape
    qkv = _linear([layer.qkv for layer in layers], x.flatten(1, 2))
    qkv = qkv.view(members * batch, length, 3, layers[0].heads, -1)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (members x batch, heads, length, head_dim)
    if layers[0].rotary:
        query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    return _linear([layer.out for layer in layers], mixed.transpose(1, 2).reshape(members, batch * length, -1))


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

"""The decoder: a pre-norm transformer without biases, all in one file; Llama or GPT-2 by the options of its spec.

Sources: RMSNorm, Zhang & Sennrich (1910.07467); rotary positions, Su et al. (2104.09864), in the half-rotation layout of
Llama; SwiGLU, Shazeer (2002.05202); all three together, Touvron et al. (2302.13971). LayerNorm, learned positions and GELU
together are GPT-2, Radford et al. (2019).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from trainer.spec import ModelSpec


class Decoder(nn.Module):
    """A causal language model.

    Parameters
    ----------
    spec : ModelSpec
    vocab_size : int
        Tokens in the vocabulary.
    seed : int
        Seeds the initial weights; the global generator is neither read nor moved.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, spec: ModelSpec, vocab_size: int, *, seed: int) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = skip_init(nn.Embedding, vocab_size, spec.width)
        self.blocks = nn.ModuleList(Block(spec, number) for number in range(spec.depth))
        self.norm = norm(spec)
        self.head = matrix(spec.width, vocab_size)
        if spec.tie_embeddings:
            self.head.weight = self.embedding.weight
        if spec.positions == "learned":
            self.position = skip_init(nn.Embedding, spec.context, spec.width)
        cosine, sine = rotary_table(spec.context, spec.features_per_head, spec.rope_theta)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self._initialise(torch.Generator().manual_seed(seed))

    def features(self, tokens: Tensor) -> Tensor:
        """Normed residual stream (batch, length, width) that the head reads, from token ids (batch, length)."""
        length = tokens.shape[1]
        cosine, sine = self.cosine[:length], self.sine[:length]  # (length, head_dim)
        x = self.embedding(tokens)  # (batch, length, width)
        if self.spec.positions == "learned":
            x = x + self.position.weight[:length]
        x = F.dropout(x, self.spec.dropout, self.training)
        for block in self.blocks:
            x = block(x, cosine, sine)
        return self.norm(x)  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (batch, length, vocab_size) for the next token, from token ids (batch, length)."""
        return self.head(self.features(tokens))  # type: ignore[no-any-return]

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Normal weights of variance 1 / fan-in; what writes to the residual stream divided by sqrt(2 depth), as in GPT-2."""
        residual_scale = 1 / math.sqrt(2 * self.spec.depth)
        nn.init.normal_(self.embedding.weight, std=0.02, generator=generator)
        if not self.spec.tie_embeddings:
            nn.init.normal_(self.head.weight, std=0.02, generator=generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            for linear in (block.attention.qkv, block.ffn.into):
                nn.init.normal_(linear.weight, std=linear.in_features**-0.5, generator=generator)
            for linear in (block.attention.out, block.ffn.down):
                nn.init.normal_(linear.weight, std=residual_scale * linear.in_features**-0.5, generator=generator)
        if self.spec.positions == "learned":
            nn.init.normal_(self.position.weight, std=0.02, generator=generator)


class Block(nn.Module):
    """Pre-norm block: attention, then the feed-forward network, each added to the residual stream."""

    def __init__(self, spec: ModelSpec, number: int) -> None:
        super().__init__()
        self.dropout = spec.dropout
        self.attention_norm = norm(spec)
        self.attention = Attention(spec, spec.heads_by_block[number])
        self.ffn_norm = norm(spec)
        hidden = spec.ffn_widths_by_block[number]
        self.ffn = SwiGLU(spec.width, hidden) if spec.ffn == "swiglu" else Gelu(spec.width, hidden)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Residual stream (batch, length, width) to the same."""
        x = x + F.dropout(self.attention(self.attention_norm(x), cosine, sine), self.dropout, self.training)
        return x + F.dropout(self.ffn(self.ffn_norm(x)), self.dropout, self.training)


class Attention(nn.Module):
    """Causal multi-head attention, with rotary positions where the spec asks for them."""

    def __init__(self, spec: ModelSpec, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.rotary = spec.positions == "rotary"
        self.dropout = spec.dropout
        features = heads * spec.features_per_head
        self.qkv = matrix(spec.width, 3 * features)
        self.out = matrix(features, spec.width)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Map (batch, length, width) to the same."""
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head_dim)
        if self.rotary:
            query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class SwiGLU(nn.Module):
    """Feed-forward network: down(silu(gate(x)) * up(x)), gate and up in one matrix."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.into = matrix(width, 2 * hidden)
        self.down = matrix(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, length, width) to the same."""
        return self.down(self.activation(self.into(x)))  # type: ignore[no-any-return]

    @staticmethod
    def activation(hidden: Tensor) -> Tensor:
        """Hidden features (..., ffn_width) of gates and values (..., 2 ffn_width)."""
        gate, up = hidden.chunk(2, dim=-1)
        return F.silu(gate) * up


class Gelu(nn.Module):
    """Feed-forward network: down(gelu(up(x))), with the exact GELU: its tanh form costs more on a CPU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.into = matrix(width, hidden)
        self.down = matrix(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, length, width) to the same."""
        return self.down(self.activation(self.into(x)))  # type: ignore[no-any-return]

    @staticmethod
    def activation(hidden: Tensor) -> Tensor:
        """Of hidden features (..., ffn_width)."""
        return F.gelu(hidden)


def norm(spec: ModelSpec) -> nn.Module:
    """Normalisation over the width, with a gain and without a bias."""
    if spec.norm == "rms":
        return nn.RMSNorm(spec.width, eps=spec.norm_epsilon)
    return nn.LayerNorm(spec.width, eps=spec.norm_epsilon, bias=False)


def matrix(inputs: int, outputs: int) -> nn.Linear:
    """Linear map without bias whose weights are left for the decoder to draw, from its own generator."""
    return skip_init(nn.Linear, inputs, outputs, bias=False)


def rotary_table(length: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (length, head_dim) of the rotation angles, each frequency twice (half-rotation layout)."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)  # (length, head_dim / 2)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate (batch, heads, length, head_dim) by position."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine

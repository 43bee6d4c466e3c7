"""The decoder: a transformer without biases, all in one file; Llama or GPT-2 by the options of its spec.

Where norms stand and what scales a branch is said by a rule of :mod:`trainer.norms`.

Sources: RMSNorm, Zhang & Sennrich (1910.07467); rotary positions, Su et al. (2104.09864), in the half-rotation layout of
Llama; SwiGLU, Shazeer (2002.05202); all three together, Touvron et al. (2302.13971). LayerNorm, learned positions and GELU
together are GPT-2, Radford et al. (2019).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from trainer.model_spec import ModelSpec
from trainer.norms import Rule, branch_scale, deepnorm_beta, norms_embedding, rules

Map = Callable[[Tensor], Tensor]


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
        self.blocks = nn.ModuleList(Block(spec, number, rule) for number, rule in enumerate(rules(spec)))
        self.embedding_norm = norm(spec) if norms_embedding(spec) else nn.Identity()
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
        x, length = self.embed(tokens), tokens.shape[1]
        cosine, sine = self.cosine[:length], self.sine[:length]  # (length, head_dim)
        for block in self.blocks:
            x = block(x, cosine, sine)
        return self.norm(x)  # type: ignore[no-any-return]

    def embed(self, tokens: Tensor) -> Tensor:
        """Residual stream (batch, length, width) that the first block reads, from token ids (batch, length)."""
        x = self.embedding(tokens)
        if self.spec.positions == "learned":
            x = x + self.position.weight[: tokens.shape[1]]
        return F.dropout(self.embedding_norm(x), self.spec.dropout, self.training)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (batch, length, vocab_size) for the next token, from token ids (batch, length)."""
        return self.head(self.features(tokens))  # type: ignore[no-any-return]

    def count_step(self) -> None:
        """Let blocks that are ramped up know that the optimiser has taken a step."""
        for block in self.blocks:
            assert isinstance(block, Block)
            block.steps += 1

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Normal weights of variance 1 / fan-in, but for what the spec's initialisation says otherwise."""
        nn.init.normal_(self.embedding.weight, std=self.spec.embedding_std, generator=generator)
        if not self.spec.tie_embeddings:
            nn.init.normal_(self.head.weight, std=0.02, generator=generator)
        for number, block in enumerate(self.blocks, start=1):
            assert isinstance(block, Block)
            if self.spec.initialisation == "deepnorm":
                block.draw_xavier(deepnorm_beta(self.spec), generator)
                continue
            for linear in (block.attention.qkv, block.ffn.into):
                nn.init.normal_(linear.weight, std=linear.in_features**-0.5, generator=generator)
            for linear in (block.attention.out, block.ffn.down):
                std = branch_scale(self.spec, number) * linear.in_features**-0.5
                nn.init.normal_(linear.weight, std=std, generator=generator)
        if self.spec.positions == "learned":
            nn.init.normal_(self.position.weight, std=0.02, generator=generator)


class SubLayer(NamedTuple):
    """What a sub-layer does to the residual stream, each (batch, length, width)."""

    stream: Tensor
    """What it adds to."""
    branch: Tensor
    """What it adds."""
    after: Tensor
    """The stream that goes on: their sum, or its norm."""


def join(
    rule: Rule, x: Tensor, branch: Map, *, norm: Map, out_norm: Map | None = None, scale: Tensor | None = None
) -> SubLayer:
    """Join a sub-layer to the residual stream by a rule of :mod:`trainer.norms`.

    Parameters
    ----------
    rule : Rule
    x : Tensor (..., width)
        The stream.
    branch : callable
        The sub-layer itself.
    norm : callable
        N_in or N_sum; no rule has both.
    out_norm : callable, optional
        N_out, where the rule has one.
    scale : Tensor, optional
        b, where it is learned or a ramp.
    """
    added = branch(_times(norm(x), rule.input) if rule.norm_in else x)
    if out_norm is not None:
        added = out_norm(added)
    added = _times(added, rule.output) if scale is None else scale * added
    stream = _times(x, rule.stream)
    total = stream + added
    return SubLayer(stream, added, norm(total) if rule.norm_sum else total)


def _times(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else factor * x


class Block(nn.Module):
    """Attention, then the feed-forward network, each joined to the residual stream by the block's rule."""

    steps: Tensor

    def __init__(self, spec: ModelSpec, number: int, rule: Rule) -> None:
        super().__init__()
        self.dropout = spec.dropout
        self.rule = rule
        normed = rule.norm_in or rule.norm_sum
        self.attention_norm = norm(spec, gain=rule.gain) if normed else nn.Identity()
        self.attention = Attention(spec, spec.heads_by_block[number])
        self.ffn_norm = norm(spec, gain=rule.gain) if normed else nn.Identity()
        hidden = spec.ffn_widths_by_block[number]
        self.ffn = SwiGLU(spec.width, hidden) if spec.ffn == "swiglu" else Gelu(spec.width, hidden)
        self.attention_out_norm = norm(spec) if rule.norm_out else None
        self.ffn_out_norm = norm(spec) if rule.norm_out else None
        learned = {"scalar": 1, "features": spec.width}.get(rule.learned)
        self.attention_scale = None if learned is None else nn.Parameter(torch.full((learned,), rule.start))
        self.ffn_scale = None if learned is None else nn.Parameter(torch.full((learned,), rule.start))
        if rule.ramp:
            self.ramp_steps = rule.ramp * spec.prores_steps
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Residual stream (batch, length, width) to the same."""
        return self.feed(self.attend(x, cosine, sine).after).after

    def attend(self, x: Tensor, cosine: Tensor, sine: Tensor) -> SubLayer:
        """Join attention to the stream."""

        def branch(y: Tensor) -> Tensor:
            return F.dropout(self.attention(y, cosine, sine), self.dropout, self.training)

        scale = self._ramp() if self.rule.ramp else self.attention_scale
        return join(self.rule, x, branch, norm=self.attention_norm, out_norm=self.attention_out_norm, scale=scale)

    def feed(self, x: Tensor) -> SubLayer:
        """Join the feed-forward network to the stream."""

        def branch(y: Tensor) -> Tensor:
            return F.dropout(self.ffn(y), self.dropout, self.training)

        scale = self._ramp() if self.rule.ramp else self.ffn_scale
        return join(self.rule, x, branch, norm=self.ffn_norm, out_norm=self.ffn_out_norm, scale=scale)

    def _ramp(self) -> Tensor:
        return (self.steps / self.ramp_steps).clamp(max=1)

    def draw_xavier(self, beta: float, generator: torch.Generator) -> None:
        """Xavier's normal weights, each matrix by itself; gain ``beta`` but for query and key (DeepNorm)."""
        query, key, value = self.attention.qkv.weight.chunk(3)
        halves = self.ffn.into.weight.chunk(2 if isinstance(self.ffn, SwiGLU) else 1)
        for weight in (query, key):
            nn.init.xavier_normal_(weight, generator=generator)
        for weight in (value, self.attention.out.weight, *halves, self.ffn.down.weight):
            nn.init.xavier_normal_(weight, gain=beta, generator=generator)


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


def norm(spec: ModelSpec, *, gain: float = 1.0) -> nn.Module:
    """Normalisation over the width, with a gain and without a bias."""
    rms = spec.norm == "rms"
    made = (
        nn.RMSNorm(spec.width, eps=spec.norm_epsilon) if rms else nn.LayerNorm(spec.width, eps=spec.norm_epsilon, bias=False)
    )
    nn.init.constant_(made.weight, gain)
    return made


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

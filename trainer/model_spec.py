"""ModelSpec: the shape of a model, how its blocks norm and scale, how its weights begin. Importing it imports no torch."""

import warnings
from dataclasses import dataclass, field
from typing import Literal

from trainer.strict import YOUNGER, require

Scheme = Literal[
    "pre", "post", "mix", "deepnorm", "lns", "lns_gamma_init", "branch_sqrt", "peri", "sandwich", "skipinit", "rezero",
    "layerscale", "prores",
]  # fmt: skip
Initialisation = Literal["plain", "scaled", "depth_scaled", "deepnorm"]
MOST = 2**20
"""Of width, depth, heads and context, so that no list a block or token is without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A pre-norm decoder without biases: Llama as it stands; ``layer``, ``learned`` and ``gelu`` together make it GPT-2."""

    width: int
    """Features of the residual stream."""
    depth: int
    """Transformer blocks."""
    heads: int
    """Attention heads; ``width / heads`` must be an even whole number."""
    ffn_width: int
    """Hidden features of the feed-forward network; 8/3 of ``width`` is usual for SwiGLU, 4 for GELU."""
    context: int = 128
    """Sequence length in tokens."""
    norm: Literal["rms", "layer"] = "rms"
    positions: Literal["rotary", "learned"] = "rotary"
    ffn: Literal["swiglu", "gelu"] = "swiglu"
    dropout: float = 0.0
    """Share of features that training drops after the embedding and each part of a block, and of attention weights."""
    tie_embeddings: bool = True
    """One matrix for embedding and head."""
    head_width: int = 0
    """Features of an attention head; 0 is ``width / heads``."""
    block_heads: tuple[int, ...] = ()
    """Heads of each block, where pruning has left them with different numbers; empty gives each ``heads``."""
    block_ffn_widths: tuple[int, ...] = ()
    """Hidden features of each block's feed-forward network, likewise."""
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-5
    scheme: Scheme = field(default="pre", metadata=YOUNGER)
    """How each sub-layer norms and scales what it adds to the residual stream: a row of :data:`trainer.norms.RULES`."""
    initialisation: Initialisation = field(default="scaled", metadata=YOUNGER)
    """Initial weights: normal of variance 1 / fan-in (``plain``); what writes to the residual stream divided by sqrt(2 depth)
    (``scaled``, GPT-2) or in block l by sqrt(2 l) (``depth_scaled``); ``deepnorm`` is that scheme's own."""
    embedding_std: float = field(default=0.02, metadata=YOUNGER)
    """Standard deviation of the initial embedding."""
    prores_steps: int = field(default=1000, metadata=YOUNGER)
    """Optimiser steps after which the first block is all there, for the scheme ``prores``; block n takes n times as many."""

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads", "ffn_width", "context"):
            require(1 <= getattr(self, name) <= MOST, name, getattr(self, name), f"1 or more, and {MOST:,} at most")
        if self.head_width == 0:
            require(self.width % (2 * self.heads) == 0, "heads", self.heads, f"a divisor of width / 2 = {self.width / 2:g}")
        require(self.head_width >= 0 and self.head_width % 2 == 0, "head_width", self.head_width, "an even number or 0")
        for name in ("block_heads", "block_ffn_widths"):
            each = getattr(self, name)
            good = not each or (len(each) == self.depth and min(each) >= 1)
            require(good, name, list(each), f"{self.depth} numbers of 1 or more, or none")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "a number from 0 to below 1")
        require(self.rope_theta > 0, "rope_theta", self.rope_theta, "a number above 0")
        for name in ("norm_epsilon", "embedding_std", "prores_steps"):
            require(getattr(self, name) > 0, name, getattr(self, name), "a number above 0")
        own = (self.scheme == "deepnorm") == (self.initialisation == "deepnorm")
        require(
            own,
            "initialisation",
            self.initialisation,
            f"{'deepnorm' if self.scheme == 'deepnorm' else 'another'} (scheme is {self.scheme})",
        )
        if self.scheme.startswith("lns") and self.initialisation != "plain":
            warnings.warn(
                f"scheme {self.scheme} with initialisation {self.initialisation} shrinks deep branches twice; LayerNorm "
                "Scaling as published has initialisation plain",
                stacklevel=2,
            )

    @property
    def features_per_head(self) -> int:
        """Features of an attention head."""
        return self.head_width or self.width // self.heads

    @property
    def heads_by_block(self) -> tuple[int, ...]:
        """Attention heads of each block, (depth,)."""
        return self.block_heads or (self.heads,) * self.depth

    @property
    def ffn_widths_by_block(self) -> tuple[int, ...]:
        """Hidden features of each block's feed-forward network, (depth,)."""
        return self.block_ffn_widths or (self.ffn_width,) * self.depth

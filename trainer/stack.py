"""A language model as a stack of blocks around a residual stream: all that measurements block by block need of it."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from trainer.losses import token_nats
from trainer.model import Block, Decoder, SubLayer, join

ATTENTION, FFN = "attention", "ffn"


class Stack(Protocol):
    """Blocks by their number from 0, each called on the stream (batch, length, width) in whatever order is asked for.

    A block stays the block that it was trained as: leaving out others changes no scale of it.
    """

    @property
    def depth(self) -> int:
        """Number of blocks."""

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of a block's sub-layers, in their order; empty where it does not have them one after another."""

    def embed(self, tokens: Tensor) -> Tensor:
        """Stream that the first block reads, from token ids (batch, length); the other methods are for that batch."""

    def block(self, number: int, x: Tensor) -> Tensor:
        """Stream after a block."""

    def parts(self, number: int, x: Tensor) -> tuple[Mapping[str, SubLayer], Tensor]:
        """Sub-layers by name, and the stream after the block."""

    def without(self, number: int, part: str, x: Tensor) -> Tensor:
        """Stream after a block whose sub-layer ``part`` adds nothing."""

    def nats(self, x: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats of targets (batch, length), where the last block leaves the stream ``x``."""


class DecoderStack:
    """Our own decoder.

    Parameters
    ----------
    model : Decoder
    """

    def __init__(self, model: Decoder) -> None:
        self.model = model
        self._blocks = [block for block in model.blocks if isinstance(block, Block)]
        self._length = 0

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self._blocks)

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of a block's sub-layers, in their order."""
        return ATTENTION, FFN

    def embed(self, tokens: Tensor) -> Tensor:
        """Stream that the first block reads."""
        self._length = tokens.shape[1]
        return self.model.embed(tokens)

    def block(self, number: int, x: Tensor) -> Tensor:
        """Stream after a block."""
        return self._feed(number, self._attend(number, x).after).after

    def parts(self, number: int, x: Tensor) -> tuple[Mapping[str, SubLayer], Tensor]:
        """Both sub-layers, and the stream after the block."""
        attention = self._attend(number, x)
        ffn = self._feed(number, attention.after)
        return {ATTENTION: attention, FFN: ffn}, ffn.after

    def without(self, number: int, part: str, x: Tensor) -> Tensor:
        """Stream after a block whose sub-layer ``part`` adds nothing."""
        block = self._blocks[number]
        if part == ATTENTION:
            return self._feed(number, join(block.rule, x, torch.zeros_like, norm=block.attention_norm).after).after
        return join(block.rule, self._attend(number, x).after, torch.zeros_like, norm=block.ffn_norm).after

    def nats(self, x: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of each target in nats."""
        return token_nats(self.model.head(self.model.norm(x)), targets)

    def _attend(self, number: int, x: Tensor) -> SubLayer:
        return self._blocks[number].attend(x, self.model.cosine[: self._length], self.model.sine[: self._length])

    def _feed(self, number: int, x: Tensor) -> SubLayer:
        return self._blocks[number].feed(x)

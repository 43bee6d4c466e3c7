"""A model whose attention somebody else computes: what a prefill needs of it, and our own decoder as such a model."""

from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from trainer.model import Decoder
from trainer.prefill_attention import Mix
from trainer.prefill_plan import Cost


class Runner(Protocol):
    """A causal language model whose attention somebody else computes."""

    @property
    def context(self) -> int:
        """Tokens of a prompt at most."""

    @property
    def cost(self) -> Cost:
        """Of its forward passes, by FLOP."""

    @property
    def weight(self) -> Tensor:
        """One of its weights, for device and precision."""

    def run(self, tokens: Tensor, positions: Tensor, attend: Mix, ends: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (n, vocab_size) of some slots.

        Parameters
        ----------
        tokens, positions : Tensor (rows, width)
        attend : callable
            Called once a layer, in their order, with rotated queries and keys.
        ends : tuple of Tensor (n,)
            Rows and columns of the slots.
        """


class DecoderRunner:
    """Our own decoder, whose blocks run as they are.

    Parameters
    ----------
    model : Decoder
    """

    def __init__(self, model: Decoder) -> None:
        self._model = model

    @property
    def context(self) -> int:
        """Tokens of a prompt at most."""
        return self._model.spec.context

    @property
    def cost(self) -> Cost:
        """Of its forward passes, by FLOP."""
        spec = self._model.spec
        weights = sum(weight.numel() for weight in self._model.blocks.parameters())
        return Cost(pair=2 * spec.features_per_head * sum(spec.heads_by_block) / weights)

    @property
    def weight(self) -> Tensor:
        """One of its weights."""
        return self._model.head.weight

    def run(self, tokens: Tensor, positions: Tensor, attend: Mix, ends: tuple[Tensor, Tensor]) -> Tensor:
        """Logits of some slots."""
        model = self._model
        x = model.embedding(tokens)
        if model.spec.positions == "learned":
            x = x + model.position.weight[positions]
        x = model.embedding_norm(x)
        cosine, sine = (table[positions][:, None] for table in (model.cosine, model.sine))  # (rows, 1, width, head_dim)
        with _Attending(attend):
            for block in model.blocks:
                x = block(x, cosine, sine)
        logits: Tensor = model.head(model.norm(x[ends]))
        return logits


class _Attending(TorchFunctionMode):
    """Has another function answer calls of scaled_dot_product_attention, so that blocks need no hook for it."""

    def __init__(self, attend: Mix) -> None:
        super().__init__()
        self._attend = attend

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return self._attend(*args)
        return func(*args, **(kwargs or {}))

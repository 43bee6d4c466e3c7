"""Prefill of public models, unmodified: any causal model of transformers whose attention goes through its AttentionInterface.

The model's own code embeds, rotates and projects; its attention is a function of ours, registered by name, that gets what a
call needs as a keyword. Needs the extra ``hub``.

Known failures: attention that is no softmax over all earlier tokens of the prompt (sliding windows shorter than the prompt,
capped scores, sinks) is refused; state-space layers have no attention to replace and leak from prompt to prompt, so a model
whose layers do not all call attention is refused too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from curselab.errors import InputError
from trainer.prefill_attention import Mix
from trainer.prefill_plan import Cost

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

    from trainer.prefill import Prefill

NAME = "curselab_prefill"
_UNLIKE = ("softcap", "s_aux")  # capped scores, sinks


class HubRunner:
    """A causal language model of transformers as a :class:`trainer.prefill_model.Runner`.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode.

    Raises
    ------
    InputError
        The extra ``hub`` is not installed, or the model has no attention that can be replaced.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        try:
            from transformers import AttentionInterface
        except ImportError:
            raise InputError(
                f"model {type(model).__name__}: no transformers with an AttentionInterface is installed; install the extra:"
                " pip install curselab[hub]"
            ) from None
        head = getattr(model, "get_output_embeddings", lambda: None)()
        if not isinstance(head, nn.Module) or not getattr(model, "_supports_attention_backend", False):
            raise InputError(
                f"model {type(model).__name__}: has no attention that can be replaced; a causal language model of"
                " transformers that supports its AttentionInterface is needed, or trainer.model.Decoder"
            )
        AttentionInterface.register(NAME, _attention)
        self._model, self._head = model, head
        self._config = model.config.get_text_config()

    @property
    def context(self) -> int:
        """Tokens of a prompt at most."""
        return int(self._config.max_position_embeddings)

    @property
    def cost(self) -> Cost:
        """Of its forward passes, by FLOP."""
        config, embedding = self._config, self._model.get_input_embeddings()
        outside = {id(weight) for part in (self._head, embedding) for weight in part.parameters()}
        weights = sum(weight.numel() for weight in self._model.parameters() if id(weight) not in outside)
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return Cost(pair=2 * config.num_hidden_layers * config.num_attention_heads * head_dim / weights)

    @property
    def weight(self) -> Tensor:
        """One of its weights."""
        weight: Tensor = next(self._model.parameters())
        return weight

    def run(self, tokens: Tensor, positions: Tensor, attend: Mix, ends: tuple[Tensor, Tensor]) -> Tensor:
        """Logits of some slots."""
        called = 0

        def counted(*args: Any) -> Tensor:
            nonlocal called
            called += 1
            return attend(*args)

        def only_ends(head: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
            return (args[0][ends][None],)

        with _attention_of(self._model), _hooked(self._head, only_ends):
            extra = {"prefill_attend": counted, "prefill_longest": int(positions.max()) + 1}
            out = self._model(tokens, position_ids=positions, use_cache=False, **extra)
        if called != self._config.num_hidden_layers:
            raise InputError(
                f"model {type(self._model).__name__}: {called} of {self._config.num_hidden_layers} layers have attention that"
                " goes through AttentionInterface, all are needed"
            )
        logits: Tensor = out.logits[0]
        return logits


def dynamic_cache(begun: "Prefill", prompts: Sequence[int] | None = None) -> tuple["DynamicCache", Tensor]:
    """Cache of some prompts as ``generate`` takes it, and its attention mask (prompts, longest).

    Parameters
    ----------
    begun : Prefill
    prompts : sequence of int, optional
        Numbers of prompts; all when left out. Caches of equal length are stacked, of unequal length padded on the left, which
        copies them layer by layer; that of a single prompt stays a view.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    numbers = range(len(begun.prompts)) if prompts is None else prompts
    chosen = [begun.caches[number] for number in numbers]
    lengths = torch.tensor([len(begun.prompts[number]) for number in numbers])
    width = int(lengths.max())
    cache = DynamicCache()
    for layers in zip(*chosen, strict=True):
        layer = DynamicLayer()
        key, value = (_stacked([pair[which] for pair in layers], width) for which in (0, 1))
        layer.lazy_initialization(key, value)
        layer.keys, layer.values = key, value
        cache.layers.append(layer)
    mask = torch.arange(width) >= width - lengths[:, None]
    return cache, mask.long().to(begun.logits.device)


@contextmanager
def refuse_leaks(model: "PreTrainedModel") -> Iterator[None]:
    """Refuse, within the context, packed rows whose prompts would see each other.

    transformers 5 tells packed rows from their restarting ``position_ids``, but only without a cache. With one, it attends
    across prompts and says nothing.

    Raises
    ------
    InputError
        On such a call: positions of a row do not rise one by one, a cache is used, and no mask of four dimensions is given.
    """
    handle = model.register_forward_pre_hook(_refuse_leak, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _refuse_leak(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    positions, mask, cached = (kwargs.get(name) for name in ("position_ids", "attention_mask", "use_cache"))
    if cached is None:
        cached = getattr(model.config, "use_cache", True)
    if positions is None or kwargs.get("cu_seq_lens_q") is not None:  # FlashAttention is told where prompts end
        return
    if not cached and kwargs.get("past_key_values") is None:
        return
    masked = mask is not None and mask.dim() == 4
    real = None if mask is None or masked else mask[..., -positions.shape[-1] :].bool()
    if not masked and _restarts(positions, real):
        raise InputError(
            f"model {type(model).__name__}: position_ids restart within a row while a cache is used, so transformers would let"
            " prompts see each other; call trainer.prefill.prefill, or give a mask of four dimensions or use_cache=False"
        )


def _restarts(positions: Tensor, real: Tensor | None) -> bool:
    """Tell whether positions (rows, width) do anything but rise by one, where neither of two neighbours is a pad."""
    odd = positions.diff(dim=-1) != 1
    if real is not None:
        odd &= real[..., 1:] & real[..., :-1]
    return bool(odd.any())


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention (rows, width, heads, head_dim) by the function that the call has brought along."""
    odd = [name for name in _UNLIKE if kwargs.get(name) is not None]
    window, longest = kwargs.get("sliding_window"), kwargs["prefill_longest"]
    if odd or (window is not None and window < longest):
        given = odd[0] if odd else f"a sliding window of {window} tokens for a prompt of {longest}"
        raise InputError(f"model: its attention has {given}, attention to all earlier tokens is needed")
    mixed = kwargs["prefill_attend"](query, key, value, kwargs.get("scaling"))
    return mixed.transpose(1, 2), None


@contextmanager
def _attention_of(model: "PreTrainedModel") -> Iterator[None]:
    """Have a model use our attention, and then its own again."""
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _hooked(module: nn.Module, hook: Any) -> Iterator[None]:
    handle = module.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _stacked(parts: Sequence[Tensor], width: int) -> Tensor:
    """Keys or values (prompts, kv_heads, width, head_dim) of one layer, padded on the left."""
    if len(parts) == 1:
        return parts[0][None]
    heads, _, head_dim = parts[0].shape
    stacked = parts[0].new_zeros(len(parts), heads, width, head_dim)
    for row, part in zip(stacked, parts, strict=True):
        row[:, width - part.shape[1] :] = part
    return stacked

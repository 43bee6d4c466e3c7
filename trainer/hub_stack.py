"""Public checkpoints measured block by block, as our own runs are: any causal language model of transformers with layers.

Nothing is known of a model but that its layers are called one after another on the residual stream. Its own code embeds,
builds masks and positions, and reads the last stream, while the layers let pass what they are given; a layer is then called
by itself with what the model handed to it.

Needs the extra ``hub``; code that comes with a checkpoint is never run.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from curselab.errors import InputError
from trainer.layer_losses import loss_rows
from trainer.layer_streams import Measured, stream_rows
from trainer.losses import token_nats
from trainer.model import SubLayer
from trainer.stack import ATTENTION, FFN

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_checkpoint(name: str, *, revision: str = "") -> "PreTrainedModel":
    """Load a causal language model in evaluation mode.

    Parameters
    ----------
    name : str
        Name on the Hub, or a local folder.
    revision : str
        Commit of the Hub, 40 hex digits; none for a folder.

    Raises
    ------
    InputError
        The extra ``hub`` is not installed, the commit is not pinned, or there is no such model.
    """
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise InputError(
            f"model {name!r}: transformers is not installed; install the extra: pip install curselab[hub]"
        ) from None
    if not Path(name).is_dir() and len(revision) != 40:
        raise InputError(f"model {name!r}: revision {revision!r} was given, a commit of 40 hex digits is needed")
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            name, revision=revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise InputError(f"model {name!r}: cannot be loaded, {str(error).splitlines()[0]}") from None
    return model.eval()


def measure_checkpoint(model: "PreTrainedModel", windows: Tensor) -> list[Measured]:
    """Measure streams and ablations of a public model on some text.

    Parameters
    ----------
    model : PreTrainedModel
    windows : Tensor (n_windows, length + 1)
        Token ids of whole windows of text, without padding.
    """
    stack = HubStack(model)
    return [*stream_rows(stack, windows), *loss_rows(stack, windows)]


class HubStack:
    """A causal language model of transformers as a :class:`trainer.stack.Stack`.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode.

    Raises
    ------
    InputError
        The model has no list of as many layers as its configuration says.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self.model = model
        depth = model.config.get_text_config().num_hidden_layers
        lists = [found for found in model.modules() if isinstance(found, nn.ModuleList) and len(found) == depth]
        if not lists:
            raise InputError(f"model {type(model).__name__}: has no list of {depth} layers to measure")
        self._layers: list[nn.Module] = list(lists[0])
        self._calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._tokens = torch.zeros(1, 4, dtype=torch.long)
        self._tuples = False
        with torch.no_grad():
            self._tuples = self._returns_tuples()
            parts, _ = self.parts(0, self.embed(self._tokens.to(model.device)))
        self.part_names = tuple(parts)
        """Attention and feed-forward network; empty where both read the same stream."""

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self._layers)

    def embed(self, tokens: Tensor) -> Tensor:
        """Stream that the first layer reads."""
        self._tokens, self._calls = tokens, []
        streams: list[Tensor] = []

        def remember(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            streams.append(x)
            self._calls.append((args, kwargs))
            return x

        self._run([remember] * self.depth)
        return streams[0]

    def block(self, number: int, x: Tensor) -> Tensor:
        """Stream after a layer."""
        args, kwargs = self._calls[number]
        return _first(self._layers[number](x, *args, **kwargs))

    def parts(self, number: int, x: Tensor) -> tuple[Mapping[str, SubLayer], Tensor]:
        """Attention and feed-forward network, where the second reads what the first has written."""
        seen: list[tuple[nn.Module, Tensor, Tensor]] = []

        def see(child: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            seen.append((child, args[0] if args else kwargs["hidden_states"], _first(output)))

        with ExitStack() as hooks:
            for child in self._layers[number].children():
                hooks.callback(child.register_forward_hook(see, with_kwargs=True).remove)
            after = self.block(number, x)
        ffn = _child(self._layers[number], FFN)
        (read,) = [given for child, given, _ in seen if child is ffn] or [x]
        # what it reads is the stream between the two, or the norm of it
        between = next((given for child, given, found in seen if found is read and child is not ffn), read)
        if between is x:
            return {}, after
        return {ATTENTION: SubLayer(x, between - x, between), FFN: SubLayer(between, after - between, after)}, after

    def without(self, number: int, part: str, x: Tensor) -> Tensor:
        """Stream after a layer whose sub-layer ``part`` gives zeros."""

        def silence(child: nn.Module, args: object, output: Any) -> Any:
            nothing = torch.zeros_like(_first(output))
            return (nothing, *output[1:]) if isinstance(output, tuple) else nothing

        child = _child(self._layers[number], part)
        assert child is not None
        handle = child.register_forward_hook(silence)
        try:
            return self.block(number, x)
        finally:
            handle.remove()

    def nats(self, x: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of each target in nats."""

        def passed(y: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return y

        def last(y: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return x

        return token_nats(self._run([passed] * (self.depth - 1) + [last]), targets)

    def _run(self, layers: list[Callable[..., Tensor]]) -> Tensor:
        """Logits of the model where its layers do something else than what they do."""
        with _replaced(self._layers, layers, as_tuple=self._tuples):
            return self.model(self._tokens, use_cache=False).logits

    def _returns_tuples(self) -> bool:
        outputs: list[Any] = []
        handle = self._layers[0].register_forward_hook(lambda layer, args, output: outputs.append(output))
        self.model(self._tokens.to(self.model.device), use_cache=False)
        handle.remove()
        return isinstance(outputs[0], tuple)


@contextmanager
def _replaced(layers: list[nn.Module], functions: list[Callable[..., Tensor]], *, as_tuple: bool) -> Iterator[None]:
    def forward(function: Callable[..., Tensor]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            x = function(*args, **kwargs) if args else function(kwargs.pop("hidden_states"), **kwargs)
            return (x,) if as_tuple else x

        return call

    with ExitStack() as undo:
        for layer, function in zip(layers, functions, strict=True):
            layer.forward = forward(function)  # type: ignore[method-assign]
            undo.callback(layer.__dict__.pop, "forward")
        yield


NAMES = {ATTENTION: ("self_attn", "attn", "attention", "self_attention"), FFN: ("mlp", "feed_forward", "ffn")}


def _child(layer: nn.Module, part: str) -> nn.Module | None:
    children = dict(layer.named_children())
    return next((children[name] for name in NAMES[part] if name in children), None)


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output

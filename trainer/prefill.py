"""Prefill: the keys, values and last logits of many prompts, by one of several methods with one and the same result.

Generation goes on from any of them: the cache of a prompt is a view into that of its call, without pads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from curselab.errors import InputError
from trainer.model import Decoder
from trainer.prefill_attention import Continuation, KeyValue, Recorder, mix_of
from trainer.prefill_model import DecoderRunner, Runner
from trainer.prefill_plan import Call, Cost, Method, plan

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Cache = tuple[KeyValue, ...]
"""Keys and values of a prompt by layer, each (kv_heads, length, head_dim)."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """What generation goes on from."""

    prompts: tuple[Tensor, ...]
    """Token ids, (length,) each."""
    logits: Tensor
    """For the token after each prompt, (prompts, vocab_size)."""
    caches: tuple[Cache, ...]
    """By prompt."""


@torch.no_grad()
def prefill(
    model: "Decoder | PreTrainedModel",
    prompts: Sequence[Sequence[int] | Tensor],
    *,
    method: Method = "token_stream",
    budget: int | None = None,
    cost: Cost | None = None,
) -> Prefill:
    """Run a model over prompts.

    Parameters
    ----------
    model : Decoder or PreTrainedModel
        In evaluation mode: ours, or an unmodified model of transformers whose attention goes through its AttentionInterface
        (extra ``hub``).
    prompts : sequence of sequence of int
        Token ids of each prompt, 1 or more.
    method : str
        One of ``trainer.prefill_plan.METHODS``. All give the same, in other times and with other memory.
    budget : int, optional
        Slots of a forward pass at most, of methods that have several of them.
    cost : Cost, optional
        What ``buckets`` are chosen by; that of the model's FLOP when left out.

    Returns
    -------
    Prefill
        In the order of the prompts.

    Raises
    ------
    InputError
        No prompts, an empty or too long one, a model in training mode, or one that cannot be run so.
    """
    runner = runner_of(model)
    device = runner.weight.device
    ids = tuple(torch.as_tensor(prompt, dtype=torch.long, device=device) for prompt in prompts)
    lengths = [len(prompt) for prompt in ids]
    if not ids or max(lengths) > runner.context:
        raise InputError(
            f"prompts: {len(ids)} of at most {max(lengths, default=0)} tokens were given, one or more of 1 to {runner.context}"
            " are needed"
        )
    logits: list[Tensor] = [torch.empty(0)] * len(ids)
    caches: list[Cache] = [()] * len(ids)
    for call in plan(lengths, method, budget=budget, cost=cost or runner.cost):
        recorder = Recorder(mix_of(call, device, runner.weight.dtype))
        last = runner.run(*_slots(call, ids, device), recorder, _ends(call, device))
        for place, row in zip(call.places, last, strict=True):
            logits[place.prompt] = row
            cut = slice(place.start, place.start + place.length)
            caches[place.prompt] = tuple(
                KeyValue(key[place.row, :, cut], value[place.row, :, cut]) for key, value in recorder.layers
            )
    return Prefill(ids, torch.stack(logits), tuple(caches))


@torch.no_grad()
def continue_greedily(model: "Decoder | PreTrainedModel", begun: Prefill, tokens: int) -> Tensor:
    """Most likely continuation of each prompt from its own cache, one prompt after another, (prompts, tokens).

    Raises
    ------
    InputError
        A prompt and its continuation are longer than the model's context.
    """
    runner = runner_of(model)
    longest = max(len(prompt) for prompt in begun.prompts)
    if longest + tokens - 1 > runner.context:
        raise InputError(f"tokens: {tokens} was given after a prompt of {longest}, the model reads {runner.context}")
    first = torch.zeros(1, dtype=torch.long, device=runner.weight.device)
    rows = []
    for prompt, logits, cache in zip(begun.prompts, begun.logits, begun.caches, strict=True):
        found = [logits.argmax()]
        for position in range(len(prompt), len(prompt) + tokens - 1):
            step = Continuation(cache)
            at = torch.full((1, 1), position, device=first.device)
            logits = runner.run(found[-1].view(1, 1), at, step, (first, first))
            found.append(logits[0].argmax())
            cache = step.layers
        rows.append(torch.stack(found))
    return torch.stack(rows)


def runner_of(model: "Decoder | PreTrainedModel") -> Runner:
    """Wrap a model."""
    if model.training:
        raise InputError(f"model {type(model).__name__}: is in training mode, evaluation mode is needed")
    if isinstance(model, Decoder):
        return DecoderRunner(model)
    from trainer.hub_prefill import HubRunner

    return HubRunner(model)


def _slots(call: Call, prompts: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and positions, (rows, width) each; pads hold token and position 0."""
    within = [torch.arange(place.length) for place in call.places]
    firsts = [place.row * call.width + place.start for place in call.places]
    slots = torch.cat([at + first for at, first in zip(within, firsts, strict=True)]).to(device)
    tokens, positions = torch.zeros(2, call.rows * call.width, dtype=torch.long, device=device)
    tokens[slots] = torch.cat([prompts[place.prompt] for place in call.places])
    positions[slots] = torch.cat(within).to(device)
    return tokens.view(call.rows, call.width), positions.view(call.rows, call.width)


def _ends(call: Call, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns of the last tokens of the prompts."""
    at = torch.tensor([(place.row, place.start + place.length - 1) for place in call.places], device=device)
    return at[:, 0], at[:, 1]

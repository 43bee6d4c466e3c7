"""What a model is trained on: the text, or a frozen teacher's distribution over that text."""

import numpy as np
import torch
from torch import Tensor

from trainer.losses import distillation_loss, text_loss
from trainer.model import Decoder
from trainer.spec import ObjectiveSpec, RunSpec


def objective_loss(objective: ObjectiveSpec, model: Decoder, batch: Tensor, taught: Tensor | None) -> Tensor:
    """Mean loss in nats/token.

    Parameters
    ----------
    objective : ObjectiveSpec
    model : Decoder
    batch : Tensor (batch, context + 1)
        Token ids.
    taught : Tensor (batch, context, vocab_size) or None
        The teacher's logits, for ``distill``.
    """
    if taught is None:
        return text_loss(model, batch)
    return distillation_loss(
        model(batch[:, :-1]), taught, batch[:, 1:], weight=objective.distill_weight, temperature=objective.temperature
    )


@torch.no_grad()
def teacher_logits(teacher: Decoder | None, batch: Tensor) -> Tensor | None:
    """Logits (batch, context, vocab_size) of a frozen teacher; None without one."""
    return None if teacher is None else teacher(batch[:, :-1])


def seed_dropout(spec: RunSpec, number: int, *, rank: int = 0) -> None:
    """Seed what dropout draws from for batch ``number``: the same whatever this process did before.

    Torch's dropout has no generator of its own, so this sets the process's; a model without dropout leaves it alone.
    """
    if spec.model.dropout > 0:
        (state,) = np.random.SeedSequence((spec.seed, number, rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(state >> np.uint64(1)))

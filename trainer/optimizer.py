"""The optimiser and its schedule, as every backend that has one model uses them."""

from typing import Any

from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from trainer.model import Decoder
from trainer.schedule import factor_at
from trainer.spec import RunSpec


def make_optimizer(spec: RunSpec, model: Decoder, moments: dict[int, Any] | None = None) -> tuple[AdamW, LambdaLR]:
    """AdamW with a weight decay for each group of parameters, and the schedule, to be stepped once an optimiser step.

    Parameters
    ----------
    spec : RunSpec
    model : Decoder
    moments : dict, optional
        State of another run's optimiser to go on from.
    """
    chosen, named = spec.optimizer, list(model.named_parameters())
    inner = [p for name, p in named if p.ndim >= 2 and name.startswith("blocks.")]
    outer = [p for name, p in named if p.ndim >= 2 and not name.startswith("blocks.")]
    gains = [p for _, p in named if p.ndim < 2]
    optimizer = AdamW(
        [
            {"params": inner, "weight_decay": chosen.weight_decay},
            {"params": outer, "weight_decay": chosen.weight_decay_embedding},
            {"params": gains, "weight_decay": chosen.weight_decay_norm},
        ],
        lr=chosen.learning_rate,
        betas=(chosen.beta1, chosen.beta2),
        eps=chosen.epsilon,
        fused=True,
    )
    if spec.model.scheme == "prores":
        optimizer.register_step_post_hook(lambda *_: model.count_step())
    if moments is not None:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return optimizer, LambdaLR(optimizer, lambda step: factor_at(spec, step))

"""The optimiser and its schedule, as every backend that has one model uses them."""

from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from trainer.model import Decoder
from trainer.schedule import learning_rate_factor
from trainer.spec import RunSpec


def make_optimizer(spec: RunSpec, model: Decoder) -> tuple[AdamW, LambdaLR]:
    """AdamW without weight decay on norm gains, and the schedule, to be stepped once an optimiser step."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    gains = [p for p in model.parameters() if p.ndim < 2]
    chosen = spec.optimizer
    optimizer = AdamW(
        [{"params": matrices, "weight_decay": chosen.weight_decay}, {"params": gains, "weight_decay": 0.0}],
        lr=chosen.learning_rate,
        betas=(chosen.beta1, chosen.beta2),
        eps=chosen.epsilon,
        fused=True,
    )
    schedule, steps = spec.schedule, spec.steps
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate_factor(schedule, step, steps))

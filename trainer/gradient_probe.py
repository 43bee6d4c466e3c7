"""The probe that compares the gradients of two domains, and how far the blocks have moved from where the run began.

==================================  ==========================================================================================
metric                              meaning
==================================  ==========================================================================================
``gradient_norm``                   norm of the gradient of a domain's loss on fixed windows, over all weights
``gradient_cosine``                 cosine of the gradients of the first and the second domain of ``evaluation.domains``
``weight_change_bottom_over_top``   mean over tensors of norm(w - w0) / norm(w0) in the lower half of the blocks, over that in
                                    the upper half; a block in the middle is in neither
==================================  ==========================================================================================

Guo et al. (2024, arXiv:2406.14833) explain the stability gap by a gradient for old abilities that is small at first, and show
the last ratio, of single weights; norms of tensors do not blow up where a weight is near zero.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.evaluation import ALL, spaced_steps
from trainer.losses import text_loss
from trainer.model import Decoder
from trainer.spec import RunSpec


class GradientProbe:
    """Measures where questions are asked; nothing is drawn, nothing is changed.

    Parameters
    ----------
    spec : RunSpec
    batches : mapping
        Two domains -> windows (n_windows, context + 1) of their validation text.
    """

    def __init__(self, spec: RunSpec, batches: Mapping[str, Tensor]) -> None:
        self.spec = spec
        self.batches = batches
        self.steps = set(spaced_steps(spec.steps, spec.evaluation.question_factor))
        self.rows: list[dict[str, Any]] = []
        """Of the table ``metrics``, without sweep and run id."""
        self._start: list[Tensor] = []

    def begin(self, model: Decoder) -> None:
        """Measure before the first step, and remember the weights."""
        self._start = [parameter.detach().clone() for block in model.blocks for parameter in block.parameters()]
        self._measure(0, model)

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """Measure where it is due."""
        if step in self.steps:
            self._measure(step, model)

    def state_dict(self) -> dict[str, Any]:
        """Rows, and the weights before the first step."""
        return {"rows": self.rows, "start": self._start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self.rows, self._start = list(state["rows"]), list(state["start"])

    def _measure(self, step: int, model: Decoder) -> None:
        was_training = model.training
        model.eval()
        gradients = {domain: _gradient(model, batch) for domain, batch in self.batches.items()}
        model.train(was_training)
        (first, one), (_, other) = gradients.items()
        for domain, gradient in gradients.items():
            self._record(step, domain, "gradient_norm", float(gradient.norm()))
        self._record(step, first, "gradient_cosine", float(torch.cosine_similarity(one, other, dim=0)))
        if step > 0:
            self._record(step, ALL, "weight_change_bottom_over_top", self._balance(model))

    def _balance(self, model: Decoder) -> float:
        changes, before = [], iter(self._start)
        for block in model.blocks:
            pairs = [(parameter.detach(), next(before).to(parameter.device)) for parameter in block.parameters()]
            changes.append([float((now - then).norm() / then.norm()) for now, then in pairs if then.any()])
        half = len(changes) // 2
        bottom, top = sum(changes[:half], []), sum(changes[len(changes) - half :], [])
        return math.fsum(bottom) / len(bottom) * len(top) / math.fsum(top) if any(bottom) and any(top) else math.nan

    def _record(self, step: int, domain: str, metric: str, value: float) -> None:
        if math.isfinite(value):
            at = {"step": step, "tokens": step * self.spec.tokens_per_step, "split": "validation"}
            self.rows.append({**at, "domain": domain, "metric": metric, "value": value})


def _gradient(model: Decoder, batch: Tensor) -> Tensor:
    """Gradient of the mean loss on a batch as one vector, in double precision."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = text_loss(model, batch.to(model.embedding.weight.device))
    return torch.cat([part.double().flatten() for part in torch.autograd.grad(loss, parameters)])

"""The probe that measures a run block by block, before its first step, where it is evaluated, and after its last step."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from trainer.evaluation import evaluation_steps
from trainer.layer_losses import loss_rows
from trainer.layer_streams import Measured, stream_rows
from trainer.model import Decoder
from trainer.spec import RunSpec
from trainer.stack import DecoderStack


class LayerProbe:
    """Streams at every step that is due, losses of ablations after the last one; nothing is drawn, nothing is changed.

    Parameters
    ----------
    spec : RunSpec
    streams : Tensor (n_windows, context + 1)
        Validation text on which streams are measured.
    losses : Tensor (n_windows, context + 1) or None
        That on which ablations are.
    """

    def __init__(self, spec: RunSpec, streams: Tensor, losses: Tensor | None) -> None:
        self.spec = spec
        self.steps = set(evaluation_steps(spec))
        self.rows: list[dict[str, Any]] = []
        """Of the table ``layers``, without sweep and run id; what is not finite leaves none."""
        self.streams = streams
        self.losses = losses

    def begin(self, model: Decoder) -> None:
        """Measure the initial weights."""
        self._measure(0, model)

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """Measure where it is due."""
        if step in self.steps:
            self._measure(step, model)

    def state_dict(self) -> dict[str, Any]:
        """Rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self.rows = list(state["rows"])

    def _measure(self, step: int, model: Decoder) -> None:
        was_training, device = model.training, model.embedding.weight.device
        model.eval()
        self._record(step, stream_rows(DecoderStack(model), self.streams.to(device)))
        if self.losses is not None and step == self.spec.steps:
            self._record(step, loss_rows(DecoderStack(model), self.losses.to(device), self.spec.probes.ablations))
        model.train(was_training)

    def _record(self, step: int, found: Iterable[Measured]) -> None:
        at = {"step": step, "tokens": step * self.spec.tokens_per_step}
        self.rows += [at | one._asdict() for one in found if math.isfinite(one.value)]

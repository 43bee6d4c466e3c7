"""The Lightning module: model, objective, optimiser and schedule, and nothing about files or logging."""

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from trainer.model import Decoder
from trainer.objective import objective_loss, teacher_logits
from trainer.optimizer import make_optimizer
from trainer.spec import RunSpec
from trainer.stream import StepStream, Windows


class LanguageModule(L.LightningModule):
    """Train a decoder on text, or on a frozen teacher's distribution over that text.

    Parameters
    ----------
    spec : RunSpec
    model : Decoder
    windows : Windows
        The split to train on.
    teacher : Decoder, optional
        Needed when the objective is ``distill``.
    """

    def __init__(self, spec: RunSpec, model: Decoder, windows: Windows, teacher: Decoder | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.model = model
        self.windows = windows
        # in a tuple, so that the teacher is neither trained nor saved with the student
        self._teacher = () if teacher is None else (teacher.eval().requires_grad_(False),)
        self._first_step = 0

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Loss in nats/token of token ids (batch, context + 1)."""
        taught = teacher_logits(self._teacher[0] if self._teacher else None, batch)
        return objective_loss(self.spec.objective, self.model, batch, taught)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, and the schedule stepped once an optimiser step."""
        optimizer, scheduler = make_optimizer(self.spec, self.model)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def train_dataloader(self) -> StepStream:
        """Step-indexed batches; this device's share of each."""
        stream = StepStream(
            self.windows,
            self.spec.training.batch_sequences,
            seed=self.spec.seed,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )
        stream.step = self._first_step
        return stream

    def on_fit_start(self) -> None:
        """Bring the teacher to the student's device."""
        for teacher in self._teacher:
            teacher.to(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Go on with the batch after the last one that was trained on."""
        self._first_step = int(checkpoint["global_step"])  # type: ignore[call-overload]

"""The Lightning module: model, objective, optimiser and schedule, and nothing about files or logging."""

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.distributed.fsdp import fully_shard

from trainer.objective import objective_loss, seed_dropout, teacher_logits
from trainer.optimizer import make_optimizer
from trainer.stream import StepStream, make_stream
from trainer.training import Training


class LanguageModule(L.LightningModule):
    """One run's training as Lightning sees it.

    Parameters
    ----------
    training : Training
    """

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.training_of_run = training
        self.spec = training.spec
        self.model = training.model
        # in a list, so that the teacher is no part of the checkpoint
        self._teacher = [] if training.teacher is None or training.teacher.model is None else [training.teacher.model]
        self._first_step = 0
        if self.spec.compute.compile:
            self.model.compile()

    def configure_model(self) -> None:
        """Share the model out among the devices, block by block, where the spec asks for it."""
        if self.spec.compute.strategy == "fsdp":
            mesh = self.device_mesh["data_parallel"]  # type: ignore[index]
            for block in (*self.model.blocks, self.model):
                fully_shard(block, mesh=mesh)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Loss in nats/token of token ids (batch, context + 1)."""
        parts = self.spec.training.accumulate
        seed_dropout(self.spec, self.global_step * parts + batch_idx % parts, rank=self.global_rank)
        taught = teacher_logits(self._teacher[0] if self._teacher else None, batch)
        return objective_loss(self.spec.objective, self.model, batch, taught)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, and the schedule stepped once an optimiser step."""
        optimizer, scheduler = make_optimizer(self.spec, self.model, self.training_of_run.moments)
        # else Lightning refuses to clip beside a fused optimiser in mixed precision; bfloat16 needs no scaling of gradients
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def train_dataloader(self) -> StepStream:
        """Batches by their number; this device's share of each."""
        windows, rank, devices = self.training_of_run.windows, self.trainer.global_rank, self.trainer.world_size
        stream = make_stream(self.spec, windows, rank=rank, world_size=devices)
        stream.position = self._first_step * self.spec.training.accumulate
        return stream

    def on_fit_start(self) -> None:
        """Bring the teacher to the student's device."""
        for teacher in self._teacher:
            teacher.to(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Go on with the batch after the last one that was trained on."""
        self._first_step = int(checkpoint["global_step"])  # type: ignore[call-overload]

"""The reference backend: one run a fit of Lightning's Trainer, on any accelerator and number of devices."""

import logging
import warnings

import lightning as L
import torch

from trainer.callbacks import ProbeCallback
from trainer.checkpoint import resumable
from trainer.module import LanguageModule
from trainer.training import Training

# per-run notices of Lightning say nothing that a spec does not; a thousand runs repeat them a thousand times
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def fit(training: Training) -> None:
    """Train one run to its end, or until its loss is no longer finite."""
    spec, checkpointer = training.spec, training.checkpointer
    torch.set_num_threads(spec.compute.threads)
    module = LanguageModule(spec, training.model, training.windows, training.teacher)
    checkpoint = None if checkpointer is None else resumable(checkpointer.path, checkpointer.fingerprint)
    callbacks: list[L.Callback] = [ProbeCallback(training.probes)]
    trainer = L.Trainer(
        accelerator=spec.compute.accelerator,
        devices=spec.compute.devices,
        precision=spec.compute.precision,
        max_steps=spec.steps,
        max_epochs=-1,
        gradient_clip_val=spec.optimizer.grad_clip or None,
        deterministic=True,
        use_distributed_sampler=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks if checkpointer is None else [*callbacks, checkpointer],
    )
    with warnings.catch_warnings():
        # raised inside Lightning 2.6 under torch 2.13, nothing that a caller can change
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        path = checkpointer.path if checkpointer is not None and checkpoint is not None else None
        trainer.fit(module, ckpt_path=path, weights_only=True)
    training.resumed_at_step = None if checkpoint is None else int(checkpoint["global_step"])

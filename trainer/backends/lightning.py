"""The reference backend: one run a fit of Lightning's Trainer, on any accelerator and number of devices."""

import logging
import os
import warnings
from collections.abc import Sequence

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from trainer.callbacks import CheckpointCallback, ProbeCallback
from trainer.model import Decoder
from trainer.module import LanguageModule
from trainer.spec import ComputeSpec
from trainer.strict import require
from trainer.training import Training

# per-run notices of Lightning say nothing that a spec does not; a thousand runs repeat them a thousand times
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def fit(trainings: Sequence[Training]) -> None:
    """Train runs one after another."""
    for training in trainings:
        _fit(training)


def _fit(training: Training) -> None:
    spec = training.spec
    torch.set_num_threads(spec.compute.threads)
    callbacks: list[L.Callback] = [ProbeCallback(training.probes)]
    if training.checkpoints is not None:
        callbacks.append(CheckpointCallback(training))
    trainer = L.Trainer(
        accelerator=spec.compute.accelerator,
        devices=spec.compute.devices,
        num_nodes=spec.compute.nodes,
        strategy=_strategy(spec.compute),
        plugins=[_environment(spec.compute)],
        precision=spec.compute.precision,
        max_steps=spec.steps,
        max_epochs=-1,
        gradient_clip_val=spec.optimizer.grad_clip or None,
        accumulate_grad_batches=spec.training.accumulate,
        deterministic=True,
        use_distributed_sampler=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )
    start = training.start()
    with warnings.catch_warnings():
        # raised inside Lightning 2.6 under torch 2.13, nothing that a caller can change
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        # on each machine that has a Slurm; _environment has seen to it
        warnings.filterwarnings("ignore", message="The `srun` command is available")
        trainer.fit(LanguageModule(training), ckpt_path=None if start is None else start[0], weights_only=True)
    if spec.compute.strategy == "fsdp":
        training.model = _gathered(training)
    if spec.keep_optimizer:
        training.final_moments = trainer.optimizers[0].state_dict()["state"]


def _strategy(compute: ComputeSpec) -> str | ModelParallelStrategy:
    if compute.strategy != "fsdp":
        return compute.strategy
    return ModelParallelStrategy(
        data_parallel_size=compute.processes, tensor_parallel_size=1, save_distributed_checkpoint=False
    )


def _environment(compute: ComputeSpec) -> ClusterEnvironment:
    """Who starts the processes of a run: torchrun or srun where one has started this one, else Lightning, on one node.

    Lightning itself would take any job of Slurm for one that srun has started, and wait for processes that nobody starts.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return SLURMEnvironment(auto_requeue=False)
    require(compute.nodes == 1, "compute.nodes", compute.nodes, "1 unless srun or torchrun starts it (docs/cluster.md)")
    return LightningEnvironment()


def _gathered(training: Training) -> Decoder:
    """The whole model, from the parts that the devices hold."""
    parts = get_model_state_dict(training.model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    whole = Decoder(training.model.spec, training.text.vocab_size, seed=training.spec.seed)
    if parts:  # on the first device alone
        whole.load_state_dict(parts)
    return whole

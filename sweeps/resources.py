"""What a shard asks of a cluster: time, memory and GPUs, from its runs alone, before any of them has been trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from curselab.errors import InputError
from sweeps.plan import Plan
from trainer.flops import count_parameters
from trainer.footprint import BASE
from trainer.sharing import most_together
from trainer.spec import PlannedRun
from trainer.strict import require

_MARGIN = 2.0  # of time, and of memory, whose estimate is within a factor of two
_START_S = 600.0  # imports, compilation, a busy file system
_GPU_BASE = 4e9  # bytes of a process that uses CUDA
_CHECKPOINT = 12  # bytes a parameter: weights and the two moments of AdamW
_MOST = 4  # times the first attempt; a run longer than its job has many attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What times follow from."""

    cpu_flop_per_s: float = 1e10
    """Of one core: on two cores, runs of the default grid had 1.1e10 (small) to 3.9e10, evaluation included (docs/log.md)."""
    gpu_flop_per_s: float = 1e14
    """Of one GPU; not measured. Small models have far less."""
    most_minutes: float = 1440
    """That a job may ask for. A longer run is stopped, tried again, and goes on from its checkpoint."""

    def __post_init__(self) -> None:
        for field in fields(self):
            require(getattr(self, field.name) > 0, field.name, getattr(self, field.name), "a number above 0")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Cluster":
        """Read what Snakemake's ``config`` names; the rest has its default.

        Raises
        ------
        InputError
            A value is no number above 0.
        """
        return cls(**{field.name: _number(field.name, config[field.name]) for field in fields(cls) if field.name in config})


def _number(name: str, value: object) -> float:
    try:
        return float(str(value))  # Snakemake reads 1e10 as a word
    except ValueError:
        raise InputError(f"--config {name}={value}: a number is needed") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one job asks for."""

    minutes: int
    mem_mb: int
    gpus: int


def growth(attempt: int) -> int:
    """How many times what the first attempt asked for the given one asks for, counted from 1."""
    return min(attempt, _MOST)


def shard_resources(plan: Plan, sweep: str, shard: str, cluster: Cluster, *, workers: int = 1, attempt: int = 1) -> Resources:
    """Resources of the job that trains one shard.

    Time is twice that of all runs on the workers and of the longest run after them, from their FLOP. Memory is twice what
    :func:`trainer.footprint.estimate_bytes` says, in each worker, for as many of the largest run as may share their steps;
    with GPUs, which hold the model, it is that of a gathered checkpoint. Further attempts ask for more.

    Parameters
    ----------
    plan : Plan
    sweep, shard : str
    cluster : Cluster
    workers : int
        Processes that train at once on CPUs; runs on GPUs follow one another.
    attempt : int
        1 for the first.
    """
    runs = plan.shard(sweep, shard)
    gpus = max(run.spec.compute.processes if run.spec.compute.accelerator == "gpu" else 0 for run in runs)
    seconds = [_seconds(plan, run, cluster) for run in runs]
    if gpus:
        whole, memory = sum(seconds), gpus * _GPU_BASE + max(map(_gathered_bytes, runs))
    else:
        workers = min(workers, len(runs))
        whole = sum(seconds) / workers + (max(seconds) if workers > 1 else 0)
        memory = BASE + workers * max(_worker_bytes(plan, run) for run in runs)
    return Resources(
        minutes=math.ceil(min(growth(attempt) * (_START_S + _MARGIN * whole) / 60, cluster.most_minutes)),
        mem_mb=math.ceil(growth(attempt) * _MARGIN * memory / 1e6),
        gpus=gpus,
    )


def _seconds(plan: Plan, run: PlannedRun, cluster: Cluster) -> float:
    compute = run.spec.compute
    one = cluster.gpu_flop_per_s if compute.accelerator == "gpu" else cluster.cpu_flop_per_s * compute.threads
    return plan.flop(run) / one / compute.processes


def _worker_bytes(plan: Plan, run: PlannedRun) -> float:
    """Of a worker that trains this run, on all its devices, and those that may share its steps."""
    own = plan.device_bytes(run) - BASE
    return run.spec.compute.devices * (BASE + most_together(run.spec) * own)


def _gathered_bytes(run: PlannedRun) -> float:
    """Of the whole state, which one process gathers and writes."""
    return _CHECKPOINT * count_parameters(run.spec.model, run.spec.text.tokenizer.vocab_size).total

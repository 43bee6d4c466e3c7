"""What a run needs of the machine's memory, said before it is trained."""

import os
from pathlib import Path

from curselab.errors import InputError
from trainer.footprint import estimate_bytes
from trainer.model_spec import ModelSpec
from trainer.spec import RunSpec

CGROUP = Path("/sys/fs/cgroup/memory.max")


def machine_bytes() -> float:
    """Bytes of memory that this machine, or the control group of this process, has."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        return min(total, float(CGROUP.read_text()))
    except (OSError, ValueError):  # no such file, or "max"
        return total


def device_bytes(accelerator: str) -> float:
    """Bytes of memory of what a run trains on."""
    if accelerator == "gpu":
        import torch

        return float(torch.cuda.get_device_properties(0).total_memory)
    return machine_bytes()


def require_memory(spec: RunSpec, vocab_size: int, *, teacher: ModelSpec | None = None) -> None:
    """Refuse a run that cannot fit, before anything is allocated.

    Raises
    ------
    InputError
        One line with the estimate and what there is.
    """
    needed, there = estimate_bytes(spec, vocab_size, teacher=teacher), device_bytes(spec.compute.accelerator)
    if needed > there:
        raise InputError(
            f"run {spec.run_id}: needs about {needed / 1e9:.1f} GB of memory, {there / 1e9:.1f} GB are there; "
            "choose a smaller model, context or training.batch_sequences"
        )

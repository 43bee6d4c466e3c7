"""What a run needs of the machine's memory, said before it is trained."""

import os
from pathlib import Path

from curselab.errors import InputError
from trainer.flops import count_parameters
from trainer.model_spec import ModelSpec
from trainer.spec import RunSpec

BASE = 400e6  # torch itself, in bytes
CGROUP = Path("/sys/fs/cgroup/memory.max")


def estimate_bytes(spec: RunSpec, vocab_size: int, *, teacher: ModelSpec | None = None) -> float:
    """Bytes that one device needs to train a run, to within a factor of two.

    Everything in 4 bytes: weights, gradients and AdamW's two moments; activations kept for the backward pass, per token and
    block eight residual-wide tensors of attention and norms and five of the feed-forward network; logits and their gradient.

    Parameters
    ----------
    spec : RunSpec
    vocab_size : int
        Tokens in the vocabulary.
    teacher : ModelSpec, optional
        The teacher's shape when the objective is distillation.
    """
    model = spec.model
    tokens = spec.tokens_per_step / spec.compute.devices
    floats = 4.0 * count_parameters(model, vocab_size).total
    floats += tokens * model.depth * (8 * model.width + 5 * model.ffn_width)
    floats += tokens * 2 * vocab_size
    if teacher is not None:
        floats += count_parameters(teacher, vocab_size).total + tokens * vocab_size
    return BASE + 4 * floats


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

"""Several processes that train one run together, one a device."""

import os

from trainer.spec import ComputeSpec

# set by Lightning's launcher, by torchrun and by Slurm
RANKS = ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID")


def is_leader(compute: ComputeSpec) -> bool:
    """Tell whether this process writes the files of a run: the first one of those that train it does."""
    return compute.processes == 1 or all(os.environ.get(name, "0") == "0" for name in RANKS)

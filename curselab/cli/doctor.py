"""What this machine has, and what the installation lacks."""

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Any

import typer

from curselab.cli.options import Form, Format
from curselab.errors import InputError

app = typer.Typer()


@app.command(rich_help_panel="Before and during training")
def doctor(
    peak: Annotated[bool, typer.Option(help="Time matrix products, for some seconds on all cores.")] = True,
    form: Form = Format.TEXT,
) -> None:
    """Say what this machine has: cores, memory, GPUs, speed of matrix products; and which packages and extras are missing.

    Exit status 1 where a package that is always needed is missing or too old.

    Example: `curselab doctor --no-peak`
    """
    from curselab.cli.terminal import show

    wanting = list(_wanting())
    facts = _machine() if any(extra == "" for extra, _ in wanting) else _machine() | _torch(peak=peak)
    for extra in sorted({extra for extra, _ in wanting if extra}):
        facts[f"extra {extra}"] = f"lacks {', '.join(what for where, what in wanting if where == extra)}"
    show([{"what": what, "found": found} for what, found in facts.items()], form)
    needed = [what for extra, what in wanting if not extra]
    if needed:
        raise InputError(f"installation: {', '.join(needed)} is needed; pip install -c constraints.txt -e .")


def _machine() -> dict[str, Any]:
    from trainer.memory import machine_bytes

    return {
        "curselab": version("curselab"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gb": round(machine_bytes() / 1e9, 1),
        "disk_free_gb": round(shutil.disk_usage(Path()).free / 1e9, 1),
        "git": shutil.which("git") or "missing: provenance will not name a revision",
    }


def _torch(*, peak: bool) -> dict[str, Any]:
    """What only PyTorch can tell, which takes seconds to load."""
    import torch

    from trainer.machine import cores, cores_peak, matrix_peak

    usable = cores()
    facts: dict[str, Any] = {"torch": torch.__version__, "cores_usable": usable}
    gpus = range(torch.cuda.device_count())
    facts["gpus"] = len(gpus)
    if peak:
        facts["gflop_per_s_one_core"] = round(cores_peak(1) / 1e9, 1)
        facts["gflop_per_s_all_cores"] = round(cores_peak(usable) / 1e9, 1)
    for number in gpus:
        card = torch.cuda.get_device_properties(number)
        facts[f"gpu {number}"] = f"{card.name}, {card.total_memory / 1e9:.0f} GB"
        if peak:
            facts[f"gpu {number} tflop_per_s_bfloat16"] = round(matrix_peak(f"cuda:{number}") / 1e12, 1)
    return facts


def _wanting() -> Iterator[tuple[str, str]]:
    """Extra (empty: always needed) and requirement of every package that is missing or of another version."""
    from packaging.requirements import Requirement

    for line in requires("curselab") or ():
        requirement = Requirement(line)
        extra = "" if requirement.marker is None else _extra_of(str(requirement.marker))
        try:
            if requirement.specifier.contains(version(requirement.name), prereleases=True):
                continue
        except PackageNotFoundError:
            pass
        yield extra, f"{requirement.name}{requirement.specifier}"


def _extra_of(marker: str) -> str:
    """``hub`` of ``extra == "hub"``."""
    return marker.partition("extra == ")[2].strip("\"' ")

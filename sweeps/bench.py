"""Benches of a grid: what is timed on this machine, with a table of its own each.

A bench has constants, the ``base`` of its YAML; a grid gives it its axes, and may replace constants.
"""

from collections.abc import Mapping
from typing import Any

from sweeps.registry import read_yaml, sweep_file
from trainer.prefill_bench_spec import PrefillBenchSpec
from trainer.strict import from_mapping


def read_bench(name: str, axes: Mapping[str, Any], *, where: str) -> PrefillBenchSpec:
    """Read one bench of a grid.

    Parameters
    ----------
    name : str
        A name of ``sweeps.registry.BENCHES``.
    axes : mapping
        Fields of the bench's spec; those that are left out are the constants of its YAML.
    where : str
        Name of the bench in the grid for error messages.

    Raises
    ------
    InputError
        Unknown or missing field, or a bad value.
    """
    return from_mapping(PrefillBenchSpec, {**read_yaml(sweep_file(name))["base"], **axes}, where=where)

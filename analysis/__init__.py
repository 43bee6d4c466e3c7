"""Fits with honest uncertainty to tables of runs.

``fit_scaling_law``, ``fit_capacity_gap`` and ``read_runs`` are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.collect import read_runs
    from analysis.laws.capacity_gap import fit_capacity_gap
    from analysis.laws.scaling import fit_scaling_law

__all__ = ["fit_capacity_gap", "fit_scaling_law", "read_runs"]

_HOME = {
    "fit_capacity_gap": "analysis.laws.capacity_gap",
    "fit_scaling_law": "analysis.laws.scaling",
    "read_runs": "analysis.collect",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)

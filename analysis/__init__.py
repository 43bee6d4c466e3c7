"""Fits with honest uncertainty to tables of runs.

Each name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.collect import read_runs
    from analysis.decisions.allocate import optimal
    from analysis.decisions.compare import compare_laws, compare_systems
    from analysis.decisions.isoflop import fit_isoflop
    from analysis.decisions.optimal_teacher import optimal_teacher
    from analysis.decisions.plan import plan
    from analysis.decisions.plan_capacity_gap import plan_capacity_gap
    from analysis.decisions.sensitivity import sensitivity
    from analysis.laws.capacity_gap import fit_capacity_gap
    from analysis.laws.capacity_gap_published import ZhangCapacityGap
    from analysis.laws.distillation_scaling import DistillationScaling, fit_distillation
    from analysis.laws.general import custom_law
    from analysis.laws.kernel_toy import KernelToy
    from analysis.laws.learning_rate import fit_learning_rate
    from analysis.laws.scaling import fit_scaling_law

__all__ = [
    "DistillationScaling",
    "KernelToy",
    "ZhangCapacityGap",
    "compare_laws",
    "compare_systems",
    "custom_law",
    "fit_capacity_gap",
    "fit_distillation",
    "fit_isoflop",
    "fit_learning_rate",
    "fit_scaling_law",
    "optimal",
    "optimal_teacher",
    "plan",
    "plan_capacity_gap",
    "read_runs",
    "sensitivity",
]

_HOME = {
    "DistillationScaling": "analysis.laws.distillation_scaling",
    "KernelToy": "analysis.laws.kernel_toy",
    "ZhangCapacityGap": "analysis.laws.capacity_gap_published",
    "compare_laws": "analysis.decisions.compare",
    "compare_systems": "analysis.decisions.compare",
    "custom_law": "analysis.laws.general",
    "fit_capacity_gap": "analysis.laws.capacity_gap",
    "fit_distillation": "analysis.laws.distillation_scaling",
    "fit_isoflop": "analysis.decisions.isoflop",
    "fit_learning_rate": "analysis.laws.learning_rate",
    "fit_scaling_law": "analysis.laws.scaling",
    "optimal": "analysis.decisions.allocate",
    "optimal_teacher": "analysis.decisions.optimal_teacher",
    "plan": "analysis.decisions.plan",
    "plan_capacity_gap": "analysis.decisions.plan_capacity_gap",
    "read_runs": "analysis.collect",
    "sensitivity": "analysis.decisions.sensitivity",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)

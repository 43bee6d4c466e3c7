"""Fits with honest uncertainty to tables of runs.

Each name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.collect import read_runs
    from analysis.decisions.allocate import optimal
    from analysis.decisions.best_mixture import best_mixture
    from analysis.decisions.best_shares import best_shares
    from analysis.decisions.capacity_needed import capacity_needed
    from analysis.decisions.compare import compare_laws, compare_systems
    from analysis.decisions.equivalent_data import equivalent_data
    from analysis.decisions.isoflop import fit_isoflop
    from analysis.decisions.optimal_teacher import optimal_teacher
    from analysis.decisions.plan import plan
    from analysis.decisions.plan_capacity_gap import plan_capacity_gap
    from analysis.decisions.plan_stability_gap import plan_stability_gap
    from analysis.decisions.predict_speedup import predict_speedup
    from analysis.decisions.sensitivity import sensitivity
    from analysis.exports.export import export_runs
    from analysis.imports.evaluations import evaluation_log
    from analysis.imports.log_file import import_log
    from analysis.imports.tensorboard import read_tensorboard
    from analysis.imports.trainer_state import read_trainer_state
    from analysis.imports.wandb_csv import read_wandb_csv
    from analysis.laws.capacity_gap import fit_capacity_gap
    from analysis.laws.capacity_gap_published import ZhangCapacityGap
    from analysis.laws.depth import fit_depth
    from analysis.laws.depth_effective import effective_depth
    from analysis.laws.depth_growth import fit_growth
    from analysis.laws.distillation_scaling import DistillationScaling, fit_distillation
    from analysis.laws.general import custom_law
    from analysis.laws.kernel_toy import KernelToy
    from analysis.laws.learning_rate import fit_learning_rate
    from analysis.laws.multilinguality import fit_multilinguality
    from analysis.laws.multilinguality_atlas import TransferLaw
    from analysis.laws.multilinguality_capacity import LanguagesLaw
    from analysis.laws.multilinguality_curse import HelpThenHurt
    from analysis.laws.multilinguality_repetition import DataConstrained
    from analysis.laws.prepacking import fit_prepacking
    from analysis.laws.scaling import fit_scaling_law
    from analysis.laws.stability_gap import fit_stability_gap
    from analysis.laws.stability_gap_cmr import CMR_2024
    from analysis.laws.stability_gap_wang_fit import fit_continual_law
    from analysis.laws.stability_gap_wang_sets import WANG_2025

__all__ = [
    "CMR_2024",
    "DataConstrained",
    "DistillationScaling",
    "HelpThenHurt",
    "KernelToy",
    "LanguagesLaw",
    "TransferLaw",
    "WANG_2025",
    "ZhangCapacityGap",
    "best_mixture",
    "best_shares",
    "capacity_needed",
    "compare_laws",
    "compare_systems",
    "custom_law",
    "effective_depth",
    "equivalent_data",
    "evaluation_log",
    "export_runs",
    "fit_capacity_gap",
    "fit_continual_law",
    "fit_depth",
    "fit_distillation",
    "fit_growth",
    "fit_isoflop",
    "fit_learning_rate",
    "fit_multilinguality",
    "fit_prepacking",
    "fit_scaling_law",
    "fit_stability_gap",
    "import_log",
    "optimal",
    "optimal_teacher",
    "plan",
    "plan_capacity_gap",
    "plan_stability_gap",
    "predict_speedup",
    "read_runs",
    "read_tensorboard",
    "read_trainer_state",
    "read_wandb_csv",
    "sensitivity",
]

_HOME = {
    "CMR_2024": "analysis.laws.stability_gap_cmr",
    "DataConstrained": "analysis.laws.multilinguality_repetition",
    "DistillationScaling": "analysis.laws.distillation_scaling",
    "HelpThenHurt": "analysis.laws.multilinguality_curse",
    "KernelToy": "analysis.laws.kernel_toy",
    "WANG_2025": "analysis.laws.stability_gap_wang_sets",
    "ZhangCapacityGap": "analysis.laws.capacity_gap_published",
    "LanguagesLaw": "analysis.laws.multilinguality_capacity",
    "TransferLaw": "analysis.laws.multilinguality_atlas",
    "best_mixture": "analysis.decisions.best_mixture",
    "best_shares": "analysis.decisions.best_shares",
    "capacity_needed": "analysis.decisions.capacity_needed",
    "equivalent_data": "analysis.decisions.equivalent_data",
    "evaluation_log": "analysis.imports.evaluations",
    "export_runs": "analysis.exports.export",
    "compare_laws": "analysis.decisions.compare",
    "compare_systems": "analysis.decisions.compare",
    "custom_law": "analysis.laws.general",
    "fit_capacity_gap": "analysis.laws.capacity_gap",
    "fit_continual_law": "analysis.laws.stability_gap_wang_fit",
    "effective_depth": "analysis.laws.depth_effective",
    "fit_depth": "analysis.laws.depth",
    "fit_growth": "analysis.laws.depth_growth",
    "fit_distillation": "analysis.laws.distillation_scaling",
    "fit_isoflop": "analysis.decisions.isoflop",
    "fit_learning_rate": "analysis.laws.learning_rate",
    "fit_multilinguality": "analysis.laws.multilinguality",
    "fit_prepacking": "analysis.laws.prepacking",
    "fit_scaling_law": "analysis.laws.scaling",
    "fit_stability_gap": "analysis.laws.stability_gap",
    "import_log": "analysis.imports.log_file",
    "optimal": "analysis.decisions.allocate",
    "optimal_teacher": "analysis.decisions.optimal_teacher",
    "plan": "analysis.decisions.plan",
    "plan_capacity_gap": "analysis.decisions.plan_capacity_gap",
    "plan_stability_gap": "analysis.decisions.plan_stability_gap",
    "predict_speedup": "analysis.decisions.predict_speedup",
    "read_runs": "analysis.collect",
    "read_tensorboard": "analysis.imports.tensorboard",
    "read_trainer_state": "analysis.imports.trainer_state",
    "read_wandb_csv": "analysis.imports.wandb_csv",
    "sensitivity": "analysis.decisions.sensitivity",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)

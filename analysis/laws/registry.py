"""The laws by name, and the controlled truths that one of them reads.

A law's module is imported only when it is asked for, so one law's code never depends on another's.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from curselab.errors import InputError


@dataclass(frozen=True, slots=True)
class Law:
    """Where a law lives and what it reads."""

    name: str
    module: str
    fit: str
    """Function of the module: runs table -> result."""
    result: str
    """Class of the module with ``from_dict``."""
    reads: str
    """What the fit takes from its table, for people."""
    table: str = "runs"
    """Table of the contract that it reads."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Columns and units of that table, where they are not the law's own."""
    also: tuple[str, ...] = ()
    """Tables of the contract that lie beside it and are passed to fit and figure by name."""

    @property
    def room(self) -> str:
        """Name of the law's modules in every folder."""
        return self.module.rpartition(".")[2]

    def load_fit(self) -> Callable[..., Any]:
        """Import the law and return its fit function."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.fit)
        return function

    def load_result(self) -> type[Any]:
        """Import the law and return the class of its results."""
        result: type[Any] = getattr(importlib.import_module(self.module), self.result)
        return result


LAWS = {
    law.name: law
    for law in (
        Law("scaling", "analysis.laws.scaling", "fit_runs", "ScalingFit", "params_total, tokens, loss_nats_per_token"),
        Law(
            "capacity_gap",
            "analysis.laws.capacity_gap",
            "fit_capacity_gap",
            "CapacityGapFit",
            "params_non_embedding and loss of student and teacher, seed; objective distill, and lm of stage plain",
        ),
        Law(
            "learning_rate",
            "analysis.laws.learning_rate",
            "fit_learning_rate",
            "LearningRateFit",
            "params_non_embedding, learning_rate, loss_nats_per_token, seed; stage chosen for the rule's rate",
        ),
        Law(
            "depth",
            "analysis.laws.depth",
            "fit_depth",
            "DepthFit",
            "scheme, initialisation, depth, learning_rate, loss_nats_per_token, seed; layers beside the runs",
            also=("layers",),
        ),
        Law(
            "multilinguality",
            "analysis.laws.multilinguality",
            "fit_runs",
            "MultilingualityFit",
            "params_non_embedding, tokens, domain and its tokens, mixture, loss_bits_per_byte, seed; the stage is the arm",
        ),
        Law(
            "stability_gap",
            "analysis.laws.stability_gap",
            "fit_runs",
            "StabilityGapSweep",
            "stage, base_id, mixture, tokens, seed; losses, accuracies and learning rates of the metrics beside the runs",
            also=("metrics",),
        ),
        Law(
            "prepacking",
            "analysis.laws.prepacking",
            "fit_prepacking",
            "PrepackingFit",
            "seconds of every method on the same batches, and what each computes",
            table="prepacking",
        ),
    )
}


def _capacity_gap_of(table: str, size_unit: str, loss_unit: str, **columns: str) -> Law:
    gap, units = LAWS["capacity_gap"], {"size_unit": size_unit, "loss_unit": loss_unit}
    return replace(gap, name=table, table=table, reads=", ".join(columns.values()), options=columns | units)


PROBLEMS = {
    problem.name: problem
    for problem in (
        _capacity_gap_of(
            "kernel_toy",
            "basis functions",
            "distance to the target",
            student="student_functions",
            teacher="teacher_functions",
            loss="error",
            teacher_loss="teacher_error",
        ),
        _capacity_gap_of(
            "mapping",
            "parameters",
            "nats/label",
            student="student_params",
            teacher="teacher_params",
            loss="loss_nats_per_label",
            teacher_loss="teacher_loss_nats_per_label",
        ),
    )
}
"""Controlled truths: the law of capacity gap on tables of their own."""


def find(name: str) -> Law:
    """Return a law, or a controlled truth, by name.

    Raises
    ------
    InputError
        There is none of that name.
    """
    known = LAWS | PROBLEMS
    if name not in known:
        raise InputError(f"law: {name!r} was given (allowed: {', '.join(known)}; see analysis/laws/registry.py)")
    return known[name]

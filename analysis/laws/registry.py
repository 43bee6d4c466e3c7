"""The laws by name. A law's module is imported only when it is asked for, so one law's code never depends on another's."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
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
    """What the fit takes from the table ``runs``, for people."""

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
    )
}


def find(name: str) -> Law:
    """Return a law by name.

    Raises
    ------
    InputError
        There is no such law.
    """
    if name not in LAWS:
        raise InputError(f"law: {name!r} was given (allowed: {', '.join(LAWS)}; see analysis/laws/registry.py)")
    return LAWS[name]

"""Controlled truths of a grid: problems whose best teachers are known or seen at once, with a table of their own each.

A problem has constants, the ``base`` of its YAML; a grid gives it its axes, and may replace constants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.registry import read_yaml, sweep_file
from trainer.mapping_spec import MappingSpec
from trainer.strict import from_mapping, require


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelToySpec:
    """Which students learn from which teachers in the function space of :mod:`analysis.laws.kernel_toy`, and how noisily."""

    student_functions: tuple[int, ...]
    """Basis functions of the students."""
    teacher_functions: tuple[int, ...]
    """Likewise."""
    seed: tuple[int, ...]
    """Of the noise; each gives every student and teacher one run."""
    noise: float
    """Standard deviation of what is added to the exact error."""
    basis_functions: int
    """Of the target."""
    coefficient_seed: int
    teacher_norm: float
    student_norm: float

    def __post_init__(self) -> None:
        ranges = {"student_functions": (1, self.basis_functions), "teacher_functions": (1, self.basis_functions)}
        for name, (least, most) in (ranges | {"seed": (0, 2**63)}).items():
            given = getattr(self, name)
            good = len(given) > 0 and len(set(given)) == len(given) and least <= min(given) and max(given) <= most
            require(good, name, list(given), f"one or more different whole numbers from {least} to {most}")
        require(self.noise >= 0, "noise", self.noise, "0 or more")
        require(self.coefficient_seed >= 0, "coefficient_seed", self.coefficient_seed, "0 or more")

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the table ``kernel_toy``."""
        from analysis.laws.kernel_toy import KernelToy

        norms = {"teacher_norm": self.teacher_norm, "student_norm": self.student_norm}
        toy = KernelToy.uniform(self.coefficient_seed, n_basis=self.basis_functions, **norms)
        return toy.sample(self.student_functions, self.teacher_functions, self.seed, noise=self.noise)


ProblemSpec = KernelToySpec | MappingSpec
_SPECS: dict[str, type[ProblemSpec]] = {"kernel_toy": KernelToySpec, "mapping": MappingSpec}


def read_problem(name: str, axes: Mapping[str, Any], *, where: str) -> ProblemSpec:
    """Read one problem of a grid.

    Parameters
    ----------
    name : str
        A name of ``sweeps.registry.PROBLEMS``.
    axes : mapping
        Fields of the problem's spec; those that are left out are the constants of its YAML.
    where : str
        Name of the problem in the grid for error messages.

    Raises
    ------
    InputError
        Unknown or missing field, or a bad value.
    """
    return from_mapping(_SPECS[name], {**read_yaml(sweep_file(name))["base"], **axes}, where=where)

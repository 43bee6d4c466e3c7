r"""Distillation in a function space where the student's error has a closed form.

The target has coefficients :math:`\alpha_i` on an orthonormal basis. The teacher learns the best function in the span of the
first :math:`m` basis functions with norm at most :math:`T`; the student, the best imitation of that teacher in the span of the
first :math:`n` with norm at most :math:`S \le T`. With :math:`A_k = \sum_{i \le k} \alpha_i^2`,

.. math::
    C = \min(1, T / \sqrt{A_m}), \quad k = \min(m, n), \quad Q = \min(1, S / (C \sqrt{A_k})), \quad
    \mathrm{error}^2 = (1 - Q C)^2 A_k + A_\infty - A_k

Source: Busbridge et al. (2025), Distillation Scaling Laws, arXiv:2502.08606, appendix C.1 (there :math:`T = 5`, student norm
4.5, 1000 coefficients uniform in [-1, 1]). The error falls with :math:`m` up to :math:`m = n`, is flat to about
:math:`n (T/S)^2` and then rises: the optimal teacher is proportional to the student, with exponent 1. This is the known truth
that the estimators of :mod:`analysis.laws.capacity_gap` are tested on.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.capacity_gap_published import Trust
from curselab.errors import InputError


def kernel_toy(
    coefficients: ArrayLike, teacher: ArrayLike, student: int, *, teacher_norm: float = 5.0, student_norm: float = 4.5
) -> NDArray[np.float64]:
    """Student's error for each teacher size.

    Parameters
    ----------
    coefficients : array_like
        Of the target, ``(n_basis,)``.
    teacher : array_like
        Numbers of basis functions of the teachers, ``(n_teachers,)``, each from 1 to n_basis.
    student : int
        Number of basis functions of the student.
    teacher_norm, student_norm : float
        Largest norms; the student's at most the teacher's.

    Returns
    -------
    numpy.ndarray
        Root of the squared distance to the target, ``(n_teachers,)``.
    """
    energy = np.cumsum(np.asarray(coefficients, dtype=float) ** 2)
    m = np.asarray(teacher, dtype=int)
    shrink = np.minimum(1.0, teacher_norm / np.sqrt(energy[m - 1]))
    shared = energy[np.minimum(m, student) - 1]
    imitation = np.minimum(1.0, student_norm / (shrink * np.sqrt(shared)))
    return np.asarray(np.sqrt((1 - imitation * shrink) ** 2 * shared + energy[-1] - shared))


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelToy:
    """The problem with its own coefficients and norms, and its exact best teachers; sizes are numbers of basis functions."""

    coefficients: tuple[float, ...] = field(repr=False)
    teacher_norm: float = 5.0
    student_norm: float = 4.5
    name: str = "kernel toy"
    formula: str = "error^2 = (1 - Q C)^2 A_k + A_inf - A_k"
    source: str = "arXiv:2502.08606, appendix C.1"
    trust: Trust = "derived"
    valid: str = "any size up to the number of coefficients; the student's norm at most the teacher's"

    def __post_init__(self) -> None:
        if not 0 < self.student_norm <= self.teacher_norm:
            raise InputError(
                f"kernel toy: norms {self.student_norm!r} of the student and {self.teacher_norm!r} of the teacher were given,"
                " the student's is above 0 and at most the teacher's"
            )

    @classmethod
    def uniform(cls, seed: int, *, n_basis: int = 1000, **norms: float) -> "KernelToy":
        """Coefficients uniform in [-1, 1], as the paper's."""
        drawn = np.random.default_rng(seed).uniform(-1, 1, n_basis)
        return cls(coefficients=tuple(drawn.tolist()), **norms)  # type: ignore[arg-type]  # norms are the two of the class

    def error(self, teacher: ArrayLike, student: int) -> NDArray[np.float64]:
        """Student's error for each teacher, ``(n_teachers,)``."""
        norms = {"teacher_norm": self.teacher_norm, "student_norm": self.student_norm}
        return kernel_toy(self.coefficients, teacher, student, **norms)

    def teacher_error(self, teacher: int) -> float:
        """Error of a teacher itself: that of a student of its size and norm, who imitates it wholly."""
        norms = {"teacher_norm": self.teacher_norm, "student_norm": self.teacher_norm}
        return float(kernel_toy(self.coefficients, [teacher], teacher, **norms)[0])

    def sample(
        self, students: Sequence[int], teachers: Sequence[int], seeds: Sequence[int], *, noise: float
    ) -> list[dict[str, int | float]]:
        """Rows of the table ``kernel_toy``: the exact error of every student under every teacher, with noise a seed.

        Parameters
        ----------
        students, teachers, seeds : sequence of int
            Sizes and seeds, all of which are crossed. The noise of a cell follows from them alone, so a larger grid adds rows
            and changes none.
        noise : float
            Standard deviation of the normal noise.
        """
        rows: list[dict[str, int | float]] = []
        for student, teacher in itertools.product(students, teachers):
            cell = {
                "student_functions": student,
                "teacher_functions": teacher,
                "teacher_error": self.teacher_error(teacher),
                "exact_error": float(self.error([teacher], student)[0]),
            }
            for seed in seeds:
                draw = float(np.random.default_rng([seed, student, teacher]).standard_normal())
                rows.append(cell | {"seed": seed, "error": cell["exact_error"] + noise * draw})
        return rows

    def best_teachers(self, student: int) -> tuple[int, int]:
        """Smallest and largest of the best teachers, which form a plateau."""
        error = self.error(np.arange(1, len(self.coefficients) + 1), student)
        best = np.flatnonzero(np.isclose(error, error.min(), rtol=1e-9, atol=0.0)) + 1
        return int(best[0]), int(best[-1])

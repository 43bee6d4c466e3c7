"""The capacity-gap law over students: a straight line in logarithms through the optima that are identified."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.fitting.result import Status
from analysis.laws.capacity_gap_student import StudentGap

Vector = NDArray[np.float64]
Verdict = Literal["supported", "rejected", "compatible, not tested"]

_MIN_STUDENTS = 4
_MIN_SPAN = 8.0
_TESTED_HALF_WIDTH = 0.2  # of the interval of b: a wider one excludes no interesting alternative to 1
_SE_FLOOR = 1e-3  # of ln N: noise-free optima must not get infinite weight


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossStudents:
    """The law over students; numbers are None unless the status is ``ok``."""

    status: Status
    reason: str
    """Empty when ok."""
    n_students: int
    """Students with an identified optimum."""
    k: float | None = None
    k_lower: float | None = None
    k_upper: float | None = None
    a: float | None = None
    b: float | None = None
    b_se: float | None = None
    b_lower: float | None = None
    b_upper: float | None = None
    cov: tuple[float, ...] = ()
    """Of a and b: var(a), cov(a, b), var(b)."""
    p_b_is_one: float | None = None
    verdict: Verdict | None = None


def across_students(students: Sequence[StudentGap], level: float) -> AcrossStudents:
    """Weighted straight line through the identified optima in logarithms, and the test of b = 1."""
    found = [(s.student, s.optimum, s.se_log) for s in students if s.optimum is not None]
    n = len(found)
    sizes, optima, errors = np.array(found, dtype=float).reshape(-1, 3).T
    if n < _MIN_STUDENTS or sizes.max() / sizes.min() < _MIN_SPAN:
        span = f" over a factor of {sizes.max() / sizes.min():.3g}" if n > 1 else ""
        verb = "has an identified optimum" if n == 1 else "have an identified optimum"
        reason = f"{n} of {len(students)} students {verb}{span}; {_MIN_STUDENTS} over a factor of {_MIN_SPAN:g} are needed"
        return AcrossStudents(status="not_identified", reason=reason, n_students=n)
    x, z, w = np.log(sizes), np.log(optima), 1 / np.maximum(errors, _SE_FLOOR) ** 2
    (a, b), cov = _line(x, z, w)
    se = float(np.sqrt(cov[1, 1]))
    half = float(student_t.ppf((1 + level) / 2, n - 2)) * se
    log_k = float(np.average(z - x, weights=w))
    scatter = max(1.0, float(np.sum(w * (z - x - log_k) ** 2)) / (n - 1))
    half_k = float(student_t.ppf((1 + level) / 2, n - 1) * np.sqrt(scatter / w.sum()))
    verdict: Verdict = (
        "rejected" if abs(b - 1) > half else "supported" if half <= _TESTED_HALF_WIDTH else "compatible, not tested"
    )
    return AcrossStudents(
        status="ok",
        reason="",
        n_students=n,
        k=float(np.exp(log_k)),
        k_lower=float(np.exp(log_k - half_k)),
        k_upper=float(np.exp(log_k + half_k)),
        a=float(a),
        b=float(b),
        b_se=se,
        b_lower=float(b - half),
        b_upper=float(b + half),
        cov=(float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1])),
        p_b_is_one=float(2 * student_t.sf(abs(b - 1) / se, n - 2)),
        verdict=verdict,
    )


def _line(x: Vector, z: Vector, w: Vector) -> tuple[Vector, Vector]:
    """Weighted least squares; the covariance is widened where the points scatter more than their errors say."""
    design = np.column_stack([np.ones_like(x), x])
    cov = np.asarray(np.linalg.inv(design.T @ (w[:, None] * design)), dtype=float)
    theta = cov @ (design.T @ (w * z))
    return theta, cov * max(1.0, float(np.sum(w * (z - design @ theta) ** 2)) / (len(x) - 2))

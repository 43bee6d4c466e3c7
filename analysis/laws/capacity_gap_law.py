"""The capacity-gap law over students: a power law through the optima that are identified, and a line with intercept beside it.

A high :math:`R^2` of the line shows neither that the law is linear nor that it passes through zero, so none is given; the
exponent of the power law, its interval and its test of 1 stand in its place, and a prediction of the largest student's best
teacher from the smaller students.

Students may scatter about the law by more than the errors of their optima say. What they do beside them is taken to be alike
for all and added to each variance (Paule and Mandel 1982, Journal of Research of the National Bureau of Standards 87, 377); a
common factor on all errors would let the student with the smallest one decide. Intervals are Student's t, since few students
say little of their scatter (Knapp and Hartung 2003, Statistics in Medicine 22, 2693). They are never shorter than the errors
of the optima make them, so they are too wide where students lie on the law.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
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
class LinearLaw:
    """``teacher = slope * student + intercept``, the form of Zhang et al. (2023), weighted by the optima's errors."""

    slope: float
    slope_lower: float
    slope_upper: float
    intercept: float
    """Parameters."""
    intercept_lower: float
    intercept_upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The largest student's best teacher as the smaller students predict it, parameters."""

    student: float
    observed: float
    predicted: float
    lower: float
    """Of the interval for a student's estimate, which holds its own error too."""
    upper: float


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
    b_resampled: tuple[float, ...] = ()
    """Percentile interval of b when all optima are resampled: lower, upper."""
    linear: LinearLaw | None = None
    held_out: HeldOut | None = None

    def lines(self) -> list[str]:
        """Text of a law that is ``ok``."""
        assert self.linear is not None
        assert self.held_out is not None
        line, last = self.linear, self.held_out
        resampled = ", resampled [{:.4g}, {:.4g}]".format(*self.b_resampled) if self.b_resampled else ""
        return [
            f"k {self.k:.4g} [{self.k_lower:.4g}, {self.k_upper:.4g}]"
            f"  b {self.b:.4g} [{self.b_lower:.4g}, {self.b_upper:.4g}]{resampled}",
            f"b = 1: p {self.p_b_is_one:.3g}, {self.verdict}",
            f"line: slope {line.slope:.4g} [{line.slope_lower:.4g}, {line.slope_upper:.4g}]"
            f"  intercept {line.intercept:.4g} [{line.intercept_lower:.4g}, {line.intercept_upper:.4g}]",
            f"student {last.student:.4g} from the smaller ones: {last.predicted:.4g} [{last.lower:.4g}, {last.upper:.4g}],"
            f" found {last.observed:.4g}",
        ]


def across_students(
    students: Sequence[StudentGap], level: float, *, draws: Mapping[float, Vector] | None = None
) -> AcrossStudents:
    """Weighted straight line through the identified optima in logarithms, and the test of b = 1.

    Parameters
    ----------
    students : sequence of StudentGap
        Those that are not identified are left out.
    level : float
        Of all intervals.
    draws : mapping, optional
        ln(best teacher) of each resample ``(resamples,)`` by student size.
    """
    found = [(s.student, s.optimum, s.se_log) for s in students if s.optimum is not None]
    n = len(found)
    sizes, optima, errors = np.array(found, dtype=float).reshape(-1, 3).T
    if n < _MIN_STUDENTS or sizes.max() / sizes.min() < _MIN_SPAN:
        span = f" over a factor of {sizes.max() / sizes.min():.3g}" if n > 1 else ""
        verb = "has an identified optimum" if n == 1 else "have an identified optimum"
        reason = f"{n} of {len(students)} students {verb}{span}; {_MIN_STUDENTS} over a factor of {_MIN_SPAN:g} are needed"
        return AcrossStudents(status="not_identified", reason=reason, n_students=n)
    x, z, own = np.log(sizes), np.log(optima), np.maximum(errors, _SE_FLOOR) ** 2
    line, ratio = np.column_stack([np.ones(n), x]), np.ones((n, 1))
    total = own + _scatter(line, z, own)
    (a, b), cov = _least_squares(line, z, total)
    se = float(np.sqrt(cov[1, 1]))
    half = float(student_t.ppf((1 + level) / 2, n - 2)) * se
    (log_k,), ((var_k,),) = _least_squares(ratio, z - x, own + _scatter(ratio, z - x, own))
    half_k = float(student_t.ppf((1 + level) / 2, n - 1) * np.sqrt(var_k))
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
        b_resampled=_resampled(sizes, 1 / total, draws or {}, level),
        linear=_linear(sizes, optima, total, level),
        held_out=_held_out(line, z, own, level),
    )


def _resampled(sizes: Vector, w: Vector, draws: Mapping[float, Vector], level: float) -> tuple[float, ...]:
    """Carry every resample of the optima through to b."""
    if not all(size in draws for size in sizes.tolist()):
        return ()
    z, x = np.column_stack([draws[size] for size in sizes.tolist()]), np.log(sizes)
    leverage = w * (x - np.average(x, weights=w))
    slopes = z @ leverage / (leverage @ x)
    return tuple(np.quantile(slopes, [(1 - level) / 2, (1 + level) / 2]).tolist())


def _linear(sizes: Vector, optima: Vector, variances: Vector, level: float) -> LinearLaw:
    """Line with intercept; ``variances`` are those of ln(best teacher), with the scatter about the power law."""
    design, variances = np.column_stack([np.ones_like(sizes), sizes]), optima**2 * variances
    theta, cov = _least_squares(design, optima, variances)
    # a line may fit worse than the power law
    misfit = max(1.0, float(np.sum((optima - design @ theta) ** 2 / variances)) / (len(sizes) - 2))
    half = student_t.ppf((1 + level) / 2, len(sizes) - 2) * np.sqrt(misfit * np.diag(cov))
    (intercept, slope), (low_i, low_s), (high_i, high_s) = theta, theta - half, theta + half
    return LinearLaw(
        slope=float(slope),
        slope_lower=float(low_s),
        slope_upper=float(high_s),
        intercept=float(intercept),
        intercept_lower=float(low_i),
        intercept_upper=float(high_i),
    )


def _held_out(line: Vector, z: Vector, variances: Vector, level: float) -> HeldOut:
    largest = int(line[:, 1].argmax())
    kept = np.arange(len(z)) != largest
    total = variances + _scatter(line[kept], z[kept], variances[kept])
    theta, cov = _least_squares(line[kept], z[kept], total[kept])
    spread = np.sqrt(line[largest] @ cov @ line[largest] + total[largest])
    half = float(student_t.ppf((1 + level) / 2, len(z) - 3) * spread)
    mean = float(line[largest] @ theta)
    return HeldOut(
        student=float(np.exp(line[largest, 1])),
        observed=float(np.exp(z[largest])),
        predicted=float(np.exp(mean)),
        lower=float(np.exp(mean - half)),
        upper=float(np.exp(min(mean + half, 700.0))),
    )


def _scatter(design: Vector, z: Vector, variances: Vector) -> float:
    """Variance about the fit, the same for all, that makes the weighted sum of squares as large as its degrees of freedom."""
    dof = len(z) - int(design.shape[1])

    def excess(scatter: float) -> float:
        total = variances + scatter
        theta, _ = _least_squares(design, z, total)
        return float(np.sum((z - design @ theta) ** 2 / total)) - dof

    if excess(0.0) <= 0:
        return 0.0
    # with the mean square of the unweighted residuals there is none left
    theta, _ = _least_squares(design, z, np.ones_like(z))
    return float(brentq(excess, 0.0, float(np.sum((z - design @ theta) ** 2)) / dof))


def _least_squares(design: Vector, z: Vector, variances: Vector) -> tuple[Vector, Vector]:
    """Parameters and their covariance."""
    weighted = design / variances[:, None]
    cov = np.asarray(np.linalg.inv(design.T @ weighted), dtype=float)
    return cov @ (weighted.T @ z), cov

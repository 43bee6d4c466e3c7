"""The test of b = 1 against its exact level, which depends on how far students scatter about the law."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm
from scipy.stats import t as student_t

from analysis.laws.capacity_gap_law import across_students

STUDENTS = np.array([1e6, 2e6, 4e6, 8e6, 16e6])
DOF = len(STUDENTS) - 2
ERROR = 0.1  # of ln(best teacher)


def rejected(scatter: float, tables: int) -> float:
    """Share of tables in which b = 1 is rejected though it holds; ``scatter`` is in units of the error of an optimum."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(tables):
        optima = 4 * STUDENTS * np.exp(ERROR * scatter * rng.standard_normal(len(STUDENTS)))
        gaps = [SimpleNamespace(student=s, optimum=o, se_log=ERROR) for s, o in zip(STUDENTS, optima, strict=True)]
        found += across_students(gaps, 0.95).verdict == "rejected"
    return found / tables


def level(scatter: float) -> float:
    """Chance of |Z| above t max(1 / scatter, s), with s^2 a chi square over its degrees of freedom: the test's own definition."""
    bound = student_t.ppf(0.975, DOF)

    def integrand(square: float) -> float:
        return 2 * norm.sf(bound * max(1 / scatter, np.sqrt(square / DOF))) * chi2.pdf(square, DOF)

    return float(quad(integrand, 0, 60, points=[DOF / scatter**2])[0])


@pytest.mark.parametrize("scatter", [1.0, 10.0])
def test_b_is_one_is_rejected_as_often_as_theory_says(scatter):
    expected = level(scatter)
    tables = 800
    assert rejected(scatter, tables) == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / tables))


def test_the_level_is_never_above_five_per_cent_and_nearly_that_where_students_scatter():
    levels = [level(scatter) for scatter in (1.0, 1.5, 2.0, 4.0, 10.0)]
    assert levels == sorted(levels)
    assert levels[0] < 0.005
    assert 0.049 < levels[-1] <= 0.05

"""The law over students against statsmodels, and the test of b = 1 against its exact level."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm
from scipy.stats import t as student_t
from statsmodels.stats.meta_analysis import combine_effects

from analysis.laws.capacity_gap_law import across_students

STUDENTS = np.array([1e6, 2e6, 4e6, 8e6, 16e6])
DOF = len(STUDENTS) - 2
EQUAL = np.full(len(STUDENTS), 0.1)  # errors of ln(best teacher)
UNEQUAL = np.array([0.02, 0.1, 0.1, 0.1, 0.3])


def found(optima, errors):
    gaps = [SimpleNamespace(student=s, optimum=o, se_log=e) for s, o, e in zip(STUDENTS, optima, errors, strict=True)]
    return across_students(gaps, 0.95)


def rejected(errors, scatter: float, tables: int) -> float:
    """Share of tables in which b = 1 is rejected though it holds."""
    rng = np.random.default_rng(0)
    deviations = np.hypot(errors, scatter) * rng.standard_normal((tables, len(STUDENTS)))
    return float(np.mean([found(4 * STUDENTS * np.exp(each), errors).verdict == "rejected" for each in deviations]))


def level(ratio: float) -> float:
    """Chance of |Z| above t max(1 / ratio, s), s^2 a mean chi square, where the total error is ratio times the own."""
    bound = student_t.ppf(0.975, DOF)

    def integrand(square: float) -> float:
        return 2 * norm.sf(bound * max(1 / ratio, np.sqrt(square / DOF))) * chi2.pdf(square, DOF)

    return float(quad(integrand, 0, 60, points=[DOF / ratio**2])[0])


@pytest.mark.parametrize(
    ("errors", "scatter", "expected"),
    [(EQUAL, 0.0, level(1.0)), (EQUAL, 1.0, level(np.hypot(1, 10))), (UNEQUAL, 3.0, 0.05)],
    ids=["on the law", "scattered", "unequal errors, scattered"],
)
def test_b_is_one_is_rejected_as_often_as_theory_says(errors, scatter, expected):
    """Of students that scatter far more than their errors, a line through equals is left, whose level is exact."""
    tables = 400
    assert rejected(errors, scatter, tables) == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / tables))


def test_the_level_is_never_above_five_per_cent_and_nearly_that_where_students_scatter():
    levels = [level(ratio) for ratio in (1.0, 1.5, 2.0, 4.0, 10.0)]
    assert levels == sorted(levels)
    assert levels[0] < 0.005
    assert 0.049 < levels[-1] <= 0.05


@pytest.mark.parametrize("scatter", [0.0, 0.5])
def test_the_ratio_is_the_random_effects_mean_of_statsmodels(scatter):
    """Paule and Mandel's, with Knapp and Hartung's interval, which is never shorter than the errors make it."""
    rng = np.random.default_rng(3)
    deviations = np.hypot(0.02 * UNEQUAL, scatter) * rng.standard_normal(len(STUDENTS))
    law = found(4 * STUDENTS * np.exp(deviations), UNEQUAL)
    peer = combine_effects(np.log(4) + deviations, UNEQUAL**2, method_re="iterated", use_t=True)
    mean, se = (peer.mean_effect_re, peer.sd_eff_w_re_hksj) if scatter else (peer.mean_effect_fe, peer.sd_eff_w_fe)
    assert (peer.tau2 > 0) == (scatter > 0)
    half = student_t.ppf(0.975, len(STUDENTS) - 1) * se
    assert np.log([law.k, law.k_lower, law.k_upper]) == pytest.approx([mean, mean - half, mean + half], rel=1e-5)

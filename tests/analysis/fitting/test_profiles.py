import numpy as np
import pytest
from scipy.stats import t as student_t

from analysis.fitting.profiles import profile_intervals, solve_squares, undetermined

X = np.linspace(0, 1, 30)
Y = 1 + 2 * X + 0.1 * np.random.default_rng(0).standard_normal(30)


def line(theta):
    return theta[0] + theta[1] * X - Y


def test_a_straight_line_has_the_intervals_of_regression():
    theta, cost = solve_squares(line, np.zeros(2))
    design = np.column_stack([np.ones(30), X])
    exact, rss, *_ = np.linalg.lstsq(design, Y, rcond=None)
    np.testing.assert_allclose(theta, exact, rtol=1e-8)
    assert 2 * cost == pytest.approx(rss[0])
    se = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * rss[0] / 28)
    half = student_t.ppf(0.975, 28) * se
    for (low, high), value, width in zip(profile_intervals(line, theta, [0, 1], level=0.95), exact, half, strict=True):
        assert (low, high) == pytest.approx((value - width, value + width), abs=2e-3 * width)


def test_what_the_data_do_not_know_has_no_ends():
    def twice(theta):
        return theta[0] + theta[1] + theta[2] * X + 0 * theta[3] - Y

    theta, _ = solve_squares(twice, np.zeros(4))
    np.testing.assert_array_equal(undetermined(twice, theta), [True, True, False, True])
    ends = profile_intervals(twice, theta, [0, 1, 2, 3], level=0.9)
    assert [np.isfinite(pair).all() for pair in ends] == [False, False, True, False]

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from statsmodels.stats.multitest import multipletests

from analysis.fitting.monotone import departures, holm, monotone_test


@pytest.mark.parametrize("largest", [0.2, 1.0])
def test_holm_equals_statsmodels(largest):
    p = np.random.default_rng(0).uniform(0, largest, 12)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_departure_by_hand():
    # 1, 3, 2 against "never rises": 1, 3, 2 pool to 2, 2, 2 -> 1 + 1 + 0
    rows = np.array([[1.0, 3.0, 2.0], [3.0, 2.0, 2.0]])
    np.testing.assert_allclose(departures(rows, np.ones(3), increasing=False), [2.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("increasing", [True, False])
@pytest.mark.parametrize("size", [1, 2, 9, 26])
def test_departures_are_those_of_scipys_isotonic_regression(size, increasing):
    rng = np.random.default_rng(size)
    rows, weights = rng.standard_normal((200, size)), rng.uniform(0.2, 5.0, size)
    fitted = np.array([isotonic_regression(row, weights=weights, increasing=increasing).x for row in rows])
    expected = (weights * (rows - fitted) ** 2).sum(axis=1)
    np.testing.assert_allclose(departures(rows, weights, increasing=increasing), expected, atol=1e-12)


def test_two_means_are_a_one_sided_t_test():
    """With two points the test is Student's, so its p-value has a closed form."""
    from scipy.stats import t

    n, sigma, dof, gap = 4.0, 0.3, 6, 0.4
    expected = t.sf(gap / (sigma * np.sqrt(2 / n)), dof)
    p = monotone_test(
        np.array([0.0, gap]), np.full(2, n), sigma, dof, increasing=False, resamples=20000, rng=np.random.default_rng(0)
    )
    assert p == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("steep", [0.0, 0.05], ids=["flat", "steep"])
def test_the_level_holds_on_null_data(steep):
    """Type-I error at 5 %: about nominal where all means are equal, at most that on a fall."""
    rng, runs, size, seeds, sigma = np.random.default_rng(1), 400, 6, 4, 0.01
    truth = steep * np.maximum(0, 3 - np.arange(size))
    rejected = 0
    for _ in range(runs):
        y = truth + sigma * rng.standard_normal((seeds, size))
        residual = y - y.mean(0)
        dof = size * (seeds - 1)
        s = np.sqrt((residual**2).sum() / dof)
        rejected += (
            monotone_test(y.mean(0), np.full(size, float(seeds)), s, dof, increasing=False, resamples=99, rng=rng) <= 0.05
        )
    # three standard errors of a share of 400 about 0.05 are 0.033
    assert rejected / runs < 0.083
    if steep == 0:
        assert rejected / runs > 0.017


def test_a_clear_rise_is_found():
    means = np.array([2.0, 1.8, 1.75, 1.8, 1.9])
    p = monotone_test(means, np.full(5, 4.0), 0.01, 12, increasing=False, resamples=999, rng=np.random.default_rng(0))
    assert p == 1 / 1000

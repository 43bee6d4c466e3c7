import numpy as np
import pytest
from scipy.stats import t as student_t

from analysis.fitting.fieller import ratio_interval

Z95 = 1.959963984540054


def test_the_ends_are_the_ratios_that_a_t_test_just_accepts():
    cov = np.array([[0.04, 0.01], [0.01, 0.09]])
    lower, upper = ratio_interval(1.2, 2.0, cov, quantile=Z95)
    assert lower < 0.6 < upper
    for r in (lower, upper):
        error = np.sqrt(cov[0, 0] - 2 * r * cov[0, 1] + r**2 * cov[1, 1])
        assert abs(1.2 - r * 2.0) / error == pytest.approx(Z95, rel=1e-12)


def test_a_known_denominator_gives_the_plain_interval():
    cov = np.diag([0.25, 0.0])
    assert ratio_interval(3.0, 2.0, cov, quantile=2.0) == pytest.approx((1.0, 2.0), rel=1e-12)


def test_a_numerator_without_noise_gives_the_inverse_of_the_interval_of_the_denominator():
    lower, upper = ratio_interval(1.0, -2.0, np.diag([0.0, 0.04]), quantile=2.0)
    assert (lower, upper) == pytest.approx((1 / -1.6, 1 / -2.4), rel=1e-12)


@pytest.mark.parametrize("denominator", [0.0, 0.19, -0.19])
def test_a_denominator_that_may_be_zero_has_no_interval(denominator):
    assert ratio_interval(1.0, denominator, np.diag([1.0, 0.01]), quantile=2.0) is None


def test_coverage_is_exact_for_means_of_normal_pairs():
    """95 % intervals from five pairs of unknown covariance hold the ratio of the true means in 95 % of samples."""
    rng, n, held = np.random.default_rng(0), 5, 0
    cov, quantile = np.array([[1.0, 0.6], [0.6, 2.0]]), student_t.ppf(0.975, n - 1)
    samples = rng.multivariate_normal([-3.0, 9.0], cov, (4000, n))
    for pairs in samples:
        found = ratio_interval(*pairs.mean(0), np.cov(pairs, rowvar=False) / n, quantile=quantile)
        assert found is not None  # a denominator of 14 standard errors
        held += found[0] <= -1 / 3 <= found[1]
    assert held / len(samples) == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / len(samples)))

import numpy as np
import pytest
from scipy import stats

from analysis.fitting.paired import paired_means
from analysis.fitting.seeds import contrast, line, over_seeds, ratio_over_seeds, slopes

RNG = np.random.default_rng(0)
FOUR = RNG.normal(2.0, 0.3, 4)


def test_a_mean_has_scipy_s_interval():
    found, expected = over_seeds([*FOUR, np.nan], 0.9), stats.ttest_1samp(FOUR, 0).confidence_interval(0.9)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))
    assert found.n == 4
    assert found.p_above(1.8) == pytest.approx(stats.ttest_1samp(FOUR, 1.8, alternative="greater").pvalue)


def test_one_seed_has_no_interval():
    assert over_seeds([1.5], 0.95).value == 1.5
    assert over_seeds([1.5], 0.95).lower is None
    assert over_seeds([], 0.95).value is None
    assert ratio_over_seeds([1.0], [2.0], 0.95).value == 0.5
    assert over_seeds([1.5], 0.95).p_above(0) is None


def test_the_ends_of_a_ratio_are_those_that_a_t_test_just_accepts():
    """Fieller: r is inside where the mean of a - r b is no further from zero than the t quantile allows."""
    a, b = RNG.normal(1.0, 0.1, 5), RNG.normal(2.0, 0.1, 5)
    found = ratio_over_seeds(a, b, 0.95)
    assert found.value == pytest.approx(a.mean() / b.mean())
    for end in (found.lower, found.upper):
        assert stats.ttest_1samp(a - end * b, 0).pvalue == pytest.approx(0.05)


def test_a_ratio_to_nothing_is_not_resolved():
    unresolved = ratio_over_seeds([1.0, 2.0, 3.0], [0.1, -0.1, 0.2], 0.95)
    assert (unresolved.lower, unresolved.n) == (None, 3)
    assert ratio_over_seeds([1.0, 2.0], [-0.1, -0.1], 0.95).value is None


def test_a_contrast_of_two_settings_is_the_paired_t_test():
    values = RNG.normal(size=(5, 1)) + RNG.normal(size=(5, 2))
    found, expected = contrast(paired_means(values), [1, -1], 0.95), stats.ttest_rel(*values.T)
    interval = expected.confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))
    assert found.p_above(0) == pytest.approx(stats.ttest_rel(*values.T, alternative="greater").pvalue)


def test_pooled_noise_covers_at_its_level():
    rng, inside = np.random.default_rng(1), 0
    for _ in range(400):
        values = rng.normal(size=(3, 1)) + 0.2 * rng.normal(size=(3, 4)) + np.array([0, 1, 2, 3])
        e = contrast(paired_means(values), [-1, 0, 0, 1], 0.95)
        inside += e.lower < 3 < e.upper
    assert 0.92 < inside / 400 < 0.98


def test_slopes_are_numpy_s():
    x, y = np.array([1.0, 2.0, 4.0]), RNG.normal(size=(2, 3))
    np.testing.assert_allclose(slopes(x, y), np.polyfit(x, y.T, 1)[0])


def test_one_line_has_scipy_s_interval_from_its_own_scatter():
    x = np.array([0.0, 1.0, 2.0, 4.0, 7.0])
    y = 1 + 0.5 * x + 0.1 * np.array([1.0, -2.0, 0.5, 1.5, -1.0])
    found, peer = line(x, y[None], 0.9), stats.linregress(x, y)
    half = stats.t.ppf(0.95, 3) * peer.stderr
    assert (found.value, found.lower, found.upper) == pytest.approx((peer.slope, peer.slope - half, peer.slope + half))


def test_lines_of_seeds_have_the_interval_over_seeds():
    x, y = np.array([0.0, 1.0, 3.0]), np.array([[0.0, 1.0, 3.0], [0.0, 2.0, 6.0], [1.0, 4.0, 10.0]])
    assert line(x, y, 0.95) == over_seeds([1.0, 2.0, 3.0], 0.95)

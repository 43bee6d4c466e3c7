import numpy as np

from analysis.fitting.bootstrap import cluster_bootstrap


def test_standard_error_of_a_mean_of_clusters():
    """Each cluster is one value repeated, so the error is that of n_clusters values: sd / sqrt(n_clusters)."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.standard_normal(40), 5)
    groups = np.repeat(np.arange(40), 5)
    draws = cluster_bootstrap(
        lambda rows: np.array([values[rows].mean()]), groups, resamples=4000, rng=np.random.default_rng(1)
    )
    expected = values[::5].std() / np.sqrt(40)
    np.testing.assert_allclose(draws.estimates.std(ddof=1), expected, rtol=0.05)
    case = cluster_bootstrap(lambda rows: np.array([values[rows].mean()]), np.arange(200), resamples=500, rng=rng)
    assert case.estimates.std(ddof=1) < 0.6 * expected  # what ignoring the clusters would claim


def test_failures_are_counted_and_left_out():
    draws = cluster_bootstrap(
        lambda rows: None if 0 in rows else np.array([1.0]), np.arange(5), resamples=1000, rng=np.random.default_rng(0)
    )
    assert draws.not_converged + len(draws.estimates) == 1000
    assert abs(len(draws.estimates) / 1000 - 0.8**5) < 0.05


def test_the_same_generator_gives_the_same_draws():
    a, b = (
        cluster_bootstrap(lambda rows: rows[:1].astype(float), np.arange(9), resamples=20, rng=np.random.default_rng(3))
        for _ in range(2)
    )
    np.testing.assert_array_equal(a.estimates, b.estimates)

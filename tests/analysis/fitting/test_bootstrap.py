import numpy as np
import pytest

from analysis.fitting.bootstrap import choose, weights, wild_signs
from curselab.errors import InputError


@pytest.mark.parametrize(
    ("clusters", "kind"),
    [(np.arange(40), "case"), (np.arange(80) // 2, "cluster"), (np.arange(40) // 4, "cluster"), (np.arange(10), "case")],
)
def test_the_groups_choose_the_kind(clusters, kind):
    assert choose("auto", clusters) == kind
    assert choose("bayes", clusters) == "bayes"


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="allowed: auto, case, cluster, wild, bayes"):
        choose("jackknife", np.arange(3))


def test_counts_are_those_of_draws_with_replacement():
    drawn = weights("case", np.arange(10), resamples=4000, rng=np.random.default_rng(0))
    assert (drawn.sum(axis=1) == 10).all()
    assert (drawn == drawn.astype(int)).all()
    # a row is missed with chance (1 - 1/10)^10, and the variance of its count is 9/10
    assert np.mean(drawn == 0) == pytest.approx(0.9**10, abs=0.01)
    assert np.var(drawn) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("kind", ["cluster", "bayes"])
def test_rows_of_a_group_share_their_weight(kind):
    clusters = np.array([0, 0, 0, 1, 1, 2])
    drawn = weights(kind, clusters, resamples=2000, rng=np.random.default_rng(1))
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 3] == drawn[:, 4]).all()
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.06)


def test_the_standard_error_of_a_mean_is_found():
    """Known: s/sqrt(n), times (n-1)/n for the multinomial, n/(n+1) for the Dirichlet variance."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=30)
    for kind, variance in (("case", y.var() / 30), ("bayes", y.var() / 31)):
        w = weights(kind, np.arange(30), resamples=20000, rng=rng)
        assert np.var(w @ y / w.sum(axis=1)) == pytest.approx(variance, rel=0.05)


def test_wild_signs_have_the_moments_of_webb():
    v = wild_signs(np.array([0, 0, 1, 2]), resamples=60000, rng=np.random.default_rng(3))
    assert (v[:, 0] == v[:, 1]).all()
    np.testing.assert_allclose(v.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose((v**2).mean(axis=0), 1, atol=0.02)
    np.testing.assert_allclose((v**3).mean(axis=0), 0, atol=0.04)
    assert len(np.unique(v)) == 6

import numpy as np
import pytest
import statsmodels.api as sm

from analysis.fitting.paired import paired_means


def test_a_full_table_gives_plain_means():
    values = np.random.default_rng(0).standard_normal((4, 6))
    found = paired_means(values)
    np.testing.assert_allclose(found.means, values.mean(0))
    residual = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    assert found.dof == 15
    assert found.sigma == pytest.approx(np.sqrt((residual**2).sum() / 15))


def test_a_table_with_holes_equals_statsmodels():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((4, 5))
    values[1, 4] = values[3, 0] = np.nan
    seed, setting = np.nonzero(np.isfinite(values))
    # effects coded to sum to zero: the last seed is minus the sum of the others
    design = np.column_stack([np.eye(5)[setting], np.vstack([np.eye(3), -np.ones(3)])[seed]])
    peer = sm.OLS(values[seed, setting], design).fit()
    found = paired_means(values)
    np.testing.assert_allclose(found.means, peer.params[:5], rtol=1e-10)
    assert found.sigma == pytest.approx(np.sqrt(peer.scale))
    assert found.counts.tolist() == [3, 4, 4, 4, 3]


def test_a_seed_s_own_effect_is_no_noise():
    values = np.arange(5.0)[None] + np.array([[0.0], [10.0], [-3.0]])
    found = paired_means(values)
    assert found.sigma == pytest.approx(0, abs=1e-12)


def test_one_seed_has_no_noise_estimate():
    assert paired_means(np.ones((1, 4))).sigma is None

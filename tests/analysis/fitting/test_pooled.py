import numpy as np
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.fitting.pooled import fit_pooled

X = np.log([2e4, 6e4, 2e5, 6e5, 2e6]) - np.log(2e5)


def _line(theta, x):
    return theta[:, :1] + theta[:, 1:] * x, np.stack([np.ones_like(x), x], axis=-1)


def _groups(n, rng, noise=0.05):
    truth = np.array([1.0, -0.2]) + rng.standard_normal((n, 2)) * (0.2, 0.05)
    return truth, truth[:, :1] + truth[:, 1:] * X + noise * rng.standard_normal((n, len(X)))


def _fit(y, weights=None, **options):
    weights = np.ones_like(y) if weights is None else weights
    return fit_pooled(
        _line, np.tile(X, (len(y), 1)), y, weights, centre=np.array([1.0, -0.2]), scale=np.array([0.2, 0.05]), **options
    )


def test_lines_agree_with_a_library_s_mixed_model():
    """Random intercepts and slopes by statsmodels; the weak prior counts as one group of 60."""
    truth, y = _groups(60, np.random.default_rng(0))
    ours = _fit(y)
    assert ours.converged
    design = np.column_stack([np.ones(y.size), np.tile(X, len(y))])
    # ten times, since it takes variances below 0.01 for nothing
    peer = MixedLM(10 * y.ravel(), design, groups=np.repeat(np.arange(len(y)), len(X)), exog_re=design).fit(reml=False)
    np.testing.assert_allclose(ours.mean, peer.fe_params / 10, atol=0.004)
    assert ours.sigma == pytest.approx(np.sqrt(peer.scale) / 10, rel=0.02)
    theirs = np.array([peer.fe_params + peer.random_effects[i] for i in range(len(y))])
    np.testing.assert_allclose(ours.theta, theirs / 10, atol=0.01)


def test_pooling_beats_each_group_by_itself_and_its_intervals_hold():
    rng, errors, alone, held = np.random.default_rng(1), [], [], []
    for _ in range(100):
        truth, y = _groups(8, rng, noise=0.15)
        fit = _fit(y, sigma=0.15)
        own = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), y.T, rcond=None)[0].T
        errors.append(fit.theta[:, 1] - truth[:, 1])
        alone.append(own[:, 1] - truth[:, 1])
        held.append(np.abs(errors[-1]) < 1.96 * np.sqrt(fit.cov[:, 1, 1]))
    assert np.std(errors) < 0.95 * np.std(alone)
    assert 0.93 < np.mean(held) < 0.98  # 800 intervals


def test_a_group_with_one_point_has_the_others_slope_and_says_how_unsure_it_is():
    truth, y = _groups(12, np.random.default_rng(2))
    weights = np.ones_like(y)
    weights[0, 1:] = 0
    fit = _fit(y, weights, sigma=0.05)
    assert abs(fit.theta[0, 1] - fit.mean[1]) < 2 * np.sqrt(fit.spread[1, 1])
    assert fit.cov[0, 1, 1] > 3 * fit.cov[1, 1, 1]

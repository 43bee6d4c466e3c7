import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.tools.eval_measures import aicc as reference

from analysis.fitting.selection import aicc, inflation


def test_it_is_statsmodels_criterion():
    rng = np.random.default_rng(0)
    x = sm.add_constant(rng.normal(size=(20, 2)))
    fit = sm.OLS(rng.normal(size=20), x).fit()
    # statsmodels leaves the variance out of its count unless told
    assert aicc(fit.resid, 3) == pytest.approx(reference(fit.llf, 20, 4), rel=1e-12)


def test_too_few_runs_are_infinitely_bad():
    assert aicc(np.ones(5), 4) == np.inf


@pytest.mark.parametrize("r", [0.0, 0.3, 0.6])
def test_the_correlation_of_neighbours_is_found_between_repeats_whatever_the_series_is(r):
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((200, 4, 24))
    for i in range(1, 24):
        noise[..., i] = r * noise[..., i - 1] + np.sqrt(1 - r**2) * noise[..., i]
    series = 10 * np.sin(np.arange(24.0))
    found = np.median([inflation(series + 3 * rng.standard_normal((4, 1)) + repeats) for repeats in noise])
    assert found == pytest.approx((1 + r) / (1 - r), rel=0.12)


def test_one_repeat_and_equal_repeats_inflate_nothing():
    assert inflation(np.arange(5.0)[None]) == 1
    assert inflation(np.tile(np.arange(5.0), (3, 1))) == 1


def test_an_inflated_criterion_keeps_its_penalty():
    resid = np.random.default_rng(0).normal(size=20)
    plain, inflated = aicc(resid, 2), aicc(resid, 2, inflation=2.0)
    penalty = 2 * 3 + 2 * 3 * 4 / (20 - 3 - 1)
    assert inflated - penalty == pytest.approx((plain - penalty) / 2)

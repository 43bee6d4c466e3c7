import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.tools.eval_measures import aicc as reference

from analysis.fitting.selection import aicc


def test_it_is_statsmodels_criterion():
    rng = np.random.default_rng(0)
    x = sm.add_constant(rng.normal(size=(20, 2)))
    fit = sm.OLS(rng.normal(size=20), x).fit()
    # statsmodels leaves the variance out of its count unless told
    assert aicc(fit.resid, 3) == pytest.approx(reference(fit.llf, 20, 4), rel=1e-12)


def test_too_few_runs_are_infinitely_bad():
    assert aicc(np.ones(5), 4) == np.inf

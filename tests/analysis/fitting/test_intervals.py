import numpy as np
import pytest
import statsmodels.api as sm

from analysis import fit_scaling_law
from analysis.fitting.intervals import profile_ends, sharpness
from analysis.fitting.objectives import Objective
from analysis.laws.parametric import posynomial_law
from curselab.errors import InputError

LINE = posynomial_law(
    "line", terms=[("A", "alpha", "compute")], inputs=("compute",), formula="L = A/C^alpha", source="", valid=""
)


def test_the_profile_of_a_linear_law_is_the_t_interval_of_statsmodels():
    C = np.geomspace(1e3, 1e6, 15)
    loss = 3 * C**-0.1 * np.exp(0.02 * np.random.default_rng(0).standard_normal(15))
    fit = fit_scaling_law(law=LINE, inputs={"compute": C}, loss=loss, objective="l2", bootstrap=0)
    ols = sm.OLS(np.log(loss), np.column_stack([np.ones(15), -np.log(C)])).fit()
    np.testing.assert_allclose(fit.params, [np.exp(ols.params[0]), ols.params[1]], rtol=1e-9)
    np.testing.assert_allclose(fit.profile("alpha"), ols.conf_int()[1], rtol=1e-6)
    np.testing.assert_allclose(np.log(fit.profile("A", level=0.8)), ols.conf_int(0.2)[0], rtol=1e-6)


def test_sharpness_of_squares_is_one_over_the_variance_and_of_l1_that_of_the_density():
    r = np.random.default_rng(1).normal(0, 0.3, 20000)
    assert sharpness(Objective("l2"), r, np.ones(len(r))) == pytest.approx(1 / np.mean(r**2), rel=1e-6)
    # twice the density at zero: 2 / (0.3 sqrt(2 pi)); E psi^2 = 1
    assert sharpness(Objective("l1"), r, np.ones(len(r))) == pytest.approx(2 / (0.3 * np.sqrt(2 * np.pi)), rel=0.05)


def test_an_objective_that_never_rises_gives_no_end():
    assert profile_ends(lambda v: np.where(v > 0, v**2, 0.0), 0.0, 0.1, level=0.95, dof=30, scale=1.0)[0] == -np.inf


def test_a_held_parameter_has_no_profile():
    C = np.geomspace(1e3, 1e6, 15)
    fit = fit_scaling_law(law=LINE, inputs={"compute": C}, loss=3 * C**-0.1, fixed={"alpha": 0.1}, bootstrap=0)
    assert fit.params["A"] == pytest.approx(3, rel=1e-9)
    with pytest.raises(InputError, match="alpha is fixed"):
        fit.profile("alpha")

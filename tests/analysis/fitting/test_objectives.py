import numpy as np
import pytest
from scipy.special import huber
from scipy.stats import expectile, median_abs_deviation

from analysis.fitting.objectives import Objective, objective
from analysis.fitting.posynomial import Posynomial, resolve, solve
from curselab.errors import InputError

CONSTANT = Posynomial(((),))  # a loss that is one number
RESID = np.array([-3.0, -0.5, -1e-9, 0.0, 0.2, 1.0, 7.0])


def test_huber_s_loss_is_scipy_s():
    np.testing.assert_allclose(objective("huber", delta=0.7).rho(RESID), huber(0.7, RESID), rtol=1e-15)


@pytest.mark.parametrize(
    "what",
    [
        Objective("l2"),
        Objective("huber", delta=0.7),
        Objective("asymmetric", tilt=0.2),
        Objective("asymmetric", tilt=0.9, delta=0.7),
    ],
)
def test_psi_is_the_derivative_of_rho(what):
    step = 1e-6
    numeric = (what.rho(RESID + step) - what.rho(RESID - step)) / (2 * step)
    np.testing.assert_allclose(what.psi(RESID), numeric, atol=2e-6)


def test_half_a_tilt_is_none():
    np.testing.assert_array_equal(objective("asymmetric").rho(RESID), objective("l2").rho(RESID))


@pytest.mark.parametrize("tilt", [0.1, 0.5, 0.8])
def test_the_asymmetric_constant_is_the_expectile(tilt):
    y = np.random.default_rng(0).standard_normal(51)
    found = solve(CONSTANT, np.empty((51, 0)), y, objective=Objective("asymmetric", tilt=tilt))
    np.testing.assert_allclose(found.theta[0, 0], expectile(y, alpha=tilt), rtol=1e-9)


def test_the_constants_of_l1_and_l2_are_median_and_mean():
    y = np.random.default_rng(1).standard_normal(51)
    x = np.empty((51, 0))
    np.testing.assert_allclose(solve(CONSTANT, x, y, objective="l1").theta[0, 0], np.median(y), rtol=1e-12)
    np.testing.assert_allclose(solve(CONSTANT, x, y, objective="l2").theta[0, 0], y.mean(), rtol=1e-12)
    raw = solve(CONSTANT, x, y, objective=Objective("l2", on="raw"))
    np.testing.assert_allclose(np.exp(raw.theta[0, 0]), np.exp(y).mean(), rtol=1e-12)


def test_auto_is_1345_normal_deviations_of_the_median_fit():
    y = np.random.default_rng(2).standard_normal(51)
    found = resolve(Objective("huber", delta="auto"), CONSTANT, np.empty((51, 0)), y)
    assert found.delta == pytest.approx(1.345 * median_abs_deviation(y, scale="normal"), rel=1e-9)
    assert objective("huber").delta == 1e-3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "cauchy"}, "allowed: l2, l1, huber, asymmetric"),
        ({"kind": "huber"}, "without a delta"),
        ({"kind": "huber", "delta": -1.0}, "above 0"),
        ({"kind": "huber", "delta": "wide"}, "above 0 or 'auto'"),
        ({"kind": "l1", "delta": 1.0}, "only huber and asymmetric"),
        ({"kind": "l2", "on": "log10"}, "allowed: log, raw"),
        ({"kind": "asymmetric", "tilt": 1.0}, "between 0 and 1"),
        ({"kind": "huber", "delta": 1.0, "tilt": 0.2}, "asymmetric"),
    ],
)
def test_wrong_objectives_are_one_line(wrong, says):
    with pytest.raises(InputError, match=says) as caught:
        Objective(**wrong)
    assert "\n" not in str(caught.value)


def test_auto_is_resolved_before_use():
    with pytest.raises(InputError, match="auto"):
        Objective("huber", delta="auto").rho(RESID)

import numpy as np
import pytest

from analysis.fitting.inversion import invert, monotone_curve, states
from analysis.laws.multilinguality_equivalent import LogPower
from curselab.errors import InputError

MEASURED = (np.log(1e6), np.log(1e9))


def test_it_inverts_chang_s_curve_as_its_closed_form_does():
    """Check value: a = 20, b = 2, c = 1 at rel = 4/9 + .02 is 1.2912e6 tokens."""
    law = LogPower(a=20.0, b=2.0, c=1.0)
    values = [-4 / 9, -(4 / 9 + 0.02), -law.relative(3e8)]
    found = invert(lambda x: -law.relative(np.exp(x)), values, measured=MEASURED, reach=np.log(1e3))
    np.testing.assert_allclose(np.exp(found.log_x), [1e6, law.tokens(4 / 9 + 0.02), 3e8], rtol=1e-9)
    assert np.exp(found.log_x[1]) == pytest.approx(1.2912e6, rel=5e-5)
    assert found.state.tolist() == ["measured"] * 3


def test_what_no_data_reach_is_said():
    """L = 1 + x^-1/3: below 1 there is nothing; beyond 1e9 it is an extrapolation."""
    found = invert(lambda x: 1 + np.exp(-x / 3), [0.9, 1 + 1e10 ** (-1 / 3), 1 + 1e5 ** (-1 / 3)], measured=MEASURED)
    assert found.log_x[0] == np.inf
    np.testing.assert_allclose(np.exp(found.log_x[1:]), [1e10, 1e5], rtol=1e-9)
    assert found.state.tolist() == ["below_floor", "extrapolated", "extrapolated"]
    assert states([MEASURED[0], MEASURED[1], np.inf], MEASURED).tolist() == ["measured", "measured", "below_floor"]


def test_noise_is_divided_by_the_slope():
    """The delta method, var(ln x) = var(y) / slope^2, against inverted draws."""
    rng = np.random.default_rng(0)
    noise = 1e-4 * rng.standard_normal(4000)
    found = invert(lambda x: 1 + np.exp(-x / 3), 1 + 1e8 ** (-1 / 3) + noise, measured=MEASURED)
    assert np.std(found.log_x) == pytest.approx(1e-4 / (1e8 ** (-1 / 3) / 3), rel=0.05)


def test_points_that_rise_are_made_to_fall_first():
    """The violators 3.0 and 3.2 become their mean."""
    curve = monotone_curve([4.0, 1.0, 2.0, 3.0], [2.0, 4.0, 3.0, 3.2])
    np.testing.assert_allclose(curve(np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0])), [4, 3.55, 3.1, 3.1, 2, 0.9])
    found = invert(curve, [3.55, 2.55], measured=(1.0, 4.0))
    np.testing.assert_allclose(found.log_x, [1.5, 3.5])
    with pytest.raises(InputError, match="1 different x"):
        monotone_curve([2.0, 2.0], [1.0, 2.0])
    with pytest.raises(InputError, match="it rises with x"):
        invert(lambda x: x, [1.0], measured=(0.0, 1.0))

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from analysis import fit_scaling_law
from analysis.laws.stability_gap_bethune import InjectionForgetting
from analysis.laws.stability_gap_cmr import CMR_2024, general_rise, turning_point
from analysis.laws.stability_gap_dcpt import DCPT, falls_with_share
from curselab.errors import InputError

TRUTH = {"E": 1.2, "A": 180.0, "B": 60.0, "C": 0.3, "alpha": 0.3, "beta": 0.25, "eta": 0.1, "gamma": 0.4, "eps": 0.05}


@pytest.fixture
def table(root):
    return pd.read_csv(root / "results/published/stability_gap.csv").set_index(["law", "symbol"])


def test_critical_ratios_at_20B_are_those_of_the_text(table):
    for size, law in CMR_2024.items():
        for c in law.coefficients:
            row = table.loc[(f"cmr_2024_{size}", c.symbol)]
            assert (c.value, law.trust) == (row["value"], row["trust"])
        assert float(law.share(20e9)) == pytest.approx(law.share_at_20B, abs=5.1e-4)
        assert float(law.share(20e9)) == pytest.approx(
            table.loc[(f"cmr_2024_{size}", "share_at_20B_tokens"), "value"], abs=6e-5
        )
        assert law.tolerance == table.loc[("cmr_2024", "tolerance"), "value"]


def test_below_some_budget_no_share_is_allowed():
    """The fits cross zero between 2.5B and 3.4B tokens."""
    smallest = [law.smallest_budget() for law in CMR_2024.values()]
    assert 2.45e9 < min(smallest) < max(smallest) < 3.45e9
    for law, tokens in zip(CMR_2024.values(), smallest, strict=True):
        assert float(law.share(0.9 * tokens)) == 0
        assert float(law.share(1.1 * tokens)) > 0
        assert [note.code for note in law.notes(0.9 * tokens)] == ["outside_law"]
        assert law.notes(1.1 * tokens) == ()
    assert [note.code for note in CMR_2024["460m"].notes(1e13)] == ["extrapolated", "outside_law"]
    with pytest.raises(InputError, match="tokens"):
        CMR_2024["460m"].share(0.0)


def test_two_powers_turn_where_a_library_finds_it():
    constants = {"a2": 0.05, "s2": 0.4, "a3": -0.01, "s3": 0.7}
    found = minimize_scalar(
        lambda x: -float(general_rise(np.exp(x), **constants)), bounds=(18, 30), method="bounded", options={"xatol": 1e-9}
    )
    assert np.log(turning_point(**constants)) == pytest.approx(found.x, abs=1e-4)
    assert turning_point(a2=0.05, s2=0.4, a3=0.01, s3=0.7) is None


def _runs():
    n, d, r = (
        a.ravel() for a in np.meshgrid([5e8, 1.8e9, 4e9], np.geomspace(1e9, 2e10, 6), [0.1, 0.2, 0.33, 0.5, 0.67, 0.9, 1])
    )
    return n, d, r, DCPT.predict(TRUTH, n, d, r)


def test_the_mixture_law_is_its_formula_and_comes_back_from_runs():
    n, d, r, loss = _runs()
    expected = 1.2 + 180 / n**0.3 + 60 * r**0.1 / d**0.25 + 0.3 / (r + 0.05) ** 0.4
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    fit = fit_scaling_law(params=n, tokens=d, loss=loss, law=DCPT, inputs={"share": r}, objective="l2", bootstrap=0)
    np.testing.assert_allclose(DCPT.predict(np.asarray(fit.estimate), n, d, r), loss, rtol=1e-6)
    assert fit.params["alpha"] == pytest.approx(0.3, rel=0.02)
    assert fit.params["beta"] == pytest.approx(0.25, rel=0.02)
    assert falls_with_share(fit, 1.8e9, 1e10)


def test_its_jacobian_is_that_of_differences():
    n, d, r, _ = _runs()
    theta, x = DCPT.solver(DCPT.vector(TRUTH)), np.stack([n, d, r])
    exact = DCPT.model.jacobian(theta, x)
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-6
        slope = (DCPT.model.log_loss(theta + step, x) - DCPT.model.log_loss(theta - step, x)) / 2e-6
        np.testing.assert_allclose(exact[:, k], slope, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
def test_with_noise_some_constants_are_not_identified():
    n, d, r, loss = _runs()
    noisy = loss * np.exp(0.003 * np.random.default_rng(0).standard_normal(len(loss)))
    fit = fit_scaling_law(params=n, tokens=d, loss=noisy, law=DCPT, inputs={"share": r}, objective="l2", bootstrap=100)
    assert fit.status == "not_identified"
    assert fit.unidentified


def test_injection_is_worth_parameters():
    law = InjectionForgetting(A=2.0, B=100.0, alpha=0.4, beta=0.3)
    assert not law.verified
    assert float(law.forgetting(1e8, 1e7, 0.0)) == pytest.approx(2 * 1e7**0.3 / 1e8**0.4)
    assert float(law.forgetting(1e8, 1e7, 0.01)) == pytest.approx(float(law.forgetting(2e8, 1e7, 0.0)))
    assert float(law.worth_in_params(0.01)) == pytest.approx(2.0)

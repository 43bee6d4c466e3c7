import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analysis import fit_scaling_law, optimal
from analysis.decisions.allocate import allocation
from analysis.laws.forms import CHINCHILLA, HOFFMANN_2022
from curselab.errors import InputError
from tests.analysis.factories import scaling_runs

BUDGET = 5.76e23  # Chinchilla's and Gopher's own


def test_the_published_allocation_comes_out(chinchilla_fit):
    """Computed independently from the exact optimum and 4000 resamples of Besiroglu et al. (other draws than ours)."""
    rows = chinchilla_fit.optimal(BUDGET).set_index("quantity")
    assert rows.loc["a", "value"] == pytest.approx(0.513900, abs=1e-6)
    assert rows.loc["a", "se"] == pytest.approx(0.01997, rel=0.06)
    assert rows.loc["tokens_per_param", "value"] == pytest.approx(17.921012, rel=1e-6)
    assert rows.loc["tokens_per_param", "lower"] == pytest.approx(7.6, rel=0.06)
    assert rows.loc["tokens_per_param", "upper"] == pytest.approx(35.9, rel=0.06)
    assert rows["extrapolated"].all()
    assert set(rows["warning"]) == {"extrapolating"}
    assert set(chinchilla_fit.optimal(1e20)["warning"]) == {""}
    assert rows.loc["params", "value"] * rows.loc["tokens", "value"] * 6 == pytest.approx(BUDGET)


def test_the_closed_form_is_the_minimum():
    theta = CHINCHILLA.vector(HOFFMANN_2022)
    best = allocation(CHINCHILLA, theta[None], np.array([1e21]))
    found = minimize_scalar(
        lambda n: float(CHINCHILLA.predict(theta, np.exp(n), 1e21 / 6 / np.exp(n))), bounds=(15, 28), options={"xatol": 1e-10}
    )
    assert np.log(best["params"][0, 0]) == pytest.approx(found.x, abs=1e-5)
    assert best["loss"][0, 0] == pytest.approx(found.fun, rel=1e-12)


def test_rounding_of_the_published_constants_matters():
    """The trap that Besiroglu et al. found: 92.6 tokens a parameter from the printed constants, 58.9 from their source."""
    exact = {"E": 1.693373681, "A": 406.4010175, "B": 410.7228269, "alpha": 0.33917084, "beta": 0.2849083}
    for constants, expected in ((HOFFMANN_2022, 92.647367), (exact, 58.931667)):
        found = allocation(CHINCHILLA, CHINCHILLA.vector(constants)[None], np.array([BUDGET]))
        assert found["tokens_per_param"][0, 0] == pytest.approx(expected, rel=1e-6)


def test_what_is_not_identified_gets_no_interval():
    data = scaling_runs(noise=0.003)[lambda d: d["params_total"] <= 30_000]
    fit = fit_scaling_law(data, params="params_total", loss="loss_nats_per_token", bootstrap=30)
    assert optimal(fit, 1e13)["lower"].isna().all()


def test_bad_budgets_and_laws_are_refused(chinchilla_fit, chinchilla_runs):
    with pytest.raises(InputError, match="positive finite FLOP"):
        optimal(chinchilla_fit, -1.0)
    kaplan = fit_scaling_law(chinchilla_runs, law="kaplan", bootstrap=0)
    with pytest.raises(InputError, match="law kaplan has no power terms"):
        optimal(kaplan, 1e20)

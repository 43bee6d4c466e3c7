import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from analysis import fit_scaling_law
from analysis.laws.multilinguality_mixture import SHARE, EffectiveShare, optimal_shares
from curselab.errors import InputError

TRUTH = {"E": 1.5, "A": 60.0, "B": 120.0, "alpha": 0.35, "beta": 0.3, "gamma": 0.15}


def test_best_shares_to_five_digits():
    """arXiv:2410.12883: exponents of .1 and .2, normalised. Check value p = .339; five digits by another optimiser."""
    shares = optimal_shares({"a": 0.1, "b": 0.2})
    found = minimize_scalar(
        lambda p: p**-0.1 + (1 - p) ** -0.2, bounds=(0.01, 0.99), method="bounded", options={"xatol": 1e-12}
    )
    assert shares["a"] == pytest.approx(0.339, abs=5e-4)
    assert shares["b"] == pytest.approx(0.661, abs=5e-4)
    assert shares["a"] == pytest.approx(found.x, abs=5e-6)


def test_equal_exponents_have_a_closed_form():
    """p_i is proportional to w_i^(1 / (1 + gamma))."""
    w = {"a": 1.0, "b": 2.0, "c": 5.0}
    p = optimal_shares(dict.fromkeys(w, 0.3), w)
    expected = np.array(list(w.values())) ** (1 / 1.3)
    np.testing.assert_allclose(list(p.values()), expected / expected.sum(), rtol=1e-12)
    assert optimal_shares({"a": 0.2}) == {"a": pytest.approx(1.0)}


def test_bad_shares_are_one_line_errors():
    with pytest.raises(InputError, match="one for each of a, b"):
        optimal_shares({"a": 0.1, "b": 0.2}, {"a": 1.0})
    with pytest.raises(InputError, match="positive finite numbers"):
        optimal_shares({"a": 0.0})


def test_the_share_s_law_is_the_formula_and_comes_back_from_runs():
    n, d, p = (a.ravel() for a in np.meshgrid([1e6, 1e7, 1e8, 1e9], [1e7, 1e8, 1e9, 1e10], [0.05, 0.2, 0.5, 1.0]))
    loss = SHARE.predict(TRUTH, n, d, p)
    np.testing.assert_allclose(loss, (1.5 + 60 / n**0.35 + 120 / d**0.3) * p**-0.15, rtol=1e-12)
    fit = fit_scaling_law(law=SHARE, params=n, tokens=d, loss=loss, inputs={"share": p}, objective="l2", bootstrap=0)
    for symbol, value in TRUTH.items():
        assert fit.params[symbol] == pytest.approx(value, rel=1e-5), symbol


def test_effective_share_ends_at_none_and_all(root):
    law = EffectiveShare(c1=0.5, c2=0.8, c3=0.6)
    np.testing.assert_allclose(law.share([0, 1]), [0, 1])
    assert law.share(0.5) == pytest.approx(0.5 + 0.5 * 0.5**0.8 * 0.5**0.6)
    np.testing.assert_allclose(EffectiveShare(c1=0.0, c2=1.0, c3=1.0).share([0.1, 0.7]), [0.1, 0.7])
    assert law.loss(1e8, 0.5, E=1.0, B=50.0, alpha=0.3) == pytest.approx(1 + 50 * (float(law.share(0.5)) * 1e8) ** -0.3)
    table = pd.read_csv(root / "results/published/multilinguality.csv").set_index(["law", "symbol"])["value"]
    assert (table["fernandes_2023", "smallest_model"], table["fernandes_2023", "largest_model"]) == (20e6, 1e9)

import numpy as np
import pandas as pd
import pytest

from analysis import fit_scaling_law
from analysis.laws.multilinguality_capacity import CAPACITY, LanguagesLaw
from curselab.errors import InputError

LAW = LanguagesLaw()
TRUTH = {"E": 1.2, "A": 900.0, "B": 20.0, "phi": 0.11, "alpha": 0.453, "psi": -0.04, "beta": 0.147}


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/multilinguality.csv").set_index(["law", "symbol"])
    for c in LAW.coefficients:
        row = table.loc[("atlas_2025_capacity", c.symbol)]
        assert (c.value, c.unit) == (row["value"], row["unit"])
        ends = tuple(None if np.isnan(end) else end for end in row[["lower", "upper"]])
        assert (c.lower, c.upper) == ends
        assert row["trust"] == ("derived" if c.symbol in ("alpha", "beta") else LAW.trust)
    ends = ("fewest_languages", "most_languages", "smallest_model", "largest_model")
    assert LAW.languages_range + LAW.params_range == tuple(table.loc[("atlas_2025_capacity", end), "value"] for end in ends)


@pytest.mark.parametrize("ratio", [2, 4, 8, 16])
def test_the_printed_multipliers_of_figure_5(root, ratio):
    table = pd.read_csv(root / "results/published/multilinguality.csv").set_index(["law", "symbol"])["value"]
    for quantity in ("params", "tokens"):
        value, lower, upper = LAW.multipliers(ratio)[quantity]
        assert value == pytest.approx(table["atlas_2025_capacity", f"{quantity}_times_at_{ratio}K"], abs=0.01)
        assert lower < value < upper


def test_the_printed_exponents_are_those_of_the_law():
    phi, psi, alpha, beta, n, d, c = (constant.value for constant in LAW.coefficients)
    assert phi / alpha == pytest.approx(n, abs=5e-4)
    assert 1 + psi / beta == pytest.approx(d, abs=5e-4)
    assert 1 + phi / alpha + psi / beta == pytest.approx(c, abs=1.5e-3)


def test_the_iso_loss_curve_goes_through_the_best_point():
    """At N'/N = r^(phi/alpha) the tokens a language are r^(psi/beta) times the old ones."""
    for r in (2.0, 4.0, 16.0):
        assert LAW.tokens_each(r, r ** (0.11 / 0.453)) == pytest.approx(r ** (-0.04 / 0.147), rel=1e-9)
        assert LAW.tokens_each(r, 1.0) > LAW.tokens_each(r, 2.0)
    assert LAW.tokens_each(1.0, 1.0) == pytest.approx(1.0)
    # s^alpha = r^phi w_N at r = 16 and w_N = .245, so s = .0879: below it no tokens are enough
    assert LAW.tokens_each(16.0, 0.087) == np.inf
    assert LAW.tokens_each(16.0, 0.089) < np.inf
    with pytest.raises(InputError, match="ratio: -1"):
        LAW.multipliers(-1)


def test_the_law_is_the_formula_and_comes_back_from_runs():
    k, n, d = (a.ravel() for a in np.meshgrid([4, 8, 16, 50], [1e7, 1e8, 1e9, 8e9], [1e8, 1e9, 1e10, 1e11]))
    loss = CAPACITY.predict(TRUTH, k, n, d)
    np.testing.assert_allclose(loss, 1.2 + 900 * k**0.11 / n**0.453 + 20 * k**-0.04 / d**0.147, rtol=1e-12)
    fit = fit_scaling_law(law=CAPACITY, params=n, tokens=d, loss=loss, inputs={"languages": k}, objective="l2", bootstrap=0)
    for symbol, value in TRUTH.items():
        assert fit.params[symbol] == pytest.approx(value, rel=1e-3), symbol

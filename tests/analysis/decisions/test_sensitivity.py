import numpy as np
import pandas as pd
import pytest

from analysis import sensitivity
from curselab.errors import InputError


def test_every_row_is_the_independently_computed_optimum(chinchilla_fit, shared):
    oracles = pd.read_csv(shared / "data/chinchilla/fit_oracles.csv").query("dataset == '240'").set_index("objective")
    table = sensitivity(chinchilla_fit, compute=5.76e23)
    column = "tokens_per_param_at_5.76e23"
    for delta in ("0.0001", "0.001", "0.01", "0.1"):
        value = table.query("choice == 'delta' and setting == @delta")["value"].item()
        expected = float(oracles.loc[f"sum Huber(delta={delta}) of log-loss residual", column])
        assert value == pytest.approx(expected, rel=1e-5)
    raw = table.query("setting == 'l2 of L'")["value"].item()
    assert raw == pytest.approx(float(oracles.loc["sum r^2 of loss residual", column]), rel=1e-5)
    assert table["converged"].all()
    assert table["value"][0] == pytest.approx(17.921012, rel=1e-6)
    assert (table["ratio"][0], table["shift"][0]) == (1, 0)


def test_a_convention_is_one_more_row(chinchilla_fit):
    table = sensitivity(chinchilla_fit, "alpha", conventions={"in millions": lambda n: n / 1e6})
    row = table[table["choice"] == "params"]
    assert row["value"].item() == pytest.approx(table["value"][0], rel=1e-6)  # an exponent has no unit
    assert np.isfinite(table["shift"]).all()


def test_an_unknown_quantity_is_refused(chinchilla_fit):
    with pytest.raises(InputError, match="allowed: E, A, B, alpha, beta, params"):
        sensitivity(chinchilla_fit, "happiness")

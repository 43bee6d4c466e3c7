import numpy as np
import pandas as pd
import pytest

from analysis.laws.stability_gap_cmr import CMR_2024
from analysis.laws.stability_gap_cmr_fit import fit_power
from curselab.errors import InputError

SHARES = np.array([1, 0.75, 0.5, 1 / 3])


@pytest.mark.parametrize("size", CMR_2024)
def test_the_share_s_law_predicts_the_held_out_share(root, size):
    """Table 2: a R^s + b through four shares, and the loss that was measured at the fifth (33 % being a third)."""
    table = pd.read_csv(root / "results/published/stability_gap.csv").set_index(["law", "symbol"])
    loss = table.loc[f"cmr_2024_{size}", "value"]
    fit = fit_power(SHARES, [loss[f"loss_at_share_{share:.2g}_measured"] for share in SHARES])
    assert float(fit.at(0.25)) == pytest.approx(loss["loss_at_share_0.25_measured"], abs=2e-4)
    assert abs(loss["loss_at_share_0.25_predicted"] - loss["loss_at_share_0.25_measured"]) < 1e-3


def test_four_points_leave_some_constant_open_and_many_do_not():
    law = CMR_2024["3.1b"]
    a, s, b = (c.value for c in law.coefficients)
    rng = np.random.default_rng(0)
    few = fit_power(SHARES, 1.2 * SHARES**-0.05 + 0.3 + 0.01 * rng.standard_normal(4))
    assert few.unidentified
    T = np.geomspace(5, 300, 30)
    many = fit_power(T, a * T**s + b + 1e-3 * rng.standard_normal(30))
    assert not many.unidentified
    for c, value in zip(many.coefficients, (a, s, b), strict=True):
        assert c.lower < value < c.upper


def test_bad_points_are_a_one_line_error():
    with pytest.raises(InputError, match="four different x"):
        fit_power([1, 2, 3], [1, 2, 3])

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from analysis.laws.stability_gap_cmr import CMR_2024, general_rise, turning_point
from curselab.errors import InputError


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

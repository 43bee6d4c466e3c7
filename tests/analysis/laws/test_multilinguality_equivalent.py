import numpy as np
import pandas as pd
import pytest

from analysis.laws.multilinguality_equivalent import LogPower, TransferScores, transfer_score
from curselab.errors import InputError

CURVE = LogPower(a=20.0, b=2.0, c=1.0)


def test_check_values_of_the_inversion():
    """By hand, arXiv:2311.09205, section 4.2: 1 - 20 / 6^2 = 4/9, and 0.02 more is worth 1.2912e6 tokens."""
    assert CURVE.relative(1e6) == pytest.approx(4 / 9, abs=5e-7)
    assert CURVE.tokens(4 / 9) == pytest.approx(1e6, rel=1e-9)
    assert CURVE.tokens(4 / 9 + 0.02) == pytest.approx(1.2912e6, rel=5e-5)


def test_at_its_ceiling_no_data_are_enough():
    assert CURVE.tokens([1.0, 1.5]).tolist() == [np.inf, np.inf]
    tokens = np.geomspace(1e6, 1e9, 7)
    np.testing.assert_allclose(CURVE.tokens(CURVE.relative(tokens)), tokens, rtol=1e-9)
    with pytest.raises(InputError, match="b = -2.0"):
        LogPower(a=20.0, b=-2.0, c=1.0)


def test_check_values_of_the_transfer_score():
    """By hand, arXiv:2510.22037, appendix B.5: 42B monolingual tokens."""
    np.testing.assert_allclose(transfer_score([84e9, 63e9, 105e9], 42e9), [0, 0.5, -0.5], atol=1e-12)


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/multilinguality.csv").set_index(["law", "symbol"])
    law = TransferScores()
    for constant in law.coefficients:
        row = table.loc[("atlas_2025_bts", constant.symbol)]
        assert (constant.value, law.trust) == (row["value"], row["trust"])
    assert (law.params, law.tokens) == tuple(table.loc[[("atlas_2025_bts", s) for s in ("params", "tokens")], "value"])
    pairs = table.loc["atlas_2025_bts"].filter(regex="^[a-z]{2}_to_[a-z]{2}$", axis=0)
    assert len(pairs) == 72
    sizes = table.loc["chang_2023"].filter(regex="^params_", axis=0)["value"]
    assert sizes.min() == 4.6e6


def test_the_rows_are_whole(root):
    table = pd.read_csv(root / "results/published/multilinguality.csv")
    assert not table.duplicated(["law", "symbol"]).any()
    assert set(table["trust"]) <= {"primary", "secondary", "derived"}
    assert table["source"].str.len().min() > 10
    assert not table["law"].str.contains("finetun|crossover").any(), "the law that is printed in three ways does not ship"

import numpy as np
import pandas as pd
import pytest

from analysis.laws.multilinguality_repetition import DataConstrained, fresh_tokens

LAW = DataConstrained()


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/multilinguality.csv").set_index(["law", "symbol"])
    for constant in LAW.coefficients:
        row = table.loc[("muennighoff_2023", constant.symbol)]
        assert (constant.value, constant.unit) == (row["value"], row["unit"])
        assert row["trust"] == (LAW.trust if constant.symbol.startswith("R_") else "secondary")


def test_check_values_to_five_digits():
    """By hand, arXiv:2510.22037, equation 3: 30 tokens of which 10 are different."""
    assert fresh_tokens(30, 10, 1.0) == pytest.approx(18.646647, abs=5e-7)
    assert fresh_tokens(30, 10, 0.064987) == pytest.approx(28.754793, abs=1e-5)
    assert LAW.fresh_tokens(30, 10) == pytest.approx(28.754793, abs=5e-7)


def test_the_two_papers_have_one_function():
    """arXiv:2305.16264: D' = U + U R (1 - exp(-repeats / R)); arXiv:2510.22037 with lambda = 1 / R."""
    R, U, D = 15.387756, 7.0, np.array([3.0, 7.0, 14.0, 700.0, 7e6])
    repeats = np.maximum(D / U - 1, 0)
    paper = np.where(D <= U, D, U + U * R * (1 - np.exp(-repeats / R)))
    np.testing.assert_allclose(LAW.fresh_tokens(D, U), paper, rtol=1e-12)
    assert LAW.fresh_tokens(7e9, 7.0) == pytest.approx(U * (1 + R))


def test_four_repeats_are_nearly_fresh_and_a_hundred_are_not():
    """The paper's reading of its own law."""
    assert LAW.fresh_tokens(4.0, 1.0) / 4 > 0.9
    assert LAW.fresh_tokens(100.0, 1.0) / 100 < 0.2


def test_without_repetition_and_excess_it_is_the_plain_law():
    expected = 1.87 + 521 / 1e9**0.353 + 1488 / 1e11**0.353
    assert LAW.loss(1e9, 1e11, 1e11) == pytest.approx(expected, rel=1e-12)
    assert LAW.loss(1e9, 1e11, 1e10) > expected
    # far above the best size of 1e8 unique tokens, more parameters bring little
    assert LAW.loss(1e9, 4e8, 1e8) - LAW.loss(1e10, 4e8, 1e8) < 0.01

import pytest

from analysis import best_shares


def test_shares_are_he_s_and_their_intervals_hold_them():
    """Exponents of .1 and .2: check value p = .339."""
    found = best_shares({"a": 0.1, "b": 0.2}, se={"a": 0.02, "b": 0.02}, draws=400)
    assert found.shares["a"] == pytest.approx(0.339, abs=5e-4)
    assert found.lower["a"] < found.shares["a"] < found.upper["a"]
    assert found.upper["a"] - found.lower["a"] == pytest.approx(found.upper["b"] - found.lower["b"])
    assert "He et al." in found.law
    assert "families" in found.valid


def test_without_errors_there_is_no_interval():
    found = best_shares({"a": 0.1, "b": 0.1})
    assert (found.shares["a"], found.lower) == (pytest.approx(0.5), None)

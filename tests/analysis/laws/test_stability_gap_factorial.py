import numpy as np
import pytest
import statsmodels.formula.api as smf
from pandas import DataFrame

from analysis.laws.stability_gap_factorial import factorial

CELLS = [tuple(n for n, on in zip("abc", bits, strict=True) if on) for bits in np.ndindex(2, 2, 2)]
MAIN = {"a": 0.05, "b": -0.04, "c": 0.0}


def losses(rng, cells=CELLS, noise=0.004, seeds=4, interaction=-0.03):
    """Losses of seeds and cells with effects of a and b, and of both together."""
    exact = np.array([sum(MAIN[n] for n in cell) + interaction * ({"a", "b"} <= set(cell)) for cell in cells])
    return 2 + exact + 0.1 * rng.standard_normal((seeds, 1)) + noise * rng.standard_normal((seeds, len(cells)))


def by_term(found):
    return {effect.term: effect for effect in found}


def test_a_full_factorial_meets_a_regression_with_seeds_taken_out():
    """Contrasts of the saturated model in -1/2 and 1/2, by statsmodels."""
    y = losses(np.random.default_rng(0))
    rows = [
        {"seed": s, "y": y[s, k], **{n: float(n in cell) - 0.5 for n in "abc"}}
        for s in range(len(y))
        for k, cell in enumerate(CELLS)
    ]
    model = smf.ols("y ~ a * b * c + C(seed)", DataFrame(rows)).fit()
    ours = by_term(factorial("new_loss", y, CELLS, level=0.95))
    for term in ("a", "b", "c", "a:b", "a:c", "b:c"):
        e = ours[term].estimate
        assert e.value == pytest.approx(model.params[term], abs=1e-12)
        assert (e.lower, e.upper) == pytest.approx(tuple(model.conf_int().loc[term]), abs=1e-12)
        assert ours[term].n_pairs == (4 if ":" not in term else 2)


def test_effects_are_found_and_their_absence_is_shown():
    ours = by_term(factorial("new_loss", losses(np.random.default_rng(1)), CELLS, level=0.95))
    assert {term: effect.answer for term, effect in ours.items()} == {
        "a": "up", "b": "down", "c": "equivalent", "a:b": "down", "a:c": "equivalent", "b:c": "equivalent",
    }  # fmt: skip


def test_false_effects_are_as_rare_as_the_level_says():
    """Any effect of three strategies that do nothing: at most 5 % of 200 tables, whose standard error is 1.5 points."""
    rng, false = np.random.default_rng(2), 0
    for _ in range(200):
        y = 2 + 0.1 * rng.standard_normal((3, 1)) + 0.02 * rng.standard_normal((3, 8))
        mains = [e for e in factorial("new_loss", y, CELLS, level=0.95) if len(e.strategies) == 1]
        false += any(effect.answer in ("up", "down") for effect in mains)
    assert false / 200 < 0.05 + 2 * 0.015


def test_a_missing_cell_costs_its_pairs_alone():
    y = losses(np.random.default_rng(3), noise=0.0)
    y[:, CELLS.index(("a",))] = np.nan
    y[0, 0] = np.nan
    ours = by_term(factorial("new_loss", y, CELLS, level=0.95))
    assert ours["a"].n_pairs == 3
    assert ours["a"].estimate.value == pytest.approx(0.05 - 0.03 * 2 / 3)
    assert ours["c"].estimate.value == pytest.approx(0.0)


def test_one_seed_has_no_interval_and_no_answer():
    ours = by_term(factorial("new_loss", losses(np.random.default_rng(4), seeds=1), CELLS, level=0.95))
    assert ours["a"].estimate.lower is None
    assert ours["a"].p is None
    assert ours["a"].answer == "unresolved"
    assert factorial("new_loss", np.full((2, 8), np.nan), CELLS, level=0.95) == []

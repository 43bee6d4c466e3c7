import numpy as np
import pytest

from analysis import capacity_needed, fit_scaling_law
from analysis.laws.multilinguality_capacity import CAPACITY
from curselab.errors import InputError


def test_the_paper_s_reading_of_its_own_law():
    """Figure 5: four times the languages need 2.74 times the tokens, 1.40 times the model, 32 % fewer tokens each."""
    need = capacity_needed(8, 32, params=1e9)
    assert need.tokens[0] == pytest.approx(2.74, abs=0.005)
    assert need.params[0] == pytest.approx(1.40, abs=0.005)
    assert need.tokens_each[0] == pytest.approx(1 - 0.32, abs=0.01)
    assert all(low < value < high for value, low, high in (need.params, need.tokens, need.tokens_each, need.compute))
    assert "rounding" in need.interval
    assert need.notes == ()


def test_beyond_its_range_it_says_so():
    notes = [note.message for note in capacity_needed(25, 400, params=1e6).notes]
    assert notes[0].startswith("more languages 400 lies outside 4 to 50")
    assert notes[1].startswith("params 1e+06 lies outside")
    assert capacity_needed(16, 4).params[0] < 1
    with pytest.raises(InputError, match="1 or more are needed"):
        capacity_needed(0, 4)


def test_one_s_own_runs_give_their_own_factors_with_intervals():
    k, n, d = (a.ravel() for a in np.meshgrid([4, 8, 16, 50], [1e7, 1e8, 1e9, 8e9], [1e8, 1e9, 1e10, 1e11]))
    truth = {"E": 1.2, "A": 900.0, "B": 200.0, "phi": 0.2, "alpha": 0.4, "psi": -0.05, "beta": 0.25}
    loss = CAPACITY.predict(truth, k, n, d) * np.exp(0.001 * np.random.default_rng(0).standard_normal(len(k)))
    fit = fit_scaling_law(law=CAPACITY, params=n, tokens=d, loss=loss, inputs={"languages": k}, objective="l2", bootstrap=200)
    need = capacity_needed(8, 32, fit=fit)
    assert need.law == "ATLAS 2025, fitted"
    for (value, low, high), exponent in (
        (need.params, 0.5),
        (need.tokens, 0.8),
        (need.tokens_each, -0.2),
        (need.compute, 1.3),
    ):
        assert low < 4**exponent < high
        assert value == pytest.approx(4**exponent, rel=0.05)
    other = fit_scaling_law(law="chinchilla", params=n, tokens=d, loss=loss, bootstrap=0)
    with pytest.raises(InputError, match="one of law capacity is needed"):
        capacity_needed(8, 32, fit=other)

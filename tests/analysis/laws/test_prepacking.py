import json

import numpy as np
import pandas as pd
import pytest

from analysis.laws.prepacking import PrepackingFit, fit_prepacking
from analysis.laws.prepacking_work import SYMBOLS
from curselab.errors import InputError
from tests.analysis.prepacking_factories import TRUTH, times


def test_exact_times_give_back_their_constants() -> None:
    fit = fit_prepacking(times(), bootstrap=0)
    assert fit.params.to_dict() == pytest.approx(TRUTH, rel=1e-6)
    speedups = fit.speedups(times())
    np.testing.assert_allclose(speedups["predicted"], speedups["measured"], rtol=1e-6)
    assert fit.held_out is not None
    assert fit.held_out.upper < 1e-5


def test_the_unit_of_time_and_the_order_of_rows_change_nothing() -> None:
    table = times(noise=0.03, distributions=("lognormal", "uniform", "bimodal", "mmlu"))
    fit = fit_prepacking(table, bootstrap=20)
    other = table.assign(seconds=table["seconds"] * 1000).sample(frac=1, random_state=1)
    again = fit_prepacking(other, bootstrap=20)
    np.testing.assert_allclose(again.estimate, fit.estimate, rtol=1e-6)
    np.testing.assert_allclose(again.draws, fit.draws, rtol=1e-4, atol=1e-6)


def test_what_is_identified_is_near_the_truth_and_held_out_speedups_are_as_exact_as_the_noise_allows() -> None:
    """A ratio of two times with 3 % noise has a standard deviation of 4.2 %: a median of 2.9 %, a 95th percentile of 8.3."""
    fit = fit_prepacking(times(noise=0.03), bootstrap=100)
    frame = fit.frame().set_index("symbol")
    for symbol in ("e", "b", "c", "w"):
        assert frame.loc[symbol, "value"] == pytest.approx(TRUTH[symbol], abs=4 * frame.loc[symbol, "se"])
    assert fit.held_out is not None
    assert fit.held_out.median < 0.035
    assert fit.held_out.upper < 0.10
    assert fit.held_out.n == 2 * 6 * 2 * 7


@pytest.mark.slow
def test_intervals_of_predicted_speedups_hold_the_exact_one() -> None:
    held, truth = [], fit_prepacking(times(), bootstrap=0)
    for seed in range(40):
        table = times(noise=0.05, seed=seed)
        exact = times(seed=seed)
        fit = fit_prepacking(table, bootstrap=200)
        found = fit.speedups(table)
        exact_speedup = truth.speedups(exact)["measured"]
        held.append(((found["lower"] <= exact_speedup) & (exact_speedup <= found["upper"])).mean())
    assert 0.85 <= np.mean(held) <= 0.99


def test_a_constant_that_nothing_tells_from_zero_is_not_identified() -> None:
    fit = fit_prepacking(times(TRUTH | {"h": 0.0, "e": 0.0}, noise=0.02), bootstrap=60)
    assert "h" in fit.unidentified
    assert fit.status == "not_identified"
    row = fit.frame().set_index("symbol").loc["h"]
    assert np.isnan(row["lower"])
    assert np.isnan(row["se"])
    assert "h: the batches do not tell it from 0" in fit.summary().replace("e, h", "h")


def test_what_no_batch_has_is_not_identified() -> None:
    """Without large calls nothing is said of fetching memory."""
    table = times(longest=64, batches=(8, 16))
    assert (table["large_bytes"] == 0).all()
    fit = fit_prepacking(table, bootstrap=0)
    assert fit.unidentified == ("e",)
    assert fit.params["b"] == pytest.approx(TRUTH["b"], rel=1e-4)


def test_too_few_distributions_are_not_held_out() -> None:
    fit = fit_prepacking(times(noise=0.01, distributions=("lognormal",)), bootstrap=20)
    assert fit.held_out is None
    assert not fit.draws
    assert [note.code for note in fit.warnings] == ["one_distribution"]
    assert "four distributions or more are needed" in fit.summary()


def test_a_fit_is_rebuilt_from_its_file() -> None:
    fit = fit_prepacking(times(noise=0.02, batches=(8,)), bootstrap=5)
    again = PrepackingFit.from_dict(json.loads(json.dumps(fit.to_dict())))
    assert again == fit
    assert again.symbols == SYMBOLS


def test_a_bad_table_is_one_line() -> None:
    table = times(batches=(8,), distributions=("lognormal",))
    with pytest.raises(InputError, match="column 'kernels' is missing"):
        fit_prepacking(table.drop(columns="kernels"))
    with pytest.raises(InputError, match="seconds is 0.0 in row"):
        fit_prepacking(table.assign(seconds=0.0))
    with pytest.raises(InputError, match="distribution lognormal, batch 8, draw 0 needs padded_left and another method"):
        fit_prepacking(table[table["method"] != "padded_left"])
    with pytest.raises(InputError, match="each once"):
        fit_prepacking(pd.concat([table, table]))
    with pytest.raises(InputError, match="bootstrap: -1"):
        fit_prepacking(table, bootstrap=-1)

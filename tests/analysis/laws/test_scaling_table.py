import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis.laws.scaling import fit_scaling_law
from curselab.errors import InputError
from tests.analysis.factories import scaling_runs


@pytest.fixture
def runs():
    data = scaling_runs(noise=0.005)
    return data[["params_total", "tokens", "loss_nats_per_token"]].set_axis(["params", "tokens", "loss"], axis=1)


def codes(fit):
    return {note.code for note in fit.warnings}


def test_tables_of_other_libraries_and_arrays_are_the_same_runs(runs):
    expected = fit_scaling_law(runs, bootstrap=20)
    assert fit_scaling_law(pa.Table.from_pandas(runs), bootstrap=20).draws == expected.draws
    arrays = {name: runs[name].to_numpy() for name in runs}
    assert fit_scaling_law(**arrays, bootstrap=20).draws == expected.draws


def test_int32_columns_do_not_overflow(runs):
    small = runs.astype({"params": np.int32, "tokens": np.int32})
    fit = fit_scaling_law(small, bootstrap=0)
    assert fit.estimate == fit_scaling_law(runs, bootstrap=0).estimate
    # 6 N D is far above 2^31 here
    assert fit.scale(fit.problem.x, "compute").max() == pytest.approx(6 * 1e6 * 2e7)


def test_duplicated_rows_are_counted_in_a_warning(runs):
    fit = fit_scaling_law(pd.concat([runs, runs.iloc[:3]]), bootstrap=0)
    assert "duplicated_rows" in codes(fit)
    assert "duplicated_rows" not in codes(fit_scaling_law(runs, bootstrap=0))


def test_tokens_in_millions_beside_parameters_in_units_are_doubted(runs):
    assert "mixed_units" in codes(fit_scaling_law(runs.assign(tokens=runs["tokens"] / 1e6), bootstrap=0))
    assert "mixed_units" not in codes(fit_scaling_law(runs, bootstrap=0))


def test_sigma_is_a_standard_deviation_and_a_variance_is_doubted(runs):
    deviation = 0.005 * runs["loss"]
    assert "sigma_looks_like_variance" not in codes(fit_scaling_law(runs, sigma=deviation, bootstrap=0))
    assert "sigma_looks_like_variance" in codes(fit_scaling_law(runs, sigma=deviation**2, bootstrap=0))


def test_sigma_weighs_runs_by_precision(runs):
    """A run with a large sigma has hardly any influence; equal sigmas change nothing."""
    spoiled = runs.copy()
    spoiled.loc[7, "loss"] *= 1.3
    sigma = 0.005 * spoiled["loss"].to_numpy()
    sigma[7] *= 1e4
    fit = fit_scaling_law(spoiled, sigma=sigma, objective="l2", bootstrap=0)
    without = fit_scaling_law(runs.drop(index=7), objective="l2", bootstrap=0)
    np.testing.assert_allclose(fit.params, without.params, rtol=1e-4)
    same = fit_scaling_law(runs, sigma=0.01 * runs["loss"], bootstrap=0)
    np.testing.assert_allclose(same.params, fit_scaling_law(runs, bootstrap=0).params, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": None}, "no table was given, so 'params', 'tokens', 'loss' must be arrays"),
        ({"data": [1, 2]}, "a list was given, a table"),
        ({"loss": np.ones(3)}, r"loss: an array of shape \(3,\)"),
        ({"groups": "nowhere"}, "'nowhere' is missing"),
        ({"groups": np.array([None] + ["a"] * 24, dtype=object)}, "1 runs have no label"),
        ({"sigma": np.zeros(25)}, "sigma is 0.0 in row 0"),
    ],
)
def test_bad_input_is_one_line(runs, options, message):
    with pytest.raises(InputError, match=message) as error:
        fit_scaling_law(**{"data": runs} | options)
    assert "\n" not in str(error.value)

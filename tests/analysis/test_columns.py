import numpy as np
import pandas as pd
import pytest

from analysis.columns import drop_diverged, positive, require_columns
from curselab.errors import InputError


def test_a_missing_column_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'tokens'"):
        require_columns(pd.DataFrame(columns=["tokens", "loss"]), "token")
    with pytest.raises(InputError, match="name it by a keyword"):
        require_columns(pd.DataFrame(columns=["x"]), "loss_nats_per_token")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 0.0], "0.0 in row 1"),
        ([1.0, None], "nan in row 1"),
        ([1.0, np.inf], "inf in row 1"),
        (["1", "2"], "pandas.to_numeric"),
        ([True, False], "holds bool"),
        (pd.array([1, None], dtype="Int64"), "nan in row 1"),
    ],
)
def test_what_is_no_positive_number_is_refused_with_its_row(values, message):
    with pytest.raises(InputError, match=message):
        positive(pd.DataFrame({"x": values}), "x")


def test_whole_numbers_of_every_dtype_become_floats():
    for dtype in ("int32", "int64", "Int64", "float32"):
        np.testing.assert_array_equal(positive(pd.DataFrame({"x": pd.array([1, 2_000_000], dtype=dtype)}), "x"), [1.0, 2e6])


def test_diverged_runs_are_split_off_and_counted():
    kept, n = drop_diverged(pd.DataFrame({"status": ["ok", "diverged", "ok"], "x": [1, 2, 3]}))
    assert (kept["x"].tolist(), n) == ([1, 3], 1)
    assert drop_diverged(pd.DataFrame({"x": [1]}))[1] == 0

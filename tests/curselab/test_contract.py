from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curselab.contract import check_frame, check_record, completed, load_contract, table
from curselab.errors import InputError
from sweeps.registry import BENCHES, PROBLEMS
from tests.analysis.factories import frame, record


def test_the_contract_declares_all_tables_and_their_keys():
    assert set(load_contract()) == {"runs", "metrics", "layers", *PROBLEMS, *BENCHES}
    assert table("runs").key == ("sweep", "run_id")
    for name in load_contract():
        assert set(table(name).key) <= set(table(name).names)


def test_a_good_record_passes_and_a_diverged_one_has_no_loss():
    check_record("runs", record())
    check_record("runs", record(status="diverged"))


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("run_id", "ABC", r"\^\[0-9a-f\]"),
        ("status", "fine", "ok, diverged"),
        ("seed", -1, "0 or more"),
        ("seed", 1.0, "whole number"),
        ("seed", True, "whole number"),
        ("seed", 2**63, "64 bits"),
        ("seed", None, "not nullable"),
        ("width", "32", "whole number"),
        ("learning_rate", float("nan"), "finite"),
        ("train_flop", float("inf"), "finite"),
        ("distill_weight", 1.5, "1 or less"),
        ("sweep", 3, "a string"),
    ],
)
def test_each_fault_names_column_value_and_what_is_allowed(column, value, allowed):
    with pytest.raises(InputError, match=allowed) as error:
        check_record("runs", record() | {column: value})
    assert column in str(error.value)
    assert repr(value) in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_and_missing_columns_are_named():
    with pytest.raises(InputError, match="wall_s is unknown"):
        check_record("runs", record() | {"wall_s": 1.0})
    with pytest.raises(InputError, match="depth is missing"):
        check_record("runs", {name: value for name, value in record().items() if name != "depth"})
    with pytest.raises(InputError, match=r"allowed: runs, metrics"):
        table("run")


def test_a_table_that_is_older_than_a_column_is_read_with_its_old_value():
    older = {name: value for name, value in record().items() if name != "sparsity"}
    assert completed("runs", older) == record()
    assert check_frame("runs", frame([older]), where="older.csv")["sparsity"].isna().all()
    with pytest.raises(InputError, match="sparsity is missing"):
        check_record("runs", older)  # whoever writes a row knows all columns


def test_a_frame_comes_back_in_the_contract_s_form():
    rows = [record(2, teacher_seed=None), record(1, teacher_seed=2**60 + 1)]
    given_frame = pd.DataFrame(rows, dtype=object)[list(reversed(table("runs").names))]
    checked = check_frame("runs", given_frame, where="x")
    assert tuple(checked.columns) == table("runs").names
    assert list(checked["run_id"]) == ["000000000001", "000000000002"]
    assert checked["teacher_seed"].iloc[0] == 2**60 + 1  # a float would have rounded it
    assert checked["teacher_seed"].isna().tolist() == [False, True]
    assert str(checked["seed"].dtype) == "Int64"
    assert str(checked["loss_nats_per_token"].dtype) == "float64"


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("loss_nats_per_token", np.inf, "finite"),
        ("loss_nats_per_token", -1.0, "0 or more"),
        ("seed", 0.5, "whole number"),
        ("seed", None, "not nullable"),
        ("seed", "0", "whole number"),
        ("status", "fine", "ok, diverged"),
        ("text_sha256", None, "not nullable"),
        ("seed", {"a": 1}, "whole number"),
        ("learning_rate", [1.0, 2.0], "number is needed"),
        ("tokens", np.uint64(2**64 - 1), "64 bits"),
        ("tokens", 10**400, "64 bits"),
        ("learning_rate", 10**400, "finite"),
        ("learning_rate", datetime(2026, 1, 1), "number is needed"),
        ("domain_entropy_bits_per_byte", -1, "0 or more"),  # beside nulls
    ],
)
def test_a_fault_in_a_frame_names_its_row(column, value, allowed):
    rows = [record(0), record(1), record(2) | {column: value}]
    with pytest.raises(InputError, match=allowed) as error:
        check_frame("runs", frame(rows), where="runs.csv")
    assert str(error.value).startswith(f"runs.csv, row 2: {column} is ")


@pytest.mark.parametrize("empty", [pd.NaT, None, np.nan, pd.NA])
def test_a_column_of_nothing_has_the_contract_s_type(empty):
    table = frame([record(0), record(1)]).assign(domain_entropy_bits_per_byte=[empty, empty], base_id=[empty, empty])
    checked = check_frame("runs", table, where="x")
    assert checked["domain_entropy_bits_per_byte"].dtype == "float64"
    assert checked["base_id"].dtype == "string"
    assert checked[["domain_entropy_bits_per_byte", "base_id"]].isna().all(axis=None)


def test_two_rows_with_one_key_are_refused():
    with pytest.raises(InputError, match="two rows have the key sweep scaling, run_id 000000000007"):
        check_frame("runs", frame([record(7), record(7)]), where="x")


def test_an_empty_table_is_a_table():
    empty = pd.DataFrame(columns=list(table("metrics").names))
    assert check_frame("metrics", empty, where="x").empty


@settings(derandomize=True, max_examples=50)
@given(st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=5)))
def test_record_and_frame_agree_on_every_value(value):
    """One contract: what the writer may write, the reader reads, and nothing else; a NaN in a frame is a null."""
    row = record() | {"distill_weight": value}
    if isinstance(value, float) and np.isnan(value):
        return
    try:
        check_record("runs", row)
    except InputError:
        with pytest.raises(InputError):
            check_frame("runs", pd.DataFrame([row]).astype({"distill_weight": object}), where="x")
    else:
        check_frame("runs", pd.DataFrame([row]).astype({"distill_weight": object}), where="x")

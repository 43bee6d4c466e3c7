import numpy as np
import pandas as pd
import pytest

from analysis.laws.multilinguality_table import read_table
from curselab.errors import InputError

NAMES = {name: name for name in ("language", "params", "tokens", "added", "loss", "mixture", "seed")}


def _rows(**change):
    rows = [
        (language, mixture, 1e5, D, M, seed, 3.0 + 0.1 * seed)
        for language in ("a", "b")
        for D in (1e4, 1e5)
        for mixture, M in (("whatever", 0), ("near", 1e5), ("far", 1e5))
        for seed in range(4)
    ]
    return pd.DataFrame(rows, columns=["language", "mixture", "params", "tokens", "added", "seed", "loss"]).assign(**change)


def _read(frame, **change):
    return read_table(frame, **NAMES | {"seen": None} | change)


def test_seeds_are_averaged_and_their_noise_pooled():
    table = _read(_rows())
    assert (len(table.cells), table.dof, table.languages, table.mixtures) == (12, 36, ("a", "b"), ("far", "near"))
    logs = np.log([3.0, 3.1, 3.2, 3.3])
    assert table.cells["log_loss"].to_numpy() == pytest.approx(logs.mean())
    assert table.cells["sigma"].to_numpy() == pytest.approx(logs.std(ddof=1))
    assert (table.cells["runs"] == 4).all()
    assert (table.cells["seen"] == table.cells["tokens"]).all()


def test_a_run_that_is_left_out_leaves_the_noise_alone():
    table = _read(_rows())
    less = table.without((table.runs["seed"] == 3).to_numpy())
    assert (less.cells["runs"] == 3).all()
    np.testing.assert_array_equal(less.cells["sigma"], table.cells["sigma"])


def test_one_seed_and_diverged_runs_are_said():
    frame = _rows()
    table = _read(frame[frame["seed"] == 0])
    assert [note.code for note in table.notes] == ["one_seed"]
    assert table.cells["sigma"].isna().all()
    lost = frame.assign(status=np.where(frame.index == 5, "diverged", "ok"))
    assert _read(lost).n_diverged == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (_rows(added=0), "only one kind was given"),
        (_rows(added=-1.0), "0 .monolingual. or more is needed"),
        (_rows(loss=0.0), "loss is 0.0 in row 0"),
        (_rows().drop(columns="tokens"), "column 'tokens' is missing"),
    ],
)
def test_bad_tables_are_one_line_errors(frame, message):
    with pytest.raises(InputError, match=message):
        _read(frame)


def test_copies_of_a_run_are_no_repeats():
    table = _read(_rows(loss=3.0))
    assert (table.dof, [note.code for note in table.notes]) == (0, ["one_seed"])

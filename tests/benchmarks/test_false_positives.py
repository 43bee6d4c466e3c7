"""The tables of benchmarks/false_positives.py: their arithmetic, their log, and what the committed ones claim."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from benchmarks.false_positives import COLUMNS, SHARES, simulate, tables
from benchmarks.known_truths import STUDIES

CHEAP = ("strategies", "learning_rate_at_tolerance", "capacity_gap_crossed", "stability_gap_flat", "scaling_power")


def test_shares_have_the_exact_interval_of_statsmodels(tmp_path):
    hits = {"main": 3, "effect": 38}
    rows = [("strategies", 0, i, question, i < n, 1, 0.0) for question, n in hits.items() for i in range(40)]
    log = pd.DataFrame(rows, columns=COLUMNS)
    log.astype({"hits": int}).to_csv(tmp_path / "log.csv", header=False, index=False)
    found = tables(tmp_path / "log.csv", 0, ["strategies"])
    for kind, n in zip(SHARES, hits.values(), strict=True):
        (row,) = found[kind].to_dict("records")
        expected = 100 * np.array(proportion_confint(n, 40, method="beta"))
        assert row[SHARES[kind]] == pytest.approx(100 * n / 40, abs=0.006)
        assert [row["lower_percent"], row["upper_percent"]] == pytest.approx(expected, abs=0.006)
        assert row["replicates"] == row["answers"] == 40


def test_a_study_that_was_stopped_goes_on_as_if_it_had_not(tmp_path):
    for replicates in (1, 3):
        simulate("learning_rate_at_tolerance", replicates, 5, tmp_path / "stopped.csv")
    simulate("learning_rate_at_tolerance", 3, 5, tmp_path / "whole.csv")
    stopped, whole = (
        pd.read_csv(tmp_path / f"{name}.csv", names=COLUMNS).drop(columns="cpu_s") for name in ("stopped", "whole")
    )
    pd.testing.assert_frame_equal(stopped, whole)
    assert set(whole["replicate"]) == {0, 1, 2}


@pytest.mark.parametrize("name", CHEAP)
def test_a_study_answers_its_questions(name):
    answers = list(STUDIES[name].answer(np.random.default_rng(0)))
    assert {question for question, _, _ in answers} == set(STUDIES[name].questions)
    assert all(0 <= hits <= trials for _, hits, trials in answers)


@pytest.mark.parametrize("kind", SHARES)
def test_committed_tables_show_no_test_that_errs_too_often(kind, root):
    """3 to 7 % at the 5 % level, in proportion where one side of an interval is asked, and 93 to 97 % of intervals.

    A share may lie outside by chance, so its interval must not. Less errors than that are those of a conservative answer, and
    a test that is shown to err more often says so.
    """
    table = pd.read_csv(root / f"results/reference/{kind}.csv", keep_default_na=False)
    lower, upper, nominal = (table[name].to_numpy() for name in ("lower_percent", "upper_percent", "nominal_percent"))
    few, many = (lower, upper) if kind == "false_positives" else (100 - upper, 100 - lower)
    allowed = nominal if kind == "false_positives" else 100 - nominal
    assert set(table["study"]) <= set(STUDIES)
    bold = table[few > 7 / 5 * allowed]
    assert [note for note in bold["note"] if not note.startswith("too often")] == []
    timid = table[many < 3 / 5 * allowed]
    assert [note for note in timid["note"] if not note.startswith("conservative")] == []

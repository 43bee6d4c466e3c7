from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis import fit_capacity_gap, fit_prepacking, fit_scaling_law, predict_speedup
from analysis.decisions.equivalent_data import EquivalentData
from analysis.decisions.predict import predict
from curselab.errors import InputError
from tests.analysis.factories import capacity_gap_runs, scaling_runs
from tests.analysis.prepacking_factories import SHAPES, times

COLUMNS = {"params": "params_total", "loss": "loss_nats_per_token"}


@pytest.fixture(scope="module")
def loss_fit():
    return fit_scaling_law(scaling_runs(noise=0.002, seeds=2), **COLUMNS, bootstrap=60)


def test_every_combination_is_the_fit_s_own_prediction(loss_fit):
    table, notes = predict(loss_fit, {"tokens": [1e6, 1e7], "params": [1e5, 2e5, 3e5]})
    assert notes == ()
    assert len(table) == 6
    own = loss_fit.predict(table["params"].to_numpy(), table["tokens"].to_numpy())
    pd.testing.assert_frame_equal(table, own)


def test_what_the_runs_do_not_say_is_said(loss_fit):
    _, notes = predict(loss_fit, {"params": [1e9], "tokens": [1e6]})
    assert [note.code for note in notes] == ["extrapolated"]
    poor = replace(loss_fit, draws=(), unidentified=("alpha",))
    codes = [note.code for note in predict(poor, {"params": [2e5], "tokens": [4e5]})[1]]
    assert codes == ["no_band", "not_identified"]


def test_a_best_teacher_comes_with_its_interval_or_why_there_is_none():
    sizes = (198_000_000, 546_000_000, 1_820_000_000, 7_750_000_000)
    known = fit_capacity_gap(capacity_gap_runs(sizes, noise=0.001, seeds=6), bootstrap=200)
    table, notes = predict(known, {"student": [3e8]})
    assert table.iloc[0]["lower"] < table.iloc[0]["teacher"] < table.iloc[0]["upper"]
    assert notes == ()
    one = fit_capacity_gap(capacity_gap_runs(sizes[:1], noise=0.001, seeds=6), bootstrap=200)
    table, notes = predict(one, {"student": [2e8, 4e8]})
    assert table["teacher"].isna().all()
    assert {note.code for note in notes} == {"not_identified", "extrapolated"}


def test_speed_ups_are_those_of_the_planner():
    fit = fit_prepacking(times(noise=0.02, batches=(8,), longest=64), bootstrap=0)
    table, _ = predict(fit, {"lengths": [5.0, 9.0, 60.0], "width": [64.0], "depth": [4.0], "ffn_width": [172.0]})
    own = predict_speedup([5, 9, 60], SHAPES["small"], fit=fit)
    pd.testing.assert_frame_equal(table, own)


def test_a_mixture_is_worth_what_equivalent_data_says(monkeypatch):
    asked = []

    def answer(fit, **point):
        asked.append(point)
        return EquivalentData(law="", valid="", tokens=2.0, lower=1.0, upper=3.0, level=0.95, state="measured", notes=())

    monkeypatch.setattr("analysis.decisions.equivalent_data.equivalent_data", answer)
    fit = SimpleNamespace(law="multilinguality")
    table, _ = predict(fit, {"params": [1e5], "tokens": [1e6, 2e6], "added": [1e6], "mixture": ["similar"]})
    assert asked[1] == {"params": 1e5, "tokens": 2e6, "added": 1e6, "mixture": "similar"}
    assert table[["tokens", "worth_tokens", "lower", "upper"]].to_numpy().tolist() == [[1e6, 2, 1, 3], [2e6, 2, 1, 3]]


@pytest.mark.parametrize(
    ("law", "inputs", "options", "words"),
    [
        ("depth", {}, {}, "depth holds for its own settings alone"),
        ("capacity_gap", {"params": [1.0]}, {}, "capacity_gap needs student"),
        ("capacity_gap", {"student": [1.0]}, {"kind": "mean"}, "kind was given"),
        ("prepacking", {"lengths": [1.5], "width": [1], "depth": [1], "ffn_width": [1]}, {}, "whole numbers"),
        ("prepacking", {"lengths": [1], "width": [1, 2], "depth": [1], "ffn_width": [1]}, {}, "2 values of width"),
        ("multilinguality", {"params": [1.0]}, {}, "params, tokens, added and perhaps mixture"),
    ],
)
def test_bad_questions_are_one_line(law, inputs, options, words):
    with pytest.raises(InputError, match=words):
        predict(SimpleNamespace(law=law), inputs, **options)

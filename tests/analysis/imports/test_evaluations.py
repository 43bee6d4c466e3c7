import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.imports.evaluations import evaluation_log, to_metrics
from curselab.errors import InputError
from tests.analysis.imports.logs import NEW, OLD


def read(points, names, *, tokens=100, **how):
    known = {name for _, name, _ in points}
    return to_metrics(points, names, known=known, run_id="0" * 12, where="log", tokens=tokens, **how)


def test_units_are_brought_to_those_of_the_contract():
    points = [(0, "bits", 2.0), (0, "ppl", math.exp(3)), (0, "acc", 25.0), (0, "bpb", 0.9), (4, "lr", 1e-3), (4, "loss", 2.5)]
    names = {
        "bits": ("loss_bits_per_token", "a"),
        "ppl": ("perplexity_per_token", "b"),
        "acc": "accuracy_percent",
        "bpb": "loss_bits_per_byte",
        "lr": "learning_rate",
        "loss": "objective_nats_per_token",
    }
    found = read(points, names).set_index(["metric", "domain"])
    assert found["value"].to_dict() == pytest.approx(
        {
            ("loss_nats_per_token", "a"): math.log(4),
            ("loss_nats_per_token", "b"): 3.0,
            ("accuracy_share", "all"): 0.25,
            ("loss_bits_per_byte", "all"): 0.9,
            ("learning_rate", "all"): 1e-3,
            ("objective_nats_per_token", "all"): 2.5,
        }
    )
    assert set(found.loc[["learning_rate", "objective_nats_per_token"], "split"]) == {"train"}
    assert found.loc["learning_rate", "tokens"].tolist() == [400]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 10**6), min_size=1, unique=True), st.integers(1, 10**5), st.integers(0, 10**6))
def test_steps_and_tokens_count_from_the_start_whatever_the_order(steps, a_step, start):
    points = [(start + step, "x", 1.0) for step in steps]
    points += [(start + step, "n", (start + step) * a_step) for step in {0, *steps}]
    by_number = read(points, {"x": "loss_nats_per_token"}, tokens=a_step, start=start)
    by_count = read(points[::-1], {"x": "loss_nats_per_token"}, tokens="n", start=start)
    pd.testing.assert_frame_equal(by_number, by_count)
    assert by_number["step"].tolist() == sorted(steps)
    assert by_number["tokens"].tolist() == [step * a_step for step in sorted(steps)]


def test_a_run_that_was_started_again_keeps_its_last_values_when_asked():
    points = [(0, "x", 3.0), (10, "x", 2.0), (10, "x", 2.1)]
    with pytest.raises(InputError, match=r"x is 2 and 2.1 at step 10.*repeated='last'"):
        read(points, {"x": "loss_nats_per_token"})
    assert read(points, {"x": "loss_nats_per_token"}, repeated="last")["value"].tolist() == [3.0, 2.1]
    assert len(read(points[:2] * 2, {"x": "loss_nats_per_token"})) == 2


@pytest.mark.parametrize(
    ("points", "names", "how", "message"),
    [
        ([(0, "x", 1)], {}, {}, "names: none was given"),
        ([(0, "eval_loss", 1)], {"eval_los": "loss_nats_per_token"}, {}, "logged as 'eval_los' .there is 'eval_loss'"),
        ([(0, "x", 1)], {"x": "loss"}, {}, "'x' was said to be 'loss' .allowed: loss_nats_per_token"),
        ([(0, "x", 1), (0, "y", 1)], {"x": OLD, "y": OLD}, {}, "'x' and 'y' are both loss_nats_per_token of old"),
        ([(0, "x", 1), (0, "y", 1)], {"x": OLD, "y": ("perplexity_per_token", "old")}, {}, "'x' and 'y' are both"),
        ([(0, "x", math.nan)], {"x": OLD}, {}, "x at step 0 is nan: a run that diverged"),
        ([(0, "x", "Infinity")], {"x": OLD}, {}, "x at step 0 is inf"),
        ([(0, "x", "high")], {"x": OLD}, {}, "x is 'high' at step 0, a number"),
        ([(0, "x", True)], {"x": OLD}, {}, "x is True at step 0, a number"),
        ([(0, "x", -0.1)], {"x": OLD}, {}, "x at step 0 is -0.1, loss_nats_per_token is 0 or more"),
        ([(0, "x", 0.7)], {"x": "perplexity_per_token"}, {}, "a perplexity is 1 or more"),
        ([(0, "x", 63.0)], {"x": "accuracy_share"}, {}, "accuracy_share is 1 or less"),
        ([(0, "x", 101.0)], {"x": "accuracy_percent"}, {}, "accuracy_percent is 100 or less"),
        ([(0.5, "x", 1)], {"x": OLD}, {}, "x is logged at step 0.5, a whole number"),
        ([(None, "x", 1)], {"x": OLD}, {}, "x is logged at step None"),
        ([(3, "x", 1)], {"x": OLD}, {"start": 4}, "nothing is logged at step 4 or later"),
        ([(3, "x", 1), (4, "n", 9)], {"x": OLD}, {"tokens": "n"}, "n is not logged at step 3"),
        ([(3, "x", 1)], {"x": OLD}, {"tokens": "n"}, "nothing is logged as 'n'"),
        ([(3, "x", 1), (3, "n", -9)], {"x": OLD}, {"tokens": "n"}, "tokens is -9"),
        ([(3, "x", 1)], {"x": OLD}, {"tokens": 0}, "tokens: 0 was given"),
        ([(3, "x", 1)], {"x": OLD}, {"tokens": math.nan}, "tokens: nan was given"),
        ([(3, "x", 1)], {"x": OLD}, {"repeated": "first"}, "repeated: 'first' was given .allowed: refuse, last"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused_in_one_line(points, names, how, message):
    with pytest.raises(InputError, match=message) as error:
        read(points, names, **how)
    assert "\n" not in str(error.value)


def test_the_log_has_a_row_an_evaluation_with_the_rate_between_those_logged():
    points = [(s, name, 3.0 + s) for s in (0, 5, 10, 20) for name in ("old", "new")]
    points += [(s, "lr", rate) for s, rate in ((1, 1.0), (11, 2.0), (15, 2.0))]
    log = evaluation_log(read(points, {"old": OLD, "new": NEW, "lr": "learning_rate"}))
    assert log.columns.tolist() == ["run_id", "split", "step", "tokens", "learning_rate", "loss_nats_per_token"]
    old = log[log["split"] == "old"]
    assert old["loss_nats_per_token"].tolist() == [3.0, 8.0, 13.0, 23.0]
    np.testing.assert_allclose(old["learning_rate"], [1.0, 1.4, 1.9, 2.0])
    assert evaluation_log(read(points, {"old": OLD}))["learning_rate"].isna().all()

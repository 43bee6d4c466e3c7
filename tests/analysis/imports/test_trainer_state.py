import json

import pandas as pd
import pytest

from analysis import evaluation_log, fit_stability_gap, read_trainer_state
from curselab.errors import InputError
from tests.analysis.imports.logs import NEW, OLD, STATE

NAMES = {"eval_old_loss": OLD, "eval_new_loss": NEW, "learning_rate": "learning_rate", "loss": "objective_nats_per_token"}


def test_the_state_of_a_real_trainer_is_read_as_it_was_logged():
    metrics = read_trainer_state(STATE, NAMES, tokens="num_input_tokens_seen")
    history = json.loads(STATE.read_text())["log_history"]
    for name, (metric, domain) in {"eval_new_loss": NEW, "learning_rate": ("learning_rate", "all")}.items():
        logged = [(entry["step"], entry["num_input_tokens_seen"], entry[name]) for entry in history if name in entry]
        rows = metrics[(metrics["metric"] == metric) & (metrics["domain"] == domain)]
        assert list(rows[["step", "tokens", "value"]].itertuples(index=False, name=None)) == logged
    # 4 rows of 32 tokens a step
    pd.testing.assert_frame_equal(metrics, read_trainer_state(str(STATE), NAMES, tokens=4 * 32))


def test_what_a_real_run_forgot_and_learnt_is_measured():
    log = evaluation_log(read_trainer_state(STATE, NAMES, tokens=128))
    gaps = {gap.split: gap for gap in fit_stability_gap(log, value="loss_nats_per_token").gaps}
    # first less last evaluation, read off the file
    assert gaps["old"].final_gain.value == pytest.approx(4.165087 - 4.401558, abs=0.005)
    assert gaps["new"].final_gain.value == pytest.approx(4.166658 - 3.750860, abs=0.005)
    assert gaps["old"].gap_index.value < 0.05


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory, a trainer_state.json is needed"),
        ("{", "not the state of a Trainer"),
        ("[]", "not the state of a Trainer"),
        ('{"log_history": [{"eval_loss": 2.0}]}', "not the state of a Trainer"),
        ('{"log_history": [3]}', "not the state of a Trainer"),
        ('{"log_history": []}', r"nothing is logged as 'eval_loss' \(there is nothing\)"),
        ('{"log_history": [{"step": 1, "eval_loss": NaN}]}', "a run that diverged has no evaluations"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_trainer_state(tmp_path / "x.json", {"eval_loss": "loss_nats_per_token"}, tokens=1)

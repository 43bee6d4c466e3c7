import json

import numpy as np
import pytest

from analysis.laws.stability_gap import fit_runs
from analysis.laws.stability_gap_sweep import StabilityGapSweep
from analysis.tables import render
from curselab.errors import InputError
from tests.analysis.stability_gap_factories import (
    CONTROL_DEPTH,
    COSINE,
    DEPTH,
    EFFECTS,
    GAIN,
    INDEX,
    INTERACTION,
    NEW_START,
    SHALLOWER,
    mixture,
    stability_gap_tables,
)

FEW = ((), ("subset",), ("mixture",), ("subset", "mixture"))


@pytest.fixture(scope="module")
def fit():
    return fit_runs(*stability_gap_tables(questions=True))


@pytest.fixture(scope="module")
def few():
    """One budget, two seeds, four cells."""
    return stability_gap_tables(arms=FEW, budgets=(100_000,), seeds=2)


def holds(estimate, truth, slack=0.0):
    return estimate.lower - slack <= truth <= estimate.upper + slack


def test_the_gap_its_excess_and_its_control_are_told_apart(fit):
    for condition in fit.conditions:
        plain = condition.gap("plain")
        assert plain.verdict == "gap"
        # four intervals of two conditions: a tenth of a half width more makes each surer than 95 %
        assert holds(plain.depth, DEPTH, slack=0.004)
        assert holds(plain.excess_depth, DEPTH - CONTROL_DEPTH, slack=0.004)
        assert holds(plain.gap_index, INDEX, slack=0.02)
        assert condition.gap("old_text").verdict == "learning rate"
        assert condition.reading == "gap"
        assert condition.at_constant_rate
        assert condition.baseline == "plain"


def test_an_arm_on_another_path_has_the_control_of_its_own_stage(fit):
    low = fit.condition("code").gap("low_rate, new text")
    assert low.excess_depth.value == pytest.approx(0.05 - 0.01, abs=0.01)
    assert "other_schedule" not in [note.code for note in low.notes]


def test_effects_of_the_strategies_are_those_of_the_truth(fit):
    effects = fit.effects()
    assert set(effects["outcome"]) == {"new_loss", "old_loss", "depth", "regret_log"}
    end = effects[(effects["outcome"] == "new_loss") & (effects["budget_tokens"] == 200_000)].set_index("term")
    truth = {"subset": EFFECTS["subset"] + INTERACTION / 2, "quality": EFFECTS["quality"] + INTERACTION / 2}
    truth |= {"mixture": EFFECTS["mixture"], "fixed": EFFECTS["fixed"], "subset:quality": INTERACTION}
    for term, value in truth.items():
        half = end.loc[term, "upper"] - end.loc[term, "value"]
        assert end.loc[term, "value"] == pytest.approx(value, abs=1.5 * half), term
    assert dict(end.loc[["subset", "quality", "mixture"], "answer"]) == {"subset": "up", "quality": "down", "mixture": "up"}
    depth = effects[(effects["outcome"] == "depth") & (effects["term"] == "mixture")]
    assert depth["value"].to_numpy() == pytest.approx(-(1 - SHALLOWER) * DEPTH, abs=0.01)
    assert set(depth["answer"]) == {"down"}


def test_speed_up_is_on_the_scale_of_the_baseline_s_ends(fit):
    """The new loss falls by GAIN (1 + 0.1 log2 budget): quality is worth 0.04 / (0.1 GAIN) doublings at the small budget."""
    condition = fit.condition("code", tokens=100_000)
    worth = 2 ** (-EFFECTS["quality"] / (0.1 * GAIN))
    assert holds(condition.end("quality").speed_up, worth, slack=0.1)
    slower = condition.end("subset").speed_up
    assert (slower.value, slower.lower, slower.upper) == (None, None, 1.0)
    assert slower.n == condition.end("quality").speed_up.n == 3
    faster = fit.condition("code").end("quality").speed_up
    assert (faster.value, faster.lower, faster.upper) == (None, 1.0, None)


def test_ends_the_front_and_de_lange_s_metrics(fit):
    condition = fit.condition("code", tokens=100_000)
    plain, mixed, control = (condition.end(arm) for arm in ("plain", "mixture", "old_text"))
    assert holds(plain.new_loss, NEW_START - GAIN, slack=0.02)
    assert condition.end("quality").front
    assert not condition.end("subset").front
    assert not control.front
    assert holds(plain.worst_old_loss, plain.old_loss.value + INDEX * DEPTH, slack=0.02)
    assert holds(plain.worst_case_loss, (plain.new_loss.value + plain.worst_old_loss.value) / 2, slack=0.02)
    assert plain.windowed_forgetting.value > mixed.windowed_forgetting.value > 0
    assert (plain.role, control.role, condition.end("new_alone").role) == ("strategy", "control", "reference")


def test_answers_to_questions_have_gaps_of_their_own(fit):
    accuracies = fit.accuracies().set_index(["budget_tokens", "arm", "split"])
    assert accuracies.loc[(200_000, "plain", "told"), "depth"] == pytest.approx(DEPTH, abs=0.02)


def test_gradients_are_compared_with_the_control_s_before_the_minimum(fit):
    probes = fit.probes().set_index(["budget_tokens", "arm", "metric"])
    cosine = probes.loc[(200_000, "plain", "gradient_cosine")]
    assert cosine["before_over_control_lower"] <= -0.2 <= cosine["before_over_control_upper"]
    assert cosine["before_over_control_upper"] < 0
    assert cosine["end"] == pytest.approx(COSINE - 0.2, abs=0.03)
    balance = probes.loc[(200_000, "plain", "weight_change_bottom_over_top")]
    assert balance["before"] == pytest.approx(1.2, abs=0.03)
    assert balance["before_over_control_lower"] < 0 < balance["before_over_control_upper"]


def test_a_table_for_a_paper_has_the_arms_at_the_largest_budget(fit):
    text = render(fit)
    assert r"code & plain & 0.2" in text
    assert "subset + quality + mixture + fixed" in text
    assert text.count(r"\\") == 1 + 12 + 4
    assert "Effects on the last loss on code: subset 0.0" in text
    assert "quality -0.05" in text


def test_divergence_is_counted_and_no_one_else_pays_for_it():
    lost = mixture(("subset",), 100_000)
    fit = fit_runs(*stability_gap_tables(arms=FEW[:2], budgets=(100_000,), diverged=(lost,)))
    assert fit.counts.n_diverged == 1
    assert fit.accuracies().empty
    assert [note.code for note in fit.warnings] == ["diverged"]
    condition = fit.conditions[0]
    assert condition.end("subset").n_diverged == 1
    effects = {(e.outcome, e.term): e.estimate.value for e in condition.effects}
    assert effects["new_loss", "subset"] == pytest.approx(EFFECTS["subset"], abs=0.01)


def test_what_the_sweep_lacks_is_said(few):
    runs, metrics = few
    alone = runs[~runs["stage"].isin(["old_text", "low_rate"])]
    fit = fit_runs(alone.assign(train_flop=np.where(alone["stage"] == "strong", 1e9, alone["train_flop"])), metrics)
    assert {note.code for note in fit.warnings} == {"no_control", "unequal_compute"}
    assert fit.conditions[0].at_constant_rate is None
    assert {e.outcome for e in fit.conditions[0].effects} == {"new_loss", "old_loss"}
    none = fit_runs(runs[~runs["stage"].isin(["strong", "low_rate"])], metrics)
    assert "no_baseline" in {note.code for note in none.warnings}
    assert none.conditions[0].reading == "no arm without a strategy"


def test_the_result_survives_json_and_says_what_it_has(fit):
    assert StabilityGapSweep.from_dict(json.loads(json.dumps(fit.to_dict()))) == fit
    frame = fit.frame()
    assert len(frame[frame["role"] == "strategy"]) == 2 * 12 * 3
    assert "annealed to code, 200,000 tokens, 12,000 parameters: gap" in fit.summary()
    with pytest.raises(InputError, match="to prose was asked for"):
        fit.condition("prose")
    with pytest.raises(InputError, match="'nobody' was asked for"):
        fit.conditions[0].end("nobody")
    with pytest.raises(InputError, match="'nobody' on 'prose' was asked for"):
        fit.conditions[0].gap("nobody")

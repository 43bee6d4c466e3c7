import numpy as np
import pandas as pd
import pytest

from analysis.laws.depth import fit_depth
from tests.analysis.depth_factories import CURED, CURSED, PLAIN, Truth, depth_tables

CALM = Truth(loss=CURSED.loss, variance=CURED.variance, decline=CURSED.decline)
HARD = "pre + scaled init"


def lifts(schemes):
    runs, layers = depth_tables(schemes, depths=(12, 24), rates=(0.3, 1.0))
    last = layers[layers["step"] == 100]
    return {verdict.scheme: verdict for verdict in fit_depth(runs, last).lifts}


@pytest.fixture(scope="module")
def verdicts():
    return lifts({"pre": CURSED, HARD: CURSED, "lns": CURED, "branch_sqrt": CALM, "peri": PLAIN})


def test_a_lift_is_found_against_both_baselines(verdicts):
    assert verdicts["lns"].call == "lifted"
    assert [criterion.answer for criterion in verdicts["lns"].criteria] == ["yes"] * 4
    drop, gap = verdicts["lns"].criteria[0].parts[1], verdicts["lns"].criteria[2].parts[1]
    assert "superlinear to linear" in drop.claim
    assert drop.estimate.upper < 0
    truth = CURSED.loss(24) - CURED.loss(24)
    assert gap.estimate.lower < truth < gap.estimate.upper


def test_a_lower_variance_alone_lifts_nothing(verdicts):
    assert verdicts["branch_sqrt"].criteria[0].answer == "yes"
    assert verdicts["branch_sqrt"].call == "variance controlled, depth not used"


def test_use_without_a_lower_variance_is_a_part_of_it(verdicts):
    assert verdicts["peri"].criteria[0].answer == "no"
    assert verdicts["peri"].call == "partial"


def test_the_scaled_baseline_is_not_compared_with_itself(verdicts):
    assert verdicts[HARD].call in ("not lifted", "not resolved")
    assert len(verdicts[HARD].criteria) == 3


def test_a_scheme_that_does_not_beat_scaled_initialisation_is_no_lift():
    found = lifts({"pre": CURSED, HARD: CURED, "lns": CURED})
    assert found["lns"].criteria[3].answer == "no"
    assert found["lns"].call == "partial"


def test_without_the_scaled_baseline_a_lift_is_not_resolved():
    found = lifts({"pre": CURSED, "lns": CURED})["lns"]
    assert [criterion.answer for criterion in found.criteria] == ["yes", "yes", "yes", "not resolved"]
    assert found.call == "not resolved"


def test_many_equal_schemes_are_not_lifted_by_luck():
    """Seven schemes of one truth, noise large: tests are Holm-adjusted over them."""
    schemes = {"pre": PLAIN} | {f"scheme {i}": PLAIN for i in range(7)}
    claimed = 0
    for seed in range(6):
        runs, layers = depth_tables(schemes, depths=(12, 24), rates=(1.0,), seed=seed, scatter=0.3)
        fit = fit_depth(runs, layers[layers["metric"] == "loss_removed_delta_nats_per_token"])
        found = {verdict.scheme: verdict for verdict in fit.lifts}
        parts = [part for v in found.values() for criterion in v.criteria[1:3] for part in criterion.parts]
        claimed += sum(part.answer == "yes" for part in parts if part.p is not None and "median" in part.claim)
        assert all(part.p >= part.estimate.p_above(0) for part in parts if part.p is not None)
        assert all(verdict.call != "lifted" for verdict in found.values())
    assert claimed <= 1


def test_the_choice_of_the_rate_favours_no_scheme():
    """A scheme tried at five equal rates has no lower loss than one tried at a single rate."""
    flat = Truth(loss=lambda depth: 2.0, variance=PLAIN.variance)
    gaps = []
    for seed in range(30):
        one, layers = depth_tables({"pre": flat}, depths=(12,), rates=(1.0,), seeds=4, noise=0.01, seed=seed)
        rng, five = np.random.default_rng(seed), []
        for i in range(5):
            loss = one["loss_nats_per_token"] + 0.01 * rng.standard_normal(4)
            ids = [f"{i + 1}{name[1:]}" for name in one["run_id"]]
            five.append(one.assign(scheme="lns", learning_rate=1e-3 * (i + 1), run_id=ids, loss_nats_per_token=loss))
        fit = fit_depth(pd.concat([one, *five], ignore_index=True), layers[layers["metric"] == "nothing"])
        gaps.append(fit.arm("pre", 12).loss.value - fit.arm("lns", 12).loss.value)
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / 30**0.5

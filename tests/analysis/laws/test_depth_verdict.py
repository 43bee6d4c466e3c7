import numpy as np
import pytest

from analysis.fitting.seeds import Estimate
from analysis.laws.depth import fit_depth
from analysis.laws.depth_verdict import above, below, more, shown
from tests.analysis.depth_factories import CURSED, PLAIN, Truth, depth_tables

FADING = Truth(loss=lambda depth: 2.0 + 200.0 / depth**5, variance=CURSED.variance, decline=0.25, tilt=-0.8)


def curse_of(scheme, **options):
    return fit_depth(*depth_tables({"pre": scheme}, rates=(0.3, 1.0), **options)).curse


def test_all_four_criteria_are_answered_with_an_interval_whatever_the_answer():
    for scheme in (FADING, PLAIN):
        verdict = curse_of(scheme)
        assert len(verdict.criteria) == 4
        for criterion in verdict.criteria:
            for part in criterion.parts:
                assert part.answer in ("yes", "no", "not resolved")
                assert None not in (part.estimate.lower, part.estimate.upper)


def test_a_curse_is_shown():
    verdict = curse_of(FADING, seeds=10)
    assert [criterion.answer for criterion in verdict.criteria] == ["yes"] * 4
    assert verdict.call == "curse shown"
    assert "curse of depth in pre, depth 24: curse shown" in verdict.lines()


def test_blocks_of_equal_use_are_no_curse():
    verdict = curse_of(PLAIN)
    assert verdict.criteria[1].answer == "no"
    assert verdict.call == "no curse found"


def test_idle_deep_blocks_with_a_return_on_depth_are_a_part_of_it():
    verdict = curse_of(Truth(PLAIN.loss, PLAIN.variance, decline=0.25, tilt=-0.8))
    assert [criterion.answer for criterion in verdict.criteria] == ["yes", "yes", "yes", "no"]
    assert verdict.call == "partial"


def test_one_seed_or_much_noise_resolve_nothing():
    assert curse_of(FADING, seeds=1).call == "not resolved"
    assert curse_of(FADING, scatter=3.0, noise=0.5, seed=2).call == "not resolved"


@pytest.mark.parametrize(
    ("value", "lower", "upper", "answer"),
    [
        (0.3, 0.1, 0.9, "yes"),  # below a half, surely below one
        (0.3, 0.1, 1.1, "not resolved"),
        (0.6, 0.4, 0.9, "not resolved"),
        (0.6, 0.55, 0.9, "no"),
        (0.3, None, None, "not resolved"),
    ],
)
def test_a_claim_of_a_size_needs_the_size_and_the_interval(value, lower, upper, answer):
    assert below("", Estimate(value, lower, upper), 0.5, null=1.0).answer == answer


def test_claims_of_a_sign_and_of_a_size_beyond_noise():
    assert below("", Estimate(-1.0, -2.0, -0.1), 0.0).answer == "yes"
    assert below("", Estimate(1.0, 0.1, 2.0), 0.0).answer == "no"
    assert above("", Estimate(1.0, 0.1, 2.0), 0.0).answer == "yes"
    assert above("", Estimate(-1.0, -2.0, -0.1), 0.0).answer == "no"
    assert more("", Estimate(1.0, 0.1, 2.0, sd=0.4), 0.5).answer == "yes"
    assert more("", Estimate(1.0, 0.1, 2.0, sd=0.6), 0.5).answer == "not resolved"
    assert more("", Estimate(0.1, -0.2, 0.4, sd=0.2), 0.5).answer == "no"
    # noise so large that two standard deviations hold any effect refutes nothing
    assert more("", Estimate(-0.7, -2.6, 1.2, sd=0.8), 0.5).answer == "not resolved"


def test_words_for_numbers():
    assert shown(Estimate(None)) == "unknown"
    assert shown(Estimate(1.0)) == "1 [no interval]"
    assert shown(Estimate(np.pi, 3.0, 3.3)) == "3.14 [3, 3.3]"

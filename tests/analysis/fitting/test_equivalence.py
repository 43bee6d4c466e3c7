import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from analysis.fitting.equivalence import Effects, answers

RNG = np.random.default_rng(0)


def _effects(values):
    n = values.shape[1]
    se = values.std(axis=1, ddof=1) / np.sqrt(n)
    return Effects(values.mean(axis=1), se, np.full(len(values), n - 1.0))


def test_p_values_and_intervals_are_a_library_s():
    values = 0.1 + RNG.standard_normal((6, 9))
    ours = _effects(values)
    for i, row in enumerate(values):
        peer = DescrStatsW(row)
        assert ours.p_zero()[i] == pytest.approx(peer.ttest_mean(0.0)[1])
        assert ours.p_equivalent(0.4)[i] == pytest.approx(peer.ttost_mean(-0.4, 0.4)[0])
        np.testing.assert_allclose([end[i] for end in ours.interval(0.9)], peer.tconfint_mean(0.1))


def test_the_four_answers():
    """Effects of 1, -1, 0 and 0 with errors of .1, .1, .01 and 1; the margin is .07."""
    clear = Effects(np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.1, 0.1, 0.01, 1.0]), np.full(4, 20.0))
    assert answers([clear], margin=0.07, level=0.95).answer == ("up", "down", "equivalent", "unresolved")


def test_an_answer_must_hold_against_every_baseline():
    one = Effects(np.array([1.0, 1.0]), np.array([0.1, 0.1]), np.full(2, 20.0))
    other = Effects(np.array([0.1, -1.0]), np.array([0.1, 0.1]), np.full(2, 20.0))
    found = answers([one, other], margin=0.07, level=0.95)
    assert found.answer == ("unresolved", "unresolved")
    assert found.p_zero[1] == 1.0
    assert found.p_zero[0] == pytest.approx(2 * other.p_zero()[0])  # Holm, of two


def test_a_family_of_nothings_is_called_in_at_most_one_of_twenty():
    called = [
        any(
            word in ("up", "down")
            for word in answers([_effects(RNG.standard_normal((20, 8)))], margin=0.07, level=0.95).answer
        )
        for _ in range(1000)
    ]
    assert np.mean(called) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


def test_the_detectable_effect_is_detected_with_its_power():
    effect = _effects(RNG.standard_normal((1, 8))).detectable(0.95, 1)[0]
    assert effect > 0
    size = 1.2
    truth = Effects(np.zeros(1), np.full(1, size / np.sqrt(8)), np.full(1, 7.0)).detectable(0.95, 1)[0]
    power = np.mean(_effects(truth + size * RNG.standard_normal((20_000, 8))).p_zero() < 0.05)
    assert power == pytest.approx(0.8, abs=0.03)  # two quantiles of t for the noncentral one


def test_what_was_not_run_has_no_answer_and_costs_the_others_nothing():
    some = Effects(np.array([1.0, np.nan]), np.array([0.3, np.nan]), np.array([20.0, 1.0]))
    found = answers([some], margin=0.07, level=0.95)
    assert found.answer == ("up", "unresolved")
    assert found.p_zero[0] == pytest.approx(some.p_zero()[0])
    assert np.isnan(found.p_zero[1])

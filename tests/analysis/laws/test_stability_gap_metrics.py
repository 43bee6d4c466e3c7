import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from analysis.laws.stability_gap_metrics import first_reach, measure

T = np.unique(np.concatenate([np.linspace(0, 50, 5001), np.geomspace(0.05, 50, 2000)]))
G, D, FAST, SLOW = 1.3, 2.0, 2.0, 12.0


def curve(t):
    return 36.2 + G * (1 - np.exp(-t / SLOW)) - D * (np.exp(-t / SLOW) - np.exp(-t / FAST))


def test_a_double_exponential_has_its_closed_form():
    """t_min = ln(D t2 / ((G + D) t1)) / (1/t1 - 1/t2); published for these constants: depth 0.82, 3.1 and 11.1."""
    m = measure(T, curve(T)[None])
    lowest = np.log(D * SLOW / ((G + D) * FAST)) / (1 / FAST - 1 / SLOW)
    back = brentq(lambda t: curve(t) - 36.2, 5, 40)
    assert m.time_to_minimum[0] == pytest.approx(lowest, abs=0.01)
    assert m.time_to_recovery[0] == pytest.approx(back, abs=1e-3)
    assert (m.depth[0], lowest, back) == pytest.approx((0.82, 3.1, 11.1), abs=0.01)
    assert m.depth[0] == pytest.approx(36.2 - curve(lowest), abs=1e-6)
    assert m.regret[0] == pytest.approx(quad(lambda t: 36.2 - curve(t), 0, back)[0], rel=1e-4)
    assert m.regret_log[0] == pytest.approx(quad(lambda t: (36.2 - curve(t)) / t, T[1], back)[0], rel=1e-3)
    assert m.final_gain[0] == pytest.approx(curve(50) - 36.2)
    assert m.gap_index[0] == pytest.approx((curve(50) - curve(lowest)) / (36.2 - curve(lowest)), rel=1e-5)
    assert m.transient[0] + m.permanent[0] == pytest.approx(m.depth[0])


def test_recovery_is_for_good_and_else_censored():
    rows = np.array([[0.0, -1, 0.5, -0.5, 1], [0, -1, 0.5, 1, -0.1], [0, 1, 2, 3, 4], [0, -0.1, -0.05, -0.02, -0.01]])
    m = measure(np.arange(5.0), rows)
    assert m.time_to_recovery[0] == pytest.approx(3 + 0.5 / 1.5)
    assert m.time_to_recovery[1] == np.inf
    assert (m.time_to_recovery[2], m.depth[2], m.time_to_minimum[2]) == (0, 0, 0)
    assert np.isnan(m.gap_index[2])
    assert m.time_to_recovery[3] == np.inf
    assert measure(np.arange(5.0), rows[3:], tolerance=0.03).time_to_recovery[0] == pytest.approx(2 + 0.02 / 0.03)


def test_the_peak_may_be_chosen_elsewhere():
    row = np.array([[0.0, -1, 3, 1, 2]])
    assert measure(np.arange(5.0), row).peak_gain[0] == 3
    assert measure(np.arange(5.0), row, peak=4).peak_gain[0] == 2


def test_first_reach():
    times, rise = np.arange(4.0), np.array([0.0, 1, 2, 4])
    assert first_reach(times, rise, 3.0) == pytest.approx(2.5)
    assert first_reach(times, rise, 5.0) == np.inf
    assert first_reach(times, rise, -1.0) == 0

import numpy as np
import pytest

from analysis.laws.stability_gap_windows import continual_evaluation, largest_fall
from curselab.errors import InputError


def test_by_hand():
    """Old tasks fall to 0.2 and 0.5, the new one ends at 0.9: WC-ACC = 0.9 / 3 + 2 / 3 * 0.35."""
    old = {"a": [0.8, 0.2, 0.6, 0.7], "b": [0.9, 0.7, 0.5, 0.8]}
    found = continual_evaluation([0, 1, 2, 10], old, [0.1, 0.5, 0.8, 0.9], window_steps=1)
    assert found.min_accuracy == pytest.approx(0.35)
    assert found.worst_case_accuracy == pytest.approx(0.9 / 3 + 2 / 3 * 0.35)
    assert found.windowed_forgetting == pytest.approx((0.6 + 0.2) / 2)
    assert found.windowed_plasticity == pytest.approx(0.4)
    wider = continual_evaluation([0, 1, 2, 10], old, [0.1, 0.5, 0.8, 0.9], window_steps=2)
    assert wider.windowed_forgetting == pytest.approx((0.6 + 0.4) / 2)


def test_a_window_in_steps_does_not_change_with_the_cadence():
    steps = np.arange(0, 401)
    values = 0.8 - 0.3 * np.exp(-(((steps - 100) / 30.0) ** 2))
    fine = largest_fall(steps, values, 40)
    coarse = largest_fall(steps[::4], values[::4], 40)
    assert fine == pytest.approx(coarse, rel=0.02)
    # counted in evaluations, ten of them span four times as much of the coarse one
    by_evaluations = [largest_fall(np.arange(len(v)), v, 10) for v in (values, values[::4])]
    assert by_evaluations[1] > 2 * by_evaluations[0]


def test_a_curve_that_never_falls():
    assert largest_fall(np.arange(5.0), np.arange(5.0), 3) == 0


def test_bad_input_is_a_one_line_error():
    with pytest.raises(InputError, match="one old task or more"):
        continual_evaluation([0, 1], {}, [0.1, 0.2], window_steps=1)
    with pytest.raises(InputError, match="rising steps"):
        continual_evaluation([1, 0], {"a": [0.1, 0.2]}, [0.1, 0.2], window_steps=1)

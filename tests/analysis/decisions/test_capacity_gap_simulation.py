import numpy as np
import pytest
from scipy.stats import norm

from analysis.decisions.capacity_gap_simulation import seeds_needed, simulate
from analysis.laws.capacity_gap_student import detectable
from curselab.errors import InputError


def test_the_rule_of_thumb_for_many_teachers():
    """12.4 (noise / effect)^2 seeds for 80 % power at a one-sided 5 %; Student's t asks for a little more."""
    rule = 2 * (norm.ppf(0.95) + norm.ppf(0.8)) ** 2
    assert rule == pytest.approx(12.4, abs=0.05)
    assert seeds_needed(0.01, 0.02, 1000) == 4
    assert seeds_needed(0.02, 0.02, 1000) == 13
    # 26 degrees of freedom: 2 (1.706 + 0.856)^2 = 13.1
    assert seeds_needed(0.02, 0.02, 3) == 14
    assert seeds_needed(1.0, 1e-6, 5) is None


def test_a_detectable_difference_is_detected_with_its_power():
    """Simulated: a one-sided t test with the pooled noise of five teachers finds it in 80 % of tables."""
    rng = np.random.default_rng(0)
    seeds, teachers, n = 4, 5, 20_000
    effect = detectable(0.01, seeds, (seeds - 1) * (teachers - 1), level=0.95)
    y = 0.01 * rng.standard_normal((n, seeds, teachers)) + 0.3 * rng.standard_normal((n, seeds, 1))
    y[..., -1] += effect
    centred = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    dof = (seeds - 1) * (teachers - 1)
    sigma = np.sqrt((centred**2).sum(axis=(1, 2)) / dof)
    rise = (y[..., -1] - y[..., 0]).mean(axis=1)
    from scipy.stats import t as student_t

    found = rise / (sigma * np.sqrt(2 / seeds)) > student_t.ppf(0.95, dof)
    # the shifted teacher's noncentral t is a little off the sum of two quantiles
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_tables_follow_their_seed_and_hold_every_student():
    def loss(student, tokens, teachers):
        return 2 + 0.1 * np.log(teachers / (4 * student)) ** 2

    design = [(size, 1.0, size * 2.0 ** np.arange(0, 4.1, 0.5)) for size in (1e6, 4e6)]
    options = {"noise": 0.01, "seeds": 3, "tables": 2, "resamples": 50, "level": 0.95}
    a, b, other = (list(simulate(loss, design, seed=seed, **options)) for seed in (0, 0, 1))
    assert a == b != other
    for students, across in a:
        assert [s.student for s in students] == [1e6, 4e6]
        assert [s.optimum / s.student for s in students] == pytest.approx([4, 4], rel=0.15)
        assert across.status == "not_identified"


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match="effect: -1 was given"):
        seeds_needed(1.0, -1, 5)

import json

import numpy as np
import pytest

from analysis import plan_capacity_gap
from analysis.fitting.result import to_plain
from analysis.laws.kernel_toy import KernelToy
from curselab.errors import InputError

HALF_OCTAVES = 2.0 ** np.arange(0, 6.1, 0.5)


def test_a_grid_around_the_optimum_brackets_it_and_finds_it():
    """Busbridge et al.: 8.9 times a student of 546M at 320 tokens a parameter."""
    plan = plan_capacity_gap([546e6], noise=0.002, ratios=HALF_OCTAVES, tables=40)
    (student,) = plan.students
    assert student.truth / 546e6 == pytest.approx(8.914, rel=0.01)
    assert student.bracketed
    assert student.identified == 1
    assert student.covered > 0.8
    assert abs(student.bias) < 0.05
    # one student is no law
    assert plan.law_identified == 0
    assert plan.b is None
    assert "yes" in plan.summary()


def test_a_grid_that_ends_early_does_not():
    plan = plan_capacity_gap([546e6], noise=0.002, ratios=(1, 1.5, 2, 3, 4, 5), tables=20)
    (student,) = plan.students
    assert not student.bracketed
    assert student.identified == 0
    assert student.covered is None
    assert student.truth / 546e6 == pytest.approx(8.914, rel=0.01)


def test_a_rise_below_the_noise_needs_more_seeds():
    """Losses at the ends of the grid from table 6, computed independently."""
    quiet, loud = (plan_capacity_gap([546e6], noise=noise, tables=1).students[0] for noise in (0.002, 0.02))
    assert quiet.fall == pytest.approx(2.51568 - 2.27168, abs=1e-4)
    assert quiet.rise == loud.rise == pytest.approx(0.0169, abs=5e-4)
    assert quiet.seeds_needed == 2
    # 12.4 (noise / rise)^2 is 17.3 with normal quantiles
    assert loud.seeds_needed in (18, 19)


def test_the_cost_is_counted_by_hand():
    plan = plan_capacity_gap(
        [1e6, 2e6],
        noise=0.01,
        ratios=(1, 2, 4),
        seeds=3,
        tokens_per_param=100,
        teacher_tokens_per_param=20,
        loss=lambda S, D, T: 2 + np.log(T / (2 * S)) ** 2,
        tables=1,
        flop_per_s=1e10,
    )
    # teachers 1e6, 2e6, 4e6, 8e6; those of 2e6 and 4e6 serve both students, the longer of whom reads 2e8 tokens
    teachers = 120 * (1e6**2 + 2e6**2 + 4e6**2 + 8e6**2)
    signal = 2 * (1e6 * 1e8 + (2e6 + 4e6 + 8e6) * 2e8)
    students = 3 * 4 * 6 * (1e6 * 1e8 + 2e6 * 2e8)
    assert (plan.flop_teachers, plan.flop_signal, plan.flop_students) == pytest.approx((teachers, signal, students))
    assert plan.seconds == pytest.approx((teachers + signal + students) / 1e10)


def test_the_published_law_is_no_guide_to_miniatures():
    plan = plan_capacity_gap([6_000], noise=0.01, tables=1)
    assert [note.code for note in plan.warnings] == ["extrapolated"]
    assert "fit_distillation" in plan.summary()
    assert plan_capacity_gap([546e6], noise=0.01, tables=1).warnings == ()


def test_any_law_will_do():
    """The kernel toy: its best teacher is the student's own size."""
    toy = KernelToy.uniform(0)
    plan = plan_capacity_gap(
        [50, 100, 200],
        noise=0.01,
        ratios=2.0 ** np.arange(-2, 2.1, 0.5),
        loss=lambda n, tokens, m: toy.error(np.clip(m, 1, 1000), int(n)),
        law=toy.name,
        tables=10,
    )
    assert [s.truth / s.student for s in plan.students] == pytest.approx([1, 1, 1], rel=0.45)
    assert all(s.identified == 1 for s in plan.students)
    assert plan.summary().startswith("capacity gap planned by kernel toy")


def test_four_students_make_a_law_whose_exponent_comes_out():
    plan = plan_capacity_gap([198e6, 546e6, 1.82e9, 7.75e9], noise=0.001, ratios=HALF_OCTAVES, tables=10)
    assert plan.law_identified > 0.8
    assert plan.b == pytest.approx(0.96, abs=0.1)
    content = json.loads(json.dumps(to_plain(plan), allow_nan=False))
    assert len(content["students"]) == len(plan.frame()) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"students": []}, "students: .* 1 or more different"),
        ({"ratios": (1, 2)}, "ratios: .* 3 or more"),
        ({"noise": 0.0}, "noise: 0.0 was given"),
        ({"seeds": 1}, "1 seeds"),
        ({"level": 2.0}, "level: 2.0"),
    ],
)
def test_bad_input_is_one_line(change, message):
    with pytest.raises(InputError, match=message):
        plan_capacity_gap(**({"students": [1e6], "noise": 0.01, "tables": 1} | change))

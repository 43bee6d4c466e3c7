import numpy as np
import pandas as pd
import pytest

from analysis import fit_capacity_gap
from analysis.laws.capacity_gap_crossed import crossed_controls
from analysis.tables import render
from curselab.errors import InputError
from tests.analysis.factories import capacity_gap_runs, frame, record

NAMES = {role: role for role in ("student", "teacher", "loss", "seed")}
SIZES = (50_000.0, 200_000.0, 800_000.0)
BASE, TEACHER = np.array([-0.03, 0.0, 0.03]), np.array([0.01, -0.03, 0.02])


def square(*, teacher=TEACHER, noise=0.005, seeds=3, rng=None):
    rng = np.random.default_rng(0) if rng is None else rng
    own = 0.02 * rng.standard_normal(seeds)
    rows = [
        (25_000.0, base, SIZES[j], 2 + BASE[i] + teacher[j] + own[s] + noise * rng.standard_normal(), s)
        for i, base in enumerate(SIZES)
        for j in range(3)
        for s in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["student", "base_params_non_embedding", "teacher", "loss", "seed"])


def test_what_pruning_costs_and_what_the_signal_is_worth_are_told_apart():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(60):
        (control,) = crossed_controls(square(rng=rng), NAMES, 0.95)
        for truth, effects in ((BASE, control.bases), (TEACHER, control.teachers)):
            held += [e.lower <= t <= e.upper for t, e in zip(truth - truth.mean(), effects, strict=True)]
        assert control.p_base is not None
        assert control.p_base < 0.001
    assert 0.91 < np.mean(held) < 0.99  # 360 intervals, 180 of them independent: three standard errors are 0.05


def test_a_teacher_that_does_not_matter_is_rarely_said_to_matter():
    rng = np.random.default_rng(2)
    controls = [next(crossed_controls(square(teacher=np.zeros(3), rng=rng), NAMES, 0.95)) for _ in range(100)]
    assert np.mean([control.p_teacher < 0.05 for control in controls]) < 0.1


def test_effects_are_those_of_an_orthogonal_square():
    data = square()
    (control,) = crossed_controls(data, NAMES, 0.95)
    means = data.groupby("teacher")["loss"].mean()
    assert [e.difference for e in control.teachers] == pytest.approx((means - means.mean()).tolist())
    assert [e.size for e in control.bases] == list(SIZES)


def test_a_hole_in_the_square_or_a_single_seed_is_no_answer():
    for data, reason in ((square().iloc[1:], "1 of 27 runs"), (square(seeds=1), "2 seeds")):
        (control,) = crossed_controls(data, NAMES, 0.95)
        assert control.status == "not_identified"
        assert reason in control.reason
        assert reason in control.lines()[0]


def test_a_square_of_runs_that_differ_in_more_is_refused():
    data = square().assign(tokens=2**21)
    data.loc[data["base_params_non_embedding"] == data["teacher"], "tokens"] = 2**20
    with pytest.raises(InputError, match="student 25000 has runs of different tokens"):
        list(crossed_controls(data, NAMES, 0.95))


def test_pruned_students_are_one_size_whatever_whole_heads_and_units_leave():
    rng = np.random.default_rng(3)
    fresh = capacity_gap_runs((25_248,), ratios=np.array([1, 2, 4, 8, 16, 32.0]), seeds=3)
    shared = {"objective": "distill", "distill_weight": 0.5, "temperature": 1.0, "tokens": 2**21, "teacher_seed": 0}
    # a ladder's bases, the share to lose to reach 25k, and the counts that came out
    bases = [(25_248, 0.0, 25_248), (55_536, 0.546295, 28_960), (201_280, 0.875, 29_164), (792_192, 0.968281, 28_888)]
    rows = []
    for base, sparsity, count in bases:
        for teacher in {base, *(b for b, *_ in bases[1:])} if base > 30_000 else {base}:
            for s in range(3):
                rows.append(
                    record(
                        10_000 + len(rows),
                        **shared,
                        sweep="capacity_gap",
                        stage="pruned" if teacher == base else "crossed",
                        params_non_embedding=count,
                        base_id="b" * 12,
                        base_params_non_embedding=base,
                        sparsity=sparsity,
                        teacher_id="a" * 12,
                        teacher_params_non_embedding=teacher,
                        teacher_loss_nats_per_token=3 - 0.1 * np.log(teacher),
                        teacher_tokens=2**23,
                        seed=s,
                        loss_nats_per_token=2 + 0.05 * np.log(base / 2e5) ** 2 + 0.002 * rng.standard_normal(),
                    )
                )
    fit = fit_capacity_gap(pd.concat([fresh, frame(rows)], ignore_index=True), bootstrap=100)
    assert fit.students == fit_capacity_gap(fresh, bootstrap=100).students
    (pruned,) = fit.pruned
    assert pruned.student == 25_248
    assert pruned.teachers == tuple(base for base, *_ in bases)
    (control,) = fit.crossed
    assert control.n_runs == 27
    assert control.p_base < 0.01 < control.p_teacher
    assert "cut out of their own teacher" in fit.summary()
    assert list(fit.frame()["arm"]) == ["student", "pruned"]
    note = render(fit)
    assert "Pruned: 12 runs, 0 diverged. Crossed at 25200: 27 runs with own and other teachers, 0 diverged" in note
    assert type(fit).from_dict(fit.to_dict()) == fit
    (alone,) = fit_capacity_gap(frame(rows), stage="pruned", bootstrap=100).students
    assert alone.means == pruned.means

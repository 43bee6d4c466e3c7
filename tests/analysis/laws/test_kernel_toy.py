import numpy as np
import pandas as pd
import pytest

from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.kernel_toy import KernelToy, kernel_toy
from analysis.laws.registry import find
from curselab.errors import InputError
from sweeps.plan import load_plan
from tests.analysis.factories import capacity_gap_runs

COEFFICIENTS = np.random.default_rng(0).uniform(-1, 1, 1000)
FIVE = (50, 80, 100, 200, 400)


@pytest.mark.parametrize(("teacher", "student"), [(30, 80), (80, 80), (300, 80), (1000, 80), (4, 2)])
def test_the_closed_form_equals_projecting_vectors(teacher, student):
    """Teacher and student made explicitly: truncate, then shrink to the norm."""

    def best(target, size, norm):
        cut = np.where(np.arange(len(target)) < size, target, 0.0)
        return cut * min(1.0, norm / np.linalg.norm(cut))

    imitation = best(best(COEFFICIENTS, teacher, 5.0), student, 4.5)
    expected = np.linalg.norm(COEFFICIENTS - imitation)
    assert kernel_toy(COEFFICIENTS, [teacher], student)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("student", [50, 80, 100, 200, 400])
def test_the_best_teacher_is_the_student_s_size(student):
    """Known truth: the optimum starts at m = n and the plateau ends near n (T/S)^2 = 1.23 n."""
    sizes = np.arange(1, 1001)
    error = kernel_toy(COEFFICIENTS, sizes, student)
    flat = sizes[np.isclose(error, error.min(), rtol=1e-9)]
    assert flat[0] == student
    assert 1.1 * student < flat[-1] < 1.5 * student
    assert error[-1] > error.min()


def test_the_object_knows_its_plateau():
    toy = KernelToy(coefficients=tuple(COEFFICIENTS))
    for student in FIVE:
        first, last = toy.best_teachers(student)
        assert first == student
        error = toy.error(np.arange(1, 1001), student)
        np.testing.assert_array_equal(error, kernel_toy(COEFFICIENTS, np.arange(1, 1001), student))
        assert error[first - 2] > error[first - 1] == pytest.approx(error[last - 1])
        assert error[last] > error[last - 1]
    assert KernelToy.uniform(0).coefficients == toy.coefficients
    with pytest.raises(InputError, match=r"norms 6.0 of the student and 5.0 of the teacher"):
        KernelToy.uniform(0, student_norm=6.0)


@pytest.mark.parametrize("noise", [0.003, 0.01])
def test_the_fit_finds_the_plateau_and_the_law(noise):
    """Truth: a plateau of best teachers from the student's size on, and b = 1; noise of 0.02 and 0.06 % of the error."""
    toy = KernelToy.uniform(0)
    tables = [_table(toy, noise, seed) for seed in range(5)]
    held = 0
    for data in tables:
        fit = fit_capacity_gap(data, bootstrap=200)
        assert [s.status for s in fit.students] == ["ok"] * 5
        for s in fit.students:
            first, last = toy.best_teachers(int(s.student))
            held += s.lower <= last and first <= s.upper
        assert fit.across.b_lower < 1 < fit.across.b_upper
        assert 1 <= fit.across.k <= 1.25
    assert held >= 22  # of 25, where 95 % of intervals hold


def test_the_full_grid_finds_what_is_known(root):
    """Truth: every student's plateau, an exponent of 1, and a ratio from 1 to (T/S)^2 = 1.23."""
    spec = load_plan(root / "config/full.yaml").problem("kernel_toy")
    assert spec.student_functions == FIVE
    fit = fit_capacity_gap(pd.DataFrame(spec.rows()), **find("kernel_toy").options)
    toy = KernelToy.uniform(spec.coefficient_seed)
    for s in fit.students:
        first, last = toy.best_teachers(int(s.student))
        assert s.status == "ok"
        assert s.p_no_rise < 0.01
        assert s.lower <= last
        assert first <= s.upper
    assert fit.across.b_lower < 1 < fit.across.b_upper
    assert 1 <= fit.across.k <= 1.25


def test_a_teacher_s_own_error_falls_with_its_size():
    toy = KernelToy.uniform(0)
    errors = [toy.teacher_error(m) for m in (1, 10, 50, 100, 400, 1000)]
    assert (np.diff(errors) < 0).all()
    cut = np.where(np.arange(1000) < 400, toy.coefficients, 0.0)
    assert errors[4] == pytest.approx(np.linalg.norm(toy.coefficients - cut * min(1.0, 5.0 / np.linalg.norm(cut))), rel=1e-12)


def _table(toy, noise, seed):
    def error(student, tokens, teacher):
        return toy.error([int(teacher)], int(student))[0]

    parts = []
    for student in FIVE:
        ratios = 2.0 ** np.arange(-2, 2.1, 0.5)
        ratios = ratios[student * ratios <= 1000]
        parts.append(capacity_gap_runs((student,), ratios=ratios, noise=noise, loss=error, seed=10 * seed + student))
    return pd.concat(parts, ignore_index=True)

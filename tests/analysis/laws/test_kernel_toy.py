import numpy as np
import pytest

from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.kernel_toy import kernel_toy
from tests.analysis.factories import capacity_gap_runs

COEFFICIENTS = np.random.default_rng(0).uniform(-1, 1, 1000)


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


def test_the_fit_recovers_the_plateau_and_an_exponent_near_one():
    """Truth: b = 1, k from 1 to 1.23. The fall steepens with the student, so the parabola's bias shrinks: b is 4 % low."""
    coefficients = np.random.default_rng(1).uniform(-1, 1, 4000)

    def error(student, tokens, teacher):
        return kernel_toy(coefficients, [int(teacher)], int(student))[0]

    data = capacity_gap_runs((150, 300, 600, 1200), ratios=2.0 ** np.arange(-2, 1.6, 0.5), noise=1e-4, loss=error)
    fit = fit_capacity_gap(data, bootstrap=200)
    assert [s.status for s in fit.students] == ["ok"] * 4
    assert 1.0 < fit.across.k < 1.25
    assert fit.across.b == pytest.approx(1.0, abs=0.08)
    # the lowest point itself has no such bias: it lies on the plateau of every student
    assert all(1 <= s.lowest / s.student <= 1.23 for s in fit.students)

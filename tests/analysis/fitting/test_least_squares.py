import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import huber

from analysis.fitting.least_squares import multistart, standard_errors


def test_the_objective_is_huber_s():
    y = np.array([0.0, 0.1, 0.2, 5.0])
    best = multistart(lambda b: b[0] - y, lambda b: np.ones((4, 1)), [[1.0], [9.0]], delta=0.5)
    # the far point pulls with 0.5: the mean of the others moves by 0.5 / 3
    np.testing.assert_allclose(best.theta, [0.1 + 0.5 / 3], rtol=1e-8)
    assert best.objective == pytest.approx(float(huber(0.5, best.theta[0] - y).sum()), rel=1e-12)
    assert best.convergence.starts_at_optimum == 2


def test_the_better_of_two_basins_is_kept():
    """(b^2 - 1)^2 + 0.09 (b - 1)^2 is zero at 1 and has another minimum between -1 and -0.9."""

    def residual(b):
        return np.array([b[0] ** 2 - 1, 0.3 * (b[0] - 1)])

    best = multistart(residual, lambda b: np.array([[2 * b[0]], [0.3]]), [[-1.5], [1.5], [2.0]])
    np.testing.assert_allclose(best.theta, [1.0], rtol=1e-8)
    assert (best.convergence.starts_at_optimum, best.convergence.starts) == (2, 3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_the_residual_does_not_matter(scale):
    x = np.linspace(0, 2, 30)
    y = 2 * np.exp(-1.3 * x) + 0.05 * np.sin(40 * x)

    def residual(b):
        return scale * (b[0] * np.exp(-b[1] * x) - y)

    def jacobian(b):
        return scale * np.stack([np.exp(-b[1] * x), -b[0] * x * np.exp(-b[1] * x)], axis=1)

    best = multistart(residual, jacobian, [[1.0, 1.0]], delta=0.01 * scale)
    reference = multistart(lambda b: residual(b) / scale, lambda b: jacobian(b) / scale, [[1.0, 1.0]], delta=0.01)
    np.testing.assert_allclose(best.theta, reference.theta, rtol=1e-9)


def test_a_stop_short_of_the_optimum_is_not_called_converged():
    """Three evaluations do not reach the bottom of Rosenbrock's valley, which is at (1, 1)."""

    def residual(b):
        return np.array([10 * (b[1] - b[0] ** 2), 1 - b[0], 0.1])

    def jacobian(b):
        return np.array([[-20 * b[0], 10.0], [-1.0, 0.0], [0.0, 0.0]])

    assert not multistart(residual, jacobian, [[-1.2, 1.0]], evaluations=3).convergence.converged
    whole = multistart(residual, jacobian, [[-1.2, 1.0]])
    assert whole.convergence.converged
    np.testing.assert_allclose(whole.theta, [1, 1], rtol=1e-9)


def test_standard_errors_of_a_straight_line():
    """Against the textbook formula of statsmodels."""
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(30), 1e6 + rng.standard_normal(30)])
    y = design @ [3.0, 0.5] + rng.standard_normal(30)
    reference = sm.OLS(y, design).fit()
    np.testing.assert_allclose(standard_errors(design, reference.resid), reference.bse, rtol=1e-6)


def test_what_the_data_do_not_determine_has_no_finite_error():
    twice = np.repeat(np.arange(1.0, 9.0)[:, None], 2, axis=1)
    assert np.isinf(standard_errors(twice, np.ones(8))).all()
    assert np.isinf(standard_errors(np.eye(2), np.zeros(2))).all()  # as many rows as parameters

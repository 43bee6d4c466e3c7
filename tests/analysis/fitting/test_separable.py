import numpy as np
import pytest
from scipy.optimize import approx_fprime, curve_fit

from analysis.fitting.separable import SeparableForm, fit_curves

FORM = SeparableForm(
    name="exponential",
    formula="a + b e^(-x/tau)",
    basis=lambda v, x: np.stack([np.ones((len(v), x.shape[1])), np.exp(-x[0] * np.exp(-v))], axis=-1),
    nodes=lambda x: np.linspace(-4, 3, 15)[:, None],
    n_sizes=2,
    n_shapes=1,
)
X = np.linspace(0, 5, 40)[None]


def test_exact_curves_come_back_all_at_once():
    truth = np.array([[2.0, -1.0, 0.3], [0.5, 3.0, 1.7], [-4.0, 0.2, 4.0]])
    y = np.array([a + b * np.exp(-X[0] / tau) for a, b, tau in truth])
    fit = fit_curves(FORM, X, y)
    np.testing.assert_allclose(np.column_stack([fit.sizes, np.exp(fit.shapes)]), truth, rtol=1e-5)
    np.testing.assert_allclose(fit.at(X), y, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_noisy_curves_have_a_library_s_sum_of_squares(weighted):
    rng = np.random.default_rng(0)
    y = 1 + 2 * np.exp(-X[0] / 0.8) + 0.1 * rng.standard_normal(40)
    w = rng.uniform(0.5, 2, 40) if weighted else np.ones(40)
    best, _ = curve_fit(lambda x, a, b, tau: a + b * np.exp(-x / tau), X[0], y, p0=(1, 2, 1), sigma=w**-0.5)
    fit = fit_curves(FORM, X, y[None], w)
    np.testing.assert_allclose([*fit.sizes[0], np.exp(fit.shapes[0, 0])], best, rtol=1e-3)


def test_a_column_that_others_span_is_left_out():
    double = SeparableForm(
        name="twice",
        formula="a + b",
        basis=lambda v, x: np.ones((len(v), x.shape[1], 2)),
        nodes=lambda x: np.zeros((1, 0)),
        n_sizes=2,
        n_shapes=0,
    )
    y = np.arange(40.0)[None]
    fit = fit_curves(double, X, y)
    np.testing.assert_allclose(fit.at(X), 19.5)
    assert fit.sizes[0, 1] == 0


def test_shapes_stay_within_the_grid():
    fit = fit_curves(FORM, X, np.random.default_rng(1).standard_normal((20, 40)))
    assert fit.shapes.min() >= -4
    assert fit.shapes.max() <= 3


def test_the_tangent_is_the_numerical_derivative():
    y = 1 + 2 * np.exp(-X[0] / 0.8)
    fit = fit_curves(FORM, X, y[None])

    def at(parameters):
        return np.asarray(FORM.basis(parameters[None, 2:], X) @ parameters[:2])[0]

    slopes = approx_fprime(np.concatenate([fit.sizes[0], fit.shapes[0]]), at, 1e-7)
    np.testing.assert_allclose(fit.tangent(X)[0], slopes, atol=1e-5)

import numpy as np
import pytest
from scipy.optimize import least_squares

from analysis.fitting.newton import minimise
from analysis.fitting.smooth import Smooth, second_derivatives
from analysis.fitting.target import Rows, certificate

X = np.linspace(0.0, 3.0, 40)


def predict(phi):
    """A decay with an offset, which has second derivatives."""
    return phi[:, :1] * np.exp(-phi[:, 1:2] * X) + phi[:, 2:3]


def jacobian(phi):
    decay = np.exp(-phi[:, 1:2] * X)
    return np.stack([decay, -phi[:, :1] * X * decay, np.ones_like(decay)], axis=-1)


def target(observed, delta, at):
    return Smooth(
        delta=delta,
        tilt=0.5,
        lower=np.full(3, -np.inf),
        upper=np.full(3, np.inf),
        floor=None,
        log_unit=0.0,
        rounding=1e-15,
        observed=observed,
        predict=predict,
        jacobian=jacobian,
        bend=second_derivatives(jacobian, at, 3),
    )


def test_second_derivatives_by_hand():
    at = np.array([2.0, 1.5, 0.3])
    found = second_derivatives(jacobian, at, 3).reshape(-1, 3, 3)
    decay = np.exp(-1.5 * X)
    exact = np.zeros((len(X), 3, 3))
    exact[:, 0, 1] = exact[:, 1, 0] = -X * decay
    exact[:, 1, 1] = 2 * X**2 * decay
    np.testing.assert_allclose(found, exact, atol=1e-9)


@pytest.mark.parametrize("delta", [np.inf, 0.02])
def test_weights_and_responses_of_a_batch_against_scipy(delta):
    rng = np.random.default_rng(0)
    truth = np.array([2.0, 1.5, 0.3])
    common = predict(truth[None])[0]
    responses = common + 0.05 * rng.standard_normal((5, len(X)))
    weights = rng.multinomial(len(X), np.full(len(X), 1 / len(X)), size=5).astype(float)
    solver = target(common, delta, truth)
    rows = Rows(weights, common - responses)
    ends = minimise(solver, np.tile(truth, (5, 1)), rows)
    gradient = solver.derivatives(ends.phi, rows)[1]
    assert (certificate(solver, ends.phi, rows, gradient)[0] < 1e-8).all()
    for y, w, phi in zip(responses, weights.astype(int), ends.phi, strict=True):
        copies = np.repeat(np.arange(len(X)), w)
        reference = least_squares(
            lambda p, y=y, copies=copies: (predict(p[None])[0] - y)[copies],
            truth,
            lambda p, copies=copies: jacobian(p[None])[0, copies],
            loss="linear" if np.isinf(delta) else "huber",
            f_scale=1.0 if np.isinf(delta) else delta,
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
        ).x
        np.testing.assert_allclose(phi, reference, rtol=1e-6)

import numpy as np
import pytest

from analysis import fit_scaling_law
from analysis.laws.stability_gap_dcpt import DCPT, falls_with_share

TRUTH = {"E": 1.2, "A": 180.0, "B": 60.0, "C": 0.3, "alpha": 0.3, "beta": 0.25, "eta": 0.1, "gamma": 0.4, "eps": 0.05}


def _runs():
    n, d, r = (
        a.ravel() for a in np.meshgrid([5e8, 1.8e9, 4e9], np.geomspace(1e9, 2e10, 6), [0.1, 0.2, 0.33, 0.5, 0.67, 0.9, 1])
    )
    return n, d, r, DCPT.predict(TRUTH, n, d, r)


def test_the_mixture_law_is_its_formula_and_comes_back_from_runs():
    n, d, r, loss = _runs()
    expected = 1.2 + 180 / n**0.3 + 60 * r**0.1 / d**0.25 + 0.3 / (r + 0.05) ** 0.4
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    fit = fit_scaling_law(params=n, tokens=d, loss=loss, law=DCPT, inputs={"share": r}, objective="l2", bootstrap=0)
    np.testing.assert_allclose(DCPT.predict(np.asarray(fit.estimate), n, d, r), loss, rtol=1e-6)
    assert fit.params["alpha"] == pytest.approx(0.3, rel=0.02)
    assert fit.params["beta"] == pytest.approx(0.25, rel=0.02)
    assert falls_with_share(fit, 1.8e9, 1e10)


def test_its_jacobian_is_that_of_differences():
    n, d, r, _ = _runs()
    theta, x = DCPT.solver(DCPT.vector(TRUTH)), np.stack([n, d, r])
    exact = DCPT.model.jacobian(theta, x)
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-6
        slope = (DCPT.model.log_loss(theta + step, x) - DCPT.model.log_loss(theta - step, x)) / 2e-6
        np.testing.assert_allclose(exact[:, k], slope, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
def test_with_noise_some_constants_are_not_identified():
    n, d, r, loss = _runs()
    noisy = loss * np.exp(0.003 * np.random.default_rng(0).standard_normal(len(loss)))
    fit = fit_scaling_law(params=n, tokens=d, loss=noisy, law=DCPT, inputs={"share": r}, objective="l2", bootstrap=100)
    assert fit.status == "not_identified"
    assert fit.unidentified

import numpy as np
import pytest
from scipy.linalg import toeplitz

from analysis.fitting.autoregressive import series_noise

N = 50
LINE = np.column_stack([np.ones(N), np.linspace(0, 1, N)])


def series(rng, r, n=N, sd=1.0):
    """A stationary series by the dense covariance, not by a recursion."""
    return sd * np.linalg.cholesky(toeplitz(r ** np.arange(n))) @ rng.standard_normal(n)


def residuals(y, design=LINE):
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def test_the_likelihood_is_that_of_dense_matrices():
    """Harville (1977): -2 log L = log|V| + log|X'V^-1 X| + (n - p) log(y'Py), with P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1."""
    noise = series_noise(residuals(series(np.random.default_rng(0), 0.6)), LINE)
    y = series(np.random.default_rng(0), 0.6)
    dense, sds = [], []
    for r in noise.r:
        V = np.linalg.inv(toeplitz(float(r) ** np.arange(N)))
        inner = LINE.T @ V @ LINE
        P = V - V @ LINE @ np.linalg.solve(inner, LINE.T @ V)
        squares = y @ P @ y
        dense.append(-0.5 * (-np.linalg.slogdet(V)[1] + np.linalg.slogdet(inner)[1] + (N - 2) * np.log(squares)))
        sds.append(np.sqrt(squares / (N - 2)))
    weights = np.exp(np.array(dense) - max(dense))
    np.testing.assert_allclose(noise.weights, weights / weights.sum(), atol=1e-9)
    np.testing.assert_allclose(noise.sd, sds, rtol=1e-8)


@pytest.mark.parametrize("r", [0.0, 0.6])
def test_the_end_of_a_line_lies_within_what_drawn_noise_says(r):
    """95 % of drawn ends, around a truth of zero; 200 series have a standard error of 1.5 points."""
    rng, inside = np.random.default_rng(1), []
    end = LINE[-1] @ np.linalg.pinv(LINE)
    for _ in range(200):
        y = series(rng, r)
        drawn = series_noise(residuals(y), LINE).draw(rng, 200) @ end
        inside.append(abs(end @ y) <= np.quantile(np.abs(drawn), 0.95))
    assert 0.92 <= np.mean(inside) <= 0.99


def test_columns_that_depend_on_each_other_count_once():
    resid = residuals(series(np.random.default_rng(2), 0.3))
    one, two = series_noise(resid, LINE), series_noise(resid, np.column_stack([LINE, LINE @ [1, 2]]))
    assert two.dof == one.dof == N - 2
    np.testing.assert_allclose(two.weights, one.weights, atol=1e-9)


def test_a_perfect_fit_has_no_noise():
    noise = series_noise(np.zeros(N), LINE)
    assert np.abs(noise.draw(np.random.default_rng(0), 5)).max() < 1e-100

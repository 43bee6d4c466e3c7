r"""Noise of a series whose neighbours are alike, with what the residuals of a fit cannot tell about it.

.. math:: \epsilon_i = r\, \epsilon_{i-1} + \sqrt{1 - r^2}\, \sigma\, z_i

A fit takes up part of a correlated noise, so its residuals look smaller and less alike than the noise was. The restricted
likelihood of r accounts for that: at each r of a grid the residuals are freed of what the fit could have taken up, and sigma
is known from what is left. Drawn from it, r and sigma are as uncertain as a short series leaves them.

References
----------
Cooper and Thompson (1977), A note on the estimation of the parameters of the autoregressive-moving average process, Biometrika
64(3); Harville (1977), Journal of the American Statistical Association 72(358), equation 5.5, of restricted likelihoods.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Vector = NDArray[np.float64]

_GRID = np.linspace(-0.5, 0.98, 75)
_RANK = 1e-6  # of the largest singular value: a direction below it is none


@dataclass(frozen=True, slots=True)
class SeriesNoise:
    """What residuals say of the noise, over a grid of correlations."""

    r: Vector
    """Correlation of neighbours, ``(n_grid,)``."""
    weights: Vector
    """Share of the restricted likelihood at each, ``(n_grid,)``, sum 1."""
    sd: Vector
    """Standard deviation of one value at each, ``(n_grid,)``."""
    dof: int
    """Values less fitted directions."""
    n: int
    """Values."""

    def draw(self, rng: np.random.Generator, n_series: int) -> Vector:
        """New noise, ``(n_series, n)``, each series with an r and a sigma of its own."""
        chosen = rng.choice(len(self.r), n_series, p=self.weights)
        sd = self.sd[chosen] * np.sqrt(self.dof / rng.chisquare(self.dof, n_series))
        series = rng.standard_normal((n_series, self.n))
        for i in np.unique(chosen):
            series[chosen == i] = _coloured(float(self.r[i]), series[chosen == i])
        return np.asarray(series * sd[:, None])


def series_noise(resid: Vector, tangent: Vector) -> SeriesNoise:
    """Estimate the noise behind the residuals of a fit.

    Parameters
    ----------
    resid : numpy.ndarray
        Observed less fitted, in the order of the series, ``(n,)``.
    tangent : numpy.ndarray
        Derivatives of the fitted values by the parameters, ``(n, n_params)``; columns may depend on each other.
    """
    left, sizes, _ = np.linalg.svd(tangent / np.maximum(np.linalg.norm(tangent, axis=0), np.finfo(float).tiny), False)
    directions = left[:, sizes > _RANK * sizes[0]]
    n, p = directions.shape
    dof = max(n - p, 1)
    log_likelihood, sd = np.empty(len(_GRID)), np.empty(len(_GRID))
    for i, r in enumerate(_GRID.tolist()):
        q, triangle = np.linalg.qr(_whitened(r, directions))
        white = _whitened(r, resid[:, None])[:, 0]
        left_over = white - q @ (q.T @ white)
        squares = max(float(left_over @ left_over), np.finfo(float).tiny)
        sd[i] = np.sqrt(squares / dof)
        log_det = (n - 1) * np.log1p(-(r**2)) + 2 * np.log(np.abs(np.diag(triangle))).sum()
        log_likelihood[i] = -0.5 * (dof * np.log(squares) + log_det)
    weights = np.exp(log_likelihood - log_likelihood.max())
    return SeriesNoise(_GRID, weights / weights.sum(), sd, dof, n)


def _whitened(r: float, columns: Vector) -> Vector:
    """Columns ``(n, k)`` whose noise has no correlation left and keeps its standard deviation."""
    return np.vstack([columns[:1], (columns[1:] - r * columns[:-1]) / np.sqrt(1 - r**2)])


def _coloured(r: float, white: Vector) -> Vector:
    """Stationary series from white noise ``(n_series, n)`` of the same standard deviation."""
    scaled = np.concatenate([white[:, :1], np.sqrt(1 - r**2) * white[:, 1:]], axis=1)
    return np.asarray(lfilter([1.0], [1.0, -r], scaled, axis=1))

"""Information criteria of least-squares fits."""

import numpy as np
from numpy.typing import NDArray


def aicc(resid: NDArray[np.float64], n_params: int, *, inflation: float = 1.0) -> float:
    """Akaike's criterion of normal residuals ``(n,)``, corrected for few runs; lower is better, infinite with too few.

    Parameters
    ----------
    resid : numpy.ndarray
        Of a least-squares fit, ``(n,)``.
    n_params : int
        Fitted parameters; their variance is one more.
    inflation : float
        Of the variance of smooth differences by noise that neighbours share; the log likelihood is divided by it (QAICc).

    References
    ----------
    Hurvich and Tsai (1989), Biometrika 76(2); Burnham and Anderson (2002), sections 2.4 and 2.5.
    """
    n, k = len(resid), n_params + 1
    if n <= k + 1:
        return float("inf")
    variance = max(float(np.mean(resid**2)), np.finfo(float).tiny)
    fit = n * (np.log(2 * np.pi * variance) + 1) / inflation
    return float(fit + 2 * k + 2 * k * (k + 1) / (n - k - 1))


def inflation(profiles: NDArray[np.float64]) -> float:
    """How much the noise that neighbours share inflates the variance of what is smooth: ``(1 + r) / (1 - r)``, 1 or more.

    Parameters
    ----------
    profiles : numpy.ndarray
        Repeats of one series, ``(n_repeats, n)``. Their differences hold noise alone, whatever the series is; ``r`` is the
        correlation of neighbours in them, each less its own mean, and corrected for that (Marriott and Pope 1954, Biometrika
        41(3)). One repeat gives 1.
    """
    if len(profiles) < 2:
        return 1.0
    apart = profiles - profiles.mean(axis=0)
    apart = apart - apart.mean(axis=1, keepdims=True)
    size, n = float((apart**2).sum()), profiles.shape[1]
    if size <= np.finfo(float).eps * float((profiles**2).sum()):
        return 1.0
    r = float((apart[:, 1:] * apart[:, :-1]).sum()) / size * n / (n - 1)
    r = min(r + (1 + 3 * r) / n, 0.9)
    return float(max((1 + r) / (1 - r), 1.0))

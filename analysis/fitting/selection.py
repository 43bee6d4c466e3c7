"""Information criteria of least-squares fits."""

import numpy as np
from numpy.typing import NDArray


def aicc(resid: NDArray[np.float64], n_params: int) -> float:
    """Akaike's criterion of normal residuals ``(n,)``, corrected for few runs; lower is better, infinite with too few.

    Parameters
    ----------
    resid : numpy.ndarray
        Of a least-squares fit, ``(n,)``.
    n_params : int
        Fitted parameters; their variance is one more.

    References
    ----------
    Hurvich and Tsai (1989), Biometrika 76(2); Burnham and Anderson (2002), section 2.4.
    """
    n, k = len(resid), n_params + 1
    if n <= k + 1:
        return float("inf")
    variance = max(float(np.mean(resid**2)), np.finfo(float).tiny)
    return float(n * (np.log(2 * np.pi * variance) + 1) + 2 * k + 2 * k * (k + 1) / (n - k - 1))

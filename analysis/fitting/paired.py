"""Means of settings that share their seeds: the seed's own effect is taken out before noise is measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairedMeans:
    """Fit of ``y = mean[setting] + effect[seed] + noise``."""

    means: Vector
    """One a setting, at the average seed, ``(n_settings,)``."""
    counts: Vector
    """Seeds behind each mean, ``(n_settings,)``."""
    sigma: float | None
    """Standard deviation of the noise of one value, pooled over all; None where nothing is repeated."""
    dof: int
    """Degrees of freedom of ``sigma``."""


def paired_means(values: Vector) -> PairedMeans:
    """Average over seeds, with noise pooled over all settings.

    Parameters
    ----------
    values : numpy.ndarray
        ``(n_seeds, n_settings)``, NaN where a run is missing; no setting without a value.

    Notes
    -----
    On a full table the means are plain averages. Where runs are missing, the seed effects keep a setting that lost a bad seed
    from looking better than it is.
    """
    n_seeds, n_settings = values.shape
    seed, setting = np.nonzero(np.isfinite(values))
    y = values[seed, setting]
    design = np.zeros((len(y), n_settings + n_seeds))
    design[np.arange(len(y)), setting] = 1
    design[np.arange(len(y)), n_settings + seed] = 1
    # the effects sum to zero, else a constant could move between means and effects
    constraint = np.concatenate([np.zeros(n_settings), np.ones(n_seeds)])[None]
    full = np.vstack([design, constraint])
    theta = np.linalg.lstsq(full, np.append(y, 0.0), rcond=None)[0]
    residual = y - design @ theta
    dof = len(y) + 1 - int(np.linalg.matrix_rank(full))
    sigma = float(np.sqrt(residual @ residual / dof)) if dof > 0 else None
    return PairedMeans(theta[:n_settings], np.bincount(setting, minlength=n_settings).astype(float), sigma, dof)

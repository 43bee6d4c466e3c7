"""Cluster bootstrap: runs that share a cause of error are drawn together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Draws:
    """Refits of the resamples that converged, and how many did not."""

    estimates: NDArray[np.float64]
    """``(n_converged, n_params)``."""
    not_converged: int


def cluster_bootstrap(
    refit: Callable[[Rows], NDArray[np.float64] | None],
    groups: NDArray[np.intp],
    *,
    resamples: int,
    rng: np.random.Generator,
) -> Draws:
    """Draw whole clusters with replacement and refit each time.

    Parameters
    ----------
    refit : callable
        Maps row indices (with repeats) to parameters ``(n_params,)``, or to None when the refit did not converge.
    groups : numpy.ndarray
        Cluster of each row, ``(n_rows,)``, as whole numbers from 0. One row a cluster is the ordinary case bootstrap.
    resamples : int
        How many times to draw.
    rng : numpy.random.Generator
        Source of all randomness.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    n_clusters = int(groups.max()) + 1
    members = [np.flatnonzero(groups == cluster) for cluster in range(n_clusters)]
    fits = []
    for _ in range(resamples):
        # sorted, so that a sum over rows rounds the same for the same resample
        drawn = np.sort(rng.integers(n_clusters, size=n_clusters))
        fits.append(refit(np.concatenate([members[cluster] for cluster in drawn])))
    values = [fit for fit in fits if fit is not None]
    return Draws(np.asarray(values, dtype=float), resamples - len(values))

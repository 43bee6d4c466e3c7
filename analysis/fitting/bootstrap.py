"""Resampling as weights: a resample is a row of weights on the same runs, so thousands are solved at once.

===========  ===============================================================  ==========================================
``case``     multinomial counts of the rows                                   Efron and Tibshirani 1993, section 9.5
``cluster``  multinomial counts of groups of rows that share a cause of error Davison and Hinkley 1997, section 3.8
``bayes``    Dirichlet weights of the groups; no row is ever lost             Rubin 1981, Annals of Statistics 9(1)
``wild``     new losses, not weights: residuals change sign and size together Webb 2023, Canadian J. of Economics 56(3)
             within a group; the design stays, as a grid that was chosen does
===========  ===============================================================  ==========================================
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError

Vector = NDArray[np.float64]
Kind = Literal["case", "cluster", "wild", "bayes"]

FEW_CLUSTERS = 20
_WEBB = np.sqrt([0.5, 1.0, 1.5])


def choose(kind: str, clusters: NDArray[np.intp]) -> Kind:
    """Return the kind of bootstrap, chosen by the groups of the data where ``auto`` is given.

    Parameters
    ----------
    kind : str
        ``auto``, ``case``, ``cluster``, ``wild`` or ``bayes``.
    clusters : numpy.ndarray
        Group of each row, ``(n,)``, as whole numbers from 0.

    Notes
    -----
    ``auto``: ``case`` where each row is its own group, else ``cluster``. Never ``wild``, which keeps the design but covered
    less in simulation (docs/log.md).
    """
    if kind in get_args(Kind):
        return kind  # type: ignore[return-value]  # checked by the line above
    if kind != "auto":
        raise InputError(f"bootstrap: {kind!r} was given (allowed: auto, {', '.join(get_args(Kind))})")
    return "case" if int(clusters.max()) + 1 == len(clusters) else "cluster"


def weights(kind: Kind, clusters: NDArray[np.intp], *, resamples: int, rng: np.random.Generator) -> Vector:
    """Draw weights with mean one, ``(resamples, n)``.

    Parameters
    ----------
    kind : str
        ``case``, ``cluster`` or ``bayes``.
    clusters : numpy.ndarray
        Group of each row, ``(n,)``, as whole numbers from 0.
    resamples : int
        How many times to draw.
    rng : numpy.random.Generator
        Source of all randomness.
    """
    labels = np.arange(len(clusters)) if kind == "case" else clusters
    groups = int(labels.max()) + 1
    if kind == "bayes":
        drawn = rng.dirichlet(np.ones(groups), size=resamples) * groups
    else:
        drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)
    return np.asarray(drawn[:, labels])


def wild_signs(clusters: NDArray[np.intp], *, resamples: int, rng: np.random.Generator) -> Vector:
    """Draw Webb's six-point multipliers, one a group, with mean zero and variance one: ``(resamples, n)``."""
    groups = int(clusters.max()) + 1
    points = np.concatenate([-_WEBB, _WEBB])
    return np.asarray(points[rng.integers(6, size=(resamples, groups))][:, clusters])

"""Hold-out in the order of scale: fit what is small, predict what is larger, and learn how wrong predictions become.

A bootstrap band says how well the runs at hand fix the curve, not how well the curve holds beyond them: on the runs of
Hoffmann et al., 95 % bands of fits below 1e20 FLOP hold 30 % of the larger runs. The errors of such hold-outs, as a function
of how far they reach, do say that, and make the calibrated band.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MIN_ERRORS = 20  # of held-out runs that a calibrated band needs
_MIN_ORIGIN = 5  # held-out runs of one origin: with fewer, their quantile is noise
_REACH = 2.0  # a band reaches this much further, in log distance, than the hold-outs did: further, it is refused
_CUTS = 12
_NEAR = (10, 1 / 8)  # runs that the local spread is taken from: this many, or this share of all


@dataclass(frozen=True, slots=True)
class Calibration:
    """Growth of errors of ln L: ``spread * (base + slope d)`` at d e-folds beyond the fitted runs."""

    base: float
    slope: float
    reach: float
    """Largest distance that is supported, e-folds."""
    scores: tuple[tuple[float, ...], ...]
    """Absolute errors over their scale, sorted, one row an origin."""

    def half_width(self, distance: Vector, spread: Vector, level: float) -> Vector:
        """Half width of a band of ln L, ``(n,)``; NaN where nothing supports one."""
        if sum(map(len, self.scores)) < MIN_ERRORS:
            return np.full(len(distance), np.nan)
        worst = max(row[min(int(np.ceil((len(row) + 1) * level)), len(row)) - 1] for row in self.scores)
        beyond = np.maximum(distance, 0.0)
        return np.where(beyond <= self.reach, worst * spread * (self.base + self.slope * beyond), np.nan)


def cuts(scale: Vector, *, min_train: int) -> list[NDArray[np.bool_]]:
    """Rows to train on, for origins that roll from small to large: ``min_train`` or more of the smallest ``(n,)`` each."""
    order = np.sort(scale)
    found: dict[int, NDArray[np.bool_]] = {}
    for position in np.unique(np.linspace(min_train, len(scale) - 1, _CUTS).astype(int)):
        # rounding must not split the runs of one budget
        train = scale < order[position] * (1 - 1e-9)
        if train.sum() >= min_train:
            found[int(train.sum())] = train
    return list(found.values())


def local_spread(at: Vector, runs: Vector, resid: Vector) -> Vector:
    """Mean absolute residual of the nearest runs, by ln of all inputs.

    Parameters
    ----------
    at, runs : numpy.ndarray
        Inputs, ``(n_inputs, n_at)`` and ``(n_inputs, n)``.
    resid : numpy.ndarray
        Residuals of ln L of the runs, ``(n,)``.

    Returns
    -------
    numpy.ndarray
        ``(n_at,)``, never zero.
    """
    apart = ((np.log(at)[:, :, None] - np.log(runs)[:, None, :]) ** 2).sum(axis=0)
    near = np.argsort(apart, axis=1)[:, : max(_NEAR[0], int(_NEAR[1] * len(resid)))]
    return np.asarray(np.maximum(np.abs(resid)[near].mean(axis=1), np.finfo(float).eps))


def calibrate(origin: Vector, distance: Vector, error: Vector, spread: Vector) -> Calibration:
    """Learn the growth of errors with distance, and their spread around it.

    Parameters
    ----------
    origin : numpy.ndarray
        Label of the fit that each error belongs to, ``(n_errors,)``.
    distance : numpy.ndarray
        ln of held-out scale over the largest that was fitted, ``(n_errors,)``.
    error : numpy.ndarray
        Of ln L, ``(n_errors,)``.
    spread : numpy.ndarray
        Residuals near each held-out run in the fit that predicted it, see :func:`local_spread`, ``(n_errors,)``.

    Notes
    -----
    Absolute errors over the local spread grow on a straight line with distance. The band is that line times a quantile of the
    errors over it, as in conformal prediction with normalised scores (Lei et al. 2018, JASA 113(523), section 5.2). Errors of
    one origin share the error of one curve, so the quantile is taken within each origin, and of these the largest: the next
    origin, which is the fit at hand, may be as bad as the worst so far. Origins overlap, so the level is not guaranteed.
    """
    labels = [label for label in np.unique(origin) if (origin == label).sum() >= _MIN_ORIGIN]
    if not labels:
        return Calibration(1.0, 0.0, 0.0, ())
    size = np.abs(error) / spread
    base, slope = np.linalg.lstsq(np.column_stack([np.ones(len(size)), distance]), size, rcond=None)[0]
    slope = max(float(slope), 0.0)
    base = max(float(np.mean(size - slope * distance)), 0.5)
    scores = size / (base + slope * distance)
    rows = tuple(tuple(np.sort(scores[origin == label]).tolist()) for label in labels)
    return Calibration(base, slope, _REACH * float(distance.max()), rows)

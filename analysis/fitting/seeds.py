"""Estimates over few seeds: means with Student's t, ratios of means by Fieller, contrasts with pooled noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from analysis.fitting.fieller import ratio_interval
from analysis.fitting.paired import PairedMeans

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where there is none."""

    value: float | None
    lower: float | None = None
    upper: float | None = None
    n: int = 0
    """Seeds behind it."""
    sd: float | None = None
    """Standard deviation over seeds, of one seed."""
    se: float | None = None
    dof: int = 0
    """Degrees of freedom of the standard error."""

    def p_above(self, bound: float) -> float | None:
        """One-sided p-value of the hypothesis that the truth is ``bound`` or less; None without a standard error."""
        if self.value is None or self.se is None:
            return None
        if self.se == 0:
            return float(self.value <= bound)
        return float(student_t.sf((self.value - bound) / self.se, self.dof))


def over_seeds(values: ArrayLike, level: float) -> Estimate:
    """Mean over seeds with its t interval.

    Parameters
    ----------
    values : array_like
        One a seed, ``(n_seeds,)``; those that are not finite are left out.
    level : float
        Of the interval.

    Returns
    -------
    Estimate
        Without an interval where there are fewer than two seeds.
    """
    y = np.asarray(values, dtype=float)
    y = y[np.isfinite(y)]
    if len(y) < 2:
        return Estimate(float(y[0]) if len(y) else None, n=len(y))
    sd = float(y.std(ddof=1))
    return _normal(float(y.mean()), sd / len(y) ** 0.5, len(y) - 1, level, n=len(y), sd=sd)


def ratio_over_seeds(numerators: ArrayLike, denominators: ArrayLike, level: float) -> Estimate:
    """Ratio of two means over the same seeds, with Fieller's interval.

    Parameters
    ----------
    numerators, denominators : array_like
        One a seed, ``(n_seeds,)``.
    level : float
        Of the interval.

    Returns
    -------
    Estimate
        Without a value where the denominator is zero or less; without an interval where it is not significantly above zero,
        or there are fewer than two seeds.
    """
    a, b = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if not len(a) or b.mean() <= 0:
        return Estimate(None, n=len(a))
    value = float(a.mean() / b.mean())
    if len(a) < 2:
        return Estimate(value, n=len(a))
    # of one seed, to first order: (a - value b) / mean b
    sd = float(np.std((a - value * b) / b.mean(), ddof=1))
    quantile = float(student_t.ppf((1 + level) / 2, len(a) - 1))
    ends = ratio_interval(float(a.mean()), float(b.mean()), np.cov(a, b) / len(a), quantile=quantile)
    lower, upper = ends or (None, None)
    return Estimate(value, lower, upper, len(a), sd)


def contrast(paired: PairedMeans, weights: ArrayLike, level: float) -> Estimate:
    """Weighted sum of means that share their seeds, with the noise pooled over all of them.

    Parameters
    ----------
    paired : PairedMeans
        Means of the settings.
    weights : array_like
        One a setting, ``(n_settings,)``; with a sum of zero, the seeds' own effects cancel.
    level : float
        Of the interval.

    Returns
    -------
    Estimate
        Its ``sd`` is the noise of one run; without an interval where no seed is repeated.
    """
    w = np.asarray(weights, dtype=float)
    value, n = float(w @ paired.means), int(paired.counts[w != 0].min())
    if paired.sigma is None:
        return Estimate(value, n=n)
    se = paired.sigma * float(np.sqrt(np.sum(w**2 / paired.counts)))
    return _normal(value, se, paired.dof, level, n=n, sd=paired.sigma)


def _normal(value: float, se: float, dof: int, level: float, *, n: int, sd: float) -> Estimate:
    half = float(student_t.ppf((1 + level) / 2, dof)) * se
    return Estimate(value, value - half, value + half, n, sd, se, dof)


def slopes(x: ArrayLike, y: ArrayLike) -> Vector:
    """Slopes of least-squares lines of ``y`` ``(..., n)`` on ``x`` ``(n,)``."""
    at = np.asarray(x, dtype=float)
    centred = at - at.mean()
    return np.asarray(np.asarray(y, dtype=float) @ centred / (centred @ centred))


def line(x: Vector, y: Vector, level: float) -> Estimate:
    """Slope of y ``(n_seeds, n)`` on x ``(n,)``: with the interval over seeds, or of one line from its own scatter."""
    if len(y) > 1 or len(x) < 3:
        return over_seeds(slopes(x, y), level)
    slope, centred = float(slopes(x, y)[0]), x - x.mean()
    resid = y[0] - y[0].mean() - slope * centred
    se = float(np.sqrt(resid @ resid / (len(x) - 2) / (centred @ centred)))
    half = float(student_t.ppf((1 + level) / 2, len(x) - 2)) * se
    return Estimate(slope, slope - half, slope + half, 1)

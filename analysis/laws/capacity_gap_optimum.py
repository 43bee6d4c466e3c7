r"""Where a student's loss is lowest along ln(teacher): five estimators that read the same means.

===================  =========================================================================================================
``local_cubic``      cubic through the points within two octaves of the lowest mean, five or more; the window shrinks to 1.5
                     and to one octave while the runs' own noise rejects the cubic. Where all are rejected, or there are
                     fewer than five teachers, the lowest teacher, bracketed by its neighbours. The fit's own estimate,
                     whose resamples choose windows of their own
``local_quadratic``  parabola through the points within one octave, five where there are five; vertex clipped to the window
``grid_argmin``      the teacher with the lowest mean
``two_exponential``  :math:`a + p e^{-A x} + q e^{B x}` through all points, six or more
``teacher_loss``     the local cubic over the logarithm of the teacher's loss, read back as a size by interpolation
===================  =========================================================================================================

The curves of Busbridge et al. (2025, arXiv:2502.08606) fall steeply and rise slowly. A parabola puts their minimum 7 to 12 %
too high on a grid of half octaves and by a third on one of octaves; a cubic follows the slant. See docs/laws/capacity_gap.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.stats import f as f_distribution

from analysis.fitting.minimum import Minima, local_minima, window
from analysis.fitting.paired import PairedMeans

Vector = NDArray[np.float64]
Method = Callable[[Vector], Minima]
OCTAVE = float(np.log(2))
WINDOWS = (2 * OCTAVE, 1.5 * OCTAVE, OCTAVE)
"""Half widths of the local cubic, from the steadiest to the least biased."""
_CUBIC = 4  # coefficients
_MIN_TWO_EXPONENTIAL = 6
_RATES = np.geomspace(0.1, 8.0, 20)  # of the two exponentials, per unit of ln N
MIN_INTERIOR = 0.9
"""Share of resamples that must have an optimum inside the grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One estimator's best teacher, parameters; None is no answer, and ``reason`` says why."""

    name: str
    optimum: float | None
    lower: float | None
    upper: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Located:
    """Best teacher of the means and of each resample, in ln(parameters)."""

    half_width: float | None
    """Of the cubic; None where the lowest teacher stands for itself."""
    position: float
    draws: Minima | None
    lower: float
    upper: float
    inside: bool
    """The interval does not reach beyond the grid."""


def local_cubic(x: Vector, curves: Vector, *, half_width: float, counts: Vector | None = None) -> Minima:
    """Minimum of a cubic through the points around each curve's lowest one.

    Parameters
    ----------
    x : numpy.ndarray
        Rising grid, ``(n_points,)``, five points or more.
    curves : numpy.ndarray
        Values, ``(n_curves, n_points)``.
    half_width : float
        Of the window, in the unit of x.
    counts : numpy.ndarray, optional
        Weight of each point, ``(n_points,)``.

    Returns
    -------
    Minima
        A curve without a minimum inside its window keeps its lowest point and is not ``interior``.
    """
    lowest = curves.argmin(axis=1)
    position, interior = x[lowest].copy(), np.zeros(len(curves), dtype=bool)
    for centre in np.unique(lowest):
        which = lowest == centre
        inside = window(x, int(centre), half_width=half_width)
        _, c1, c2, c3 = _cubic(x, curves[which], int(centre), inside, counts)
        with np.errstate(all="ignore"):  # a cubic without a turning point has a negative root here
            # the turning point where the curve bends upwards, in the form that also serves a parabola (c3 = 0)
            vertex = -c1 / (c2 + np.sqrt(c2**2 - 3 * c1 * c3))
            found = (vertex > x[inside[0]] - x[centre]) & (vertex < x[inside[-1]] - x[centre])
        position[which] += np.where(found, vertex, 0.0)
        interior[which] = found & (0 < centre < len(x) - 1)
    return Minima(position, interior, lowest)


def _cubic(x: Vector, curves: Vector, centre: int, inside: NDArray[np.intp], counts: Vector | None) -> Vector:
    """Coefficients in ``x - x[centre]``, ``(4, n_curves)``."""
    root = np.ones(len(inside)) if counts is None else np.sqrt(counts[inside])
    design = np.vander(x[inside] - x[centre], _CUBIC, increasing=True)
    return np.asarray(np.linalg.lstsq(root[:, None] * design, root[:, None] * curves[:, inside].T, rcond=None)[0])


def cubic_curve(x: Vector, means: Vector, half_width: float, counts: Vector) -> Vector:
    """Coefficients ``c0 .. c3`` of the cubic in ``x - x[lowest]``, ``(4,)``."""
    centre = int(means.argmin())
    return _cubic(x, means[None], centre, window(x, centre, half_width=half_width), counts)[:, 0]


def choose_window(x: Vector, paired: PairedMeans, *, alpha: float) -> float | None:
    """Widest half width at which the runs' noise does not reject the cubic (F test of lack of fit); None if there is none."""
    if paired.sigma is None or len(x) <= _CUBIC:
        return None
    width = float(_choose_windows(x, paired.means[None], paired, alpha)[0])
    return None if np.isnan(width) else width


def _choose_windows(x: Vector, curves: Vector, paired: PairedMeans, alpha: float) -> Vector:
    """Half width of each curve ``(n_curves, n_points)``, with the noise of the means; NaN where it rejects every cubic."""
    widths, lowest = np.full(len(curves), np.nan), curves.argmin(axis=1)
    for half_width, centre in product(WINDOWS, np.unique(lowest).tolist()):
        which = np.flatnonzero((lowest == centre) & np.isnan(widths))
        inside = window(x, centre, half_width=half_width)
        spare, counts = len(inside) - _CUBIC, paired.counts[inside]
        cubics = _cubic(x, curves[which], centre, inside, paired.counts)
        fitted = (np.vander(x[inside] - x[centre], _CUBIC, increasing=True) @ cubics).T
        misfit = np.sum(counts * (curves[which][:, inside] - fitted) ** 2, axis=1) / spare
        widths[which[misfit <= float(paired.sigma or 0.0) ** 2 * f_distribution.isf(alpha, spare, paired.dof)]] = half_width
    return widths


def _own_windows(x: Vector, curves: Vector, paired: PairedMeans, alpha: float) -> Minima:
    """Minimum of each curve by the local cubic with a window of its own, the narrowest where every cubic is rejected."""
    widths = np.nan_to_num(_choose_windows(x, curves, paired, alpha), nan=WINDOWS[-1])
    position, interior = np.empty(len(curves)), np.empty(len(curves), dtype=bool)
    for half_width in np.unique(widths).tolist():
        which = widths == half_width
        some = local_cubic(x, curves[which], half_width=half_width, counts=paired.counts)
        position[which], interior[which] = some.position, some.interior
    return Minima(position, interior, curves.argmin(axis=1))


def lowest_points(x: Vector, curves: Vector) -> Minima:
    """Take the lowest point of each curve for its minimum."""
    lowest = curves.argmin(axis=1)
    return Minima(x[lowest], (lowest > 0) & (lowest < len(x) - 1), lowest)


def two_exponentials(x: Vector, curves: Vector) -> Minima:
    """Minimum of ``a + p exp(-A x) + q exp(B x)``, its sizes by least squares at each pair of rates on a grid."""
    u = x - x.mean()
    A, B = (rate.ravel()[:, None] for rate in np.meshgrid(_RATES, _RATES))
    q, r = np.linalg.qr(np.stack([np.ones((len(A), len(u))), np.exp(-A * u), np.exp(B * u)], axis=-1))
    # of the fitted curve, in two orthonormal directions beside the constant one: (n_rates, n_curves, 2)
    share = curves @ q[..., 1:]
    down, up = np.moveaxis(np.linalg.solve(r[:, None, 1:, 1:], share[..., None])[..., 0], -1, 0)
    explained = np.where((down > 0) & (up > 0), np.sum(share**2, axis=-1), -np.inf)
    best, each = explained.argmax(axis=0), np.arange(len(curves))
    lowest, found = curves.argmin(axis=1), np.isfinite(explained.max(axis=0))
    A, B, down, up = A[best, 0], B[best, 0], down[best, each], up[best, each]
    with np.errstate(invalid="ignore", divide="ignore"):  # where no pair of rates gives a U
        position = np.where(found, x.mean() + np.log(down * A / (up * B)) / (A + B), x[lowest])
    return Minima(position, found & (position > x[0]) & (position < x[-1]), lowest)


def bracket(x: Vector, lowest: NDArray[np.intp], *, level: float) -> tuple[float, float]:
    """Neighbours of the percentiles of the lowest points of resamples ``(resamples,)``, whole numbers."""
    low, high = np.quantile(lowest, [(1 - level) / 2, (1 + level) / 2], method="nearest").tolist()
    return float(x[max(low - 1, 0)]), float(x[min(high + 1, len(x) - 1)])


def locate(x: Vector, paired: PairedMeans, noisy: Vector | None, *, level: float) -> Located:
    """Find the best teacher by the local cubic, or bracket it.

    Parameters
    ----------
    x : numpy.ndarray
        ln(teacher), rising, ``(n_teachers,)``.
    paired : PairedMeans
        Mean loss of each teacher and the noise of one run.
    noisy : numpy.ndarray, optional
        The means with noise of their own size added, ``(resamples, n_teachers)``.
    level : float
        Of the percentile interval. The cubic is rejected at ``1 - level``.

    Notes
    -----
    Each resample chooses its window anew, since the window is chosen by the same runs (Efron 2014, Journal of the American
    Statistical Association 109(507)). Of a curve that falls and then rises, the true minimum lies between the neighbours of
    the grid's lowest point; a bracket ends at the neighbours of the percentiles.
    """
    half_width = choose_window(x, paired, alpha=1 - level)
    if half_width is None:
        lowest = np.array([paired.means.argmin()])
        draws = None if noisy is None else lowest_points(x, noisy)
        lower, upper = bracket(x, lowest if draws is None else draws.lowest, level=level)
        tail = (1 - level) / 2
        inside = draws is not None and max(np.mean(draws.lowest == 0), np.mean(draws.lowest == len(x) - 1)) < tail
        return Located(None, float(x[lowest[0]]), draws, lower, upper, bool(inside))
    position = float(local_cubic(x, paired.means[None], half_width=half_width, counts=paired.counts).position[0])
    if noisy is None:
        return Located(half_width, position, None, position, position, False)
    draws = _own_windows(x, noisy, paired, 1 - level)
    lower, upper = np.quantile(draws.position, [(1 - level) / 2, (1 + level) / 2])
    return Located(half_width, position, draws, float(lower), float(upper), bool(x[0] < lower < upper < x[-1]))


def estimates(
    x: Vector, paired: PairedMeans, noisy: Vector | None, teacher_loss: Vector, found: Located, *, level: float
) -> tuple[Estimate, ...]:
    """Put all estimators side by side; none is chosen by its answer.

    Parameters
    ----------
    x, paired, noisy, level
        As in :func:`locate`.
    teacher_loss : numpy.ndarray
        nats/token, ``(n_teachers,)``.
    found : Located
        The local cubic's answer.
    """
    others: tuple[tuple[str, Method, int], ...] = (
        ("local_quadratic", lambda y: local_minima(x, y, half_width=OCTAVE), 3),
        ("grid_argmin", lambda y: lowest_points(x, y), 3),
        ("two_exponential", lambda y: two_exponentials(x, y), _MIN_TWO_EXPONENTIAL),
    )
    rows = [_estimate("local_cubic", found.position, found.draws, (found.lower, found.upper))]
    for name, method, least in others:
        if len(x) < least:
            rows.append(_none(name, f"{len(x)} teachers, {least} are needed"))
        elif name == "grid_argmin" and noisy is not None:
            draws = lowest_points(x, noisy)
            ends = bracket(x, draws.lowest, level=level)
            rows.append(_estimate(name, float(x[paired.means.argmin()]), draws, ends))
        else:
            rows.append(_by(name, method, paired, noisy, level))
    return (*rows, _in_teacher_loss(x, paired, noisy, teacher_loss, found.half_width, level))


def _in_teacher_loss(
    x: Vector, paired: PairedMeans, noisy: Vector | None, teacher_loss: Vector, half_width: float | None, level: float
) -> Estimate:
    """Local cubic over -ln(teacher loss), stretched so that its range is that of ln(teacher)."""
    name = "teacher_loss"
    if half_width is None:
        return _none(name, "no cubic fits the runs within their noise")
    quality = -np.log(teacher_loss)
    if not (np.diff(quality) > 0).all():
        return _none(name, "a larger teacher is not a better one somewhere, so no size belongs to a loss")
    z = (quality - quality[0]) * (x[-1] - x[0]) / (quality[-1] - quality[0])
    size = PchipInterpolator(z, x)

    def method(curves: Vector) -> Minima:
        ends = local_cubic(z, curves, half_width=half_width, counts=paired.counts)
        return Minima(np.asarray(size(ends.position)), ends.interior, ends.lowest)

    return _by(name, method, paired, noisy, level)


def _by(name: str, method: Method, paired: PairedMeans, noisy: Vector | None, level: float) -> Estimate:
    position = float(method(paired.means[None]).position[0])
    if noisy is None:
        return _estimate(name, position, None, (position, position))
    draws = method(noisy)
    lower, upper = np.quantile(draws.position, [(1 - level) / 2, (1 + level) / 2])
    return _estimate(name, position, draws, (float(lower), float(upper)))


def _estimate(name: str, position: float, draws: Minima | None, ends: tuple[float, float]) -> Estimate:
    if draws is None:
        return _none(name, "no repeated seed or no resamples, so no interval")
    share = float(draws.interior.mean())
    if share < MIN_INTERIOR:
        return _none(name, f"{share:.0%} of resamples have an optimum inside the grid, {MIN_INTERIOR:.0%} are needed")
    optimum, lower, upper = (float(np.exp(value)) for value in (position, *ends))
    return Estimate(name=name, optimum=optimum, lower=lower, upper=upper, reason="")


def _none(name: str, reason: str) -> Estimate:
    return Estimate(name=name, optimum=None, lower=None, upper=None, reason=reason)

"""One fitted curve: the form that the evaluations support, and replicates of it from which every interval follows.

=============  ======================================================================================  ==================
replicates     how                                                                                     error over
=============  ======================================================================================  ==================
``jackknife``  all seeds but one, Student's t with one degree fewer than seeds (Tukey 1958; Efron and  seeds, with their
               Tibshirani 1993, chapter 11); seeds leave all arms at once, so arms are paired          evaluations
``bootstrap``  seeds drawn with replacement, the same ones in all arms                                 the same
``noise``      the fitted curve with new autoregressive noise, whose size and correlation are drawn    evaluations alone
               from what the residuals of the mean curve say of them (parametric bootstrap)
=============  ======================================================================================  ==================

``auto`` is the jackknife from three seeds on. With three seeds a bootstrap has ten different resamples. New noise knows
nothing of what another seed would give.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_smoothing_spline
from scipy.stats import t as student_t

from analysis.fitting.autoregressive import series_noise
from analysis.fitting.seeds import Estimate
from analysis.fitting.selection import aicc
from analysis.fitting.separable import Curves, SeparableForm, fit_curves
from analysis.laws.stability_gap_forms import DIPS, DOMAIN, NULLS
from analysis.laws.stability_gap_log import Curve
from curselab.errors import InputError

Vector = NDArray[np.float64]
Replicates = Literal["jackknife", "bootstrap", "noise"]
Shape = Literal["auto", "form", "smooth"]
SMOOTH = "smooth"
MIN_SEEDS = 3
# correlation of neighbouring residuals above which a form does not fit: white noise on 50 evaluations is below 0.3
_MISFIT = 0.65
# where replicates are noise, it must come from the residuals alone, and neighbours whose noise is correlated by 0.6 reach 0.8
_MISFIT_OF_NOISE = 0.85
_FINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCurve:
    """A curve on a fine grid of times, with its replicates."""

    curve: Curve
    form: str
    criteria: dict[str, float]
    """AICc by form, lower is better."""
    times: Vector
    """Tokens, rising from 0, ``(n_times,)``."""
    fitted: Vector
    """``(n_times,)``."""
    replicates: Vector
    """``(n_replicates, n_times)``."""
    kind: Replicates
    dof: int
    residual_sd: float
    """Of one evaluation of the mean curve."""
    correlation: float
    """Of neighbouring residuals."""

    @property
    def misfit(self) -> bool:
        """No form fits: neighbouring residuals are off together."""
        return self.correlation > _bound(self.kind)

    @property
    def dips(self) -> bool:
        """The lowest point lies inside, and a form that can dip beats all monotone ones, or no form fits at all."""
        inside = 0 < int(self.fitted.argmin()) < len(self.times) - 1
        return inside and (self.margin > 0 or self.misfit)

    @property
    def early(self) -> float:
        """Share of the evaluations that lie before the lowest point."""
        return float(np.mean(self.curve.tokens < self.times[self.fitted.argmin()]))

    @property
    def margin(self) -> float:
        """AICc of the best monotone form less that of the best other one: above zero speaks for a dip."""
        names = {form.name for form in NULLS}
        others = [value for name, value in self.criteria.items() if name not in names]
        return min(self.criteria[name] for name in names) - min(others, default=np.inf)


def fine_times(curve: Curve) -> Vector:
    """Tokens from 0 to the budget, fine on the linear and on the logarithmic scale, ``(n_times,)``."""
    first = curve.tokens[1] / curve.budget
    shares = np.concatenate([np.linspace(0, 1, _FINE + 1), np.geomspace(first / 4, 1, _FINE)])
    return np.unique(shares) * curve.budget


def fit_curve(
    curve: Curve,
    forms: Sequence[SeparableForm] = (*NULLS, *DIPS),
    *,
    domain: Vector | None = None,
    offset: float = 0.0,
    shape: Shape = "auto",
    kind: str = "auto",
    resamples: int = 500,
    seed: int | Sequence[int] = 0,
) -> FittedCurve:
    """Choose the form of the mean over seeds by AICc and refit it to every replicate.

    Parameters
    ----------
    curve : Curve
        What was measured.
    forms : sequence of SeparableForm
        Candidates; the monotone ones are among them.
    domain : numpy.ndarray, optional
        The domain's metric at the same evaluations, ``(n,)``, for F3.
    offset : float
        Chance level, which F3 takes off.
    shape : str
        ``form``: the chosen one; ``smooth``: a cubic smoothing spline of ln t, where the forms only judge whether there is a
        dip; ``auto``: the form, unless its residuals follow one another so closely that it does not fit.
    kind : str
        Of the replicates: ``auto``, ``jackknife``, ``bootstrap`` or ``noise``.
    resamples : int
        Of a bootstrap.
    seed : int or sequence of int
        Of the bootstrap; arms that share it draw the same seeds.
    """
    times, mean = fine_times(curve), curve.values.mean(axis=0)
    x, fine = _inputs(curve, None, domain), _inputs(curve, times / curve.budget, domain)
    weights = curve.repeats
    fits = {form.name: (form, fit_curves(form, x, mean[None] - offset, weights)) for form in forms}
    criteria = {name: aicc(fit.resid[0], form.n_params) for name, (form, fit) in fits.items()}
    chosen, best = fits[min(criteria, key=lambda name: criteria[name])]
    how = _kind(kind, len(curve.seeds))
    rng = np.random.default_rng(seed)
    rows = _noisy(curve, best, x, resamples, rng) + offset if how == "noise" else _drawn(curve, mean, how, resamples, rng)
    resid = best.resid[0]
    r = correlation(resid, chosen.n_params)
    smooth, both = shape == "smooth" or (shape == "auto" and r > _bound(how)), np.vstack([mean[None], rows])
    fitted = _smooth(curve, both, times) if smooth else fit_curves(chosen, x, both - offset, weights).at(fine) + offset
    dof = max(len(mean) - chosen.n_params, 1)
    return FittedCurve(
        curve=curve,
        form=SMOOTH if smooth else chosen.name,
        criteria=criteria,
        times=times,
        fitted=fitted[0],
        replicates=fitted[1:],
        kind=how,
        dof=dof if how == "noise" else len(curve.seeds) - 1,
        residual_sd=float(np.sqrt((resid**2).sum() / dof)),
        correlation=r,
    )


def estimate(full: float, replicates: Vector, fit: FittedCurve, level: float) -> Estimate:
    """Interval of a number from its replicates, centred on the value less its bias; none where a replicate is not finite."""
    values, n = np.asarray(replicates, dtype=float), len(fit.curve.seeds)
    if not np.isfinite(full):
        return Estimate(None, n=n)
    if not np.isfinite(values).all():
        return Estimate(float(full), n=n)
    centre, se = spread(full, values, fit)
    half = float(student_t.ppf((1 + level) / 2, fit.dof) * se)
    return Estimate(float(full), float(centre) - half, float(centre) + half, n, None, float(se), fit.dof)


def spread(full: Vector | float, replicates: Vector, fit: FittedCurve) -> tuple[Vector, Vector]:
    """Value less its bias, and its standard error, from replicates along the first axis."""
    if fit.kind == "jackknife":
        pseudo = pseudo_values(full, replicates)
        return pseudo.mean(axis=0), pseudo.std(axis=0, ddof=1) / np.sqrt(len(pseudo))
    few = np.sqrt((fit.dof + 1) / fit.dof) if fit.kind == "bootstrap" else 1.0
    return 2 * np.asarray(full) - replicates.mean(axis=0), few * replicates.std(axis=0, ddof=1)


def pseudo_values(full: Vector | float, replicates: Vector) -> Vector:
    """One value a seed, from the jackknife's replicates, whose mean is the value less its bias."""
    n = len(replicates)
    return np.asarray(n * np.asarray(full) - (n - 1) * replicates)


def _bound(kind: Replicates) -> float:
    return _MISFIT_OF_NOISE if kind == "noise" else _MISFIT


def _smooth(curve: Curve, rows: Vector, times: Vector) -> Vector:
    """Smoothing splines of ``ln(1 + t / first)``, each as smooth as generalised cross-validation finds best."""
    first = curve.tokens[1]
    at, fine, weights = np.log1p(curve.tokens / first), np.log1p(times / first), curve.repeats
    return np.array([make_smoothing_spline(at, row, w=weights)(fine) for row in rows])


def _inputs(curve: Curve, shares: Vector | None, domain: Vector | None) -> Vector:
    at = curve.tokens / curve.budget if shares is None else shares
    rows = np.zeros((DOMAIN + 1, len(at)))
    rows[0] = at
    rows[1], rows[2] = curve.areas(shares)
    if domain is not None:
        rows[DOMAIN] = np.interp(at * curve.budget, curve.tokens, domain)
    return rows


def _kind(kind: str, n_seeds: int) -> Replicates:
    if kind == "auto":
        return "jackknife" if n_seeds >= MIN_SEEDS else "noise"
    if kind not in get_args(Replicates):
        raise InputError(f"intervals: {kind!r} was given (allowed: auto, {', '.join(get_args(Replicates))})")
    if kind != "noise" and n_seeds < 2:
        raise InputError(f"intervals: {kind} was given with one seed, two or more are needed, or noise")
    return kind  # type: ignore[return-value]  # checked by the lines above


def _drawn(curve: Curve, mean: Vector, kind: Replicates, resamples: int, rng: np.random.Generator) -> Vector:
    """Means over all seeds but one, or over seeds drawn with replacement, ``(n_replicates, n)``."""
    n_seeds = len(curve.values)
    if kind == "jackknife":
        return np.asarray((n_seeds * mean - curve.values) / (n_seeds - 1))
    return np.asarray(curve.values[rng.integers(n_seeds, size=(resamples, n_seeds))].mean(axis=1))


def _noisy(curve: Curve, fit: Curves, x: Vector, resamples: int, rng: np.random.Generator) -> Vector:
    """The fitted curve with new noise, ``(resamples, n)``."""
    root = np.sqrt(curve.repeats / curve.repeats.mean())
    noise = series_noise(fit.resid[0], fit.tangent(x)[0] * root[:, None])
    return np.asarray(fit.at(x)[0] + noise.draw(rng, resamples) / root)


def correlation(resid: Vector, n_params: int) -> float:
    """Correlation of neighbouring residuals ``(n,)``, from 0 to 0.95; the fit alone makes it about ``-n_params / n``."""
    size = float(resid @ resid)
    if size <= 0:
        return 0.0
    return float(np.clip(resid[1:] @ resid[:-1] / size + n_params / len(resid), 0.0, 0.95))

r"""Monolingual curves of the loss over the tokens, at one size of model, with partial pooling over languages.

.. math:: \ln L = \ell + \ln\left(s + (1 - s)\, e^{-k (z - z_0)}\right)

==============  =======================  ======================================  =============================================
form            z                        s                                       in other words
==============  =======================  ======================================  =============================================
chinchilla      ln D                     share of the floor in the loss at z0    :math:`E + B D^{-k}`
log_power       ln log10 D               the same                                :math:`c' + a (\log_{10} D)^{-k}`, Chang
power           ln D                     0                                       :math:`B D^{-k}`
==============  =======================  ======================================  =============================================

:math:`z_0` is the middle of the measured sizes. Level, floor and exponent of a language are drawn to those of the others by
:mod:`analysis.fitting.pooled`, in place of the constant that Chang et al. (arXiv:2311.09205) fix at its median. Of the three
forms that predicts best is kept which size of data is left out. With four sizes a floor is hardly known, so what a curve says
beyond them is marked as extrapolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.pooled import Pooled, fit_pooled
from curselab.errors import InputError

Vector = NDArray[np.float64]
Form = Literal["chinchilla", "log_power", "power"]
FORMS: tuple[Form, ...] = get_args(Form)

_EXPONENT = 0.25  # of ln D: the median of 67 languages' fits to Goldfish's losses
_SCALES = {"level": 1.0, "floor": 1.5, "exponent": 0.7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Curves of several languages at one size of model; ``theta`` and ``cov`` by language, in the order of ``languages``."""

    params: float
    form: Form
    languages: tuple[str, ...]
    origin: float
    """z0."""
    theta: tuple[tuple[float, ...], ...]
    """Level, logit of the floor's share (not in ``power``), ln of the exponent."""
    cov: tuple[tuple[tuple[float, ...], ...], ...]
    sigma: float
    """Standard deviation of ln L of one run."""
    dof: int
    """Degrees of freedom of sigma; 0 where no run is repeated and it is that of the residuals."""
    measured: tuple[float, float]
    """Smallest and largest tokens."""
    held_out: tuple[tuple[str, float], ...]
    """Root mean square error of ln L at sizes of data that were left out, by form."""
    converged: bool

    def log_loss(self, log_tokens: Vector, theta: Vector | None = None) -> Vector:
        """Ln L at ln tokens ``(..., n_languages, n)``, of the estimates or of draws ``(..., n_languages, p)``."""
        z = _axis(self.form, log_tokens) - self.origin
        return _evaluate(self.form, self._theta(theta), z)[0]

    def log_tokens(self, log_loss: Vector, theta: Vector | None = None) -> Vector:
        """Ln tokens with the loss ``(..., n_languages, n)``, of the estimates or of draws; infinite below the floor."""
        level, share, k = _unpack(self.form, self._theta(theta))
        left = (np.exp(np.asarray(log_loss) - level) - share) / (1 - share)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = np.where(left > 0, self.origin - np.log(left) / k, np.inf)
            return z if self.form != "log_power" else np.asarray(np.exp(np.minimum(z, 700.0)) * np.log(10))

    def predict(self, log_tokens: Vector) -> tuple[Vector, Vector]:
        """Ln L at ln tokens ``(n_languages, n)`` and its standard error."""
        value, slope = _evaluate(self.form, self._theta(None), _axis(self.form, log_tokens) - self.origin)
        return value, np.sqrt(np.einsum("lnp,lpq,lnq->ln", slope, np.asarray(self.cov), slope))

    def draw(self, draws: int, rng: np.random.Generator) -> Vector:
        """Parameters from their posteriors, ``(draws, n_languages, p)``."""
        root = np.linalg.cholesky(np.asarray(self.cov))
        noise = rng.standard_normal((draws, len(self.languages), root.shape[-1]))
        return np.asarray(np.asarray(self.theta) + np.einsum("lpq,blq->blp", root, noise))

    def _theta(self, theta: Vector | None) -> Vector:
        return np.asarray(self.theta) if theta is None else theta


def fit_curves(
    params: float,
    languages: Sequence[str],
    log_tokens: Vector,
    log_loss: Vector,
    runs: Vector,
    *,
    sigma: float | None,
    dof: int = 0,
    form: str = "auto",
) -> Curves:
    """Fit the curves of all languages at one size.

    Parameters
    ----------
    params : float
        The size.
    languages : sequence of str
        One a row.
    log_tokens : numpy.ndarray
        ln of the sizes of data, rising, ``(n_sizes,)``.
    log_loss, runs : numpy.ndarray
        Means of ln L and the runs behind them, ``(n_languages, n_sizes)``; no runs where a size is missing.
    sigma : float, optional
        Standard deviation of ln L of one run, known with ``dof`` degrees of freedom.
    form : str
        ``auto``, or one of the three.

    Raises
    ------
    InputError
        There are fewer than two sizes of data, or no such form.
    """
    if len(log_tokens) < 2:
        raise InputError(f"tokens: {len(log_tokens)} size of monolingual data was given at one model size, 2 are needed")
    if form not in ("auto", *FORMS):
        raise InputError(f"form: {form!r} was given (allowed: auto, {', '.join(FORMS)})")
    errors: dict[Form, float] = {}
    if form == "auto":
        # three parameters need three sizes beside the one that is left out
        allowed = FORMS if len(log_tokens) > 3 else ("power",)
        errors = {one: _left_out(one, log_tokens, log_loss, runs, sigma) for one in allowed}
        form = min(errors, key=lambda one: errors[one])
    chosen: Form = form  # type: ignore[assignment]
    origin, fit = _fit(chosen, log_tokens, log_loss, runs, sigma)
    return Curves(
        params=params,
        form=chosen,
        languages=tuple(languages),
        origin=origin,
        theta=tuple(map(tuple, fit.theta.tolist())),
        cov=tuple(tuple(map(tuple, rows)) for rows in fit.cov.tolist()),
        sigma=fit.sigma,
        dof=dof,
        measured=(float(np.exp(log_tokens[0])), float(np.exp(log_tokens[-1]))),
        held_out=tuple((name, error) for name, error in errors.items() if np.isfinite(error)),
        converged=fit.converged,
    )


def _fit(form: Form, log_tokens: Vector, log_loss: Vector, runs: Vector, sigma: float | None) -> tuple[float, Pooled]:
    z = _axis(form, log_tokens)
    origin = float(0.5 * (z[0] + z[-1]))
    y = np.where(runs > 0, log_loss, 0.0)
    level = float(np.sum(runs * y) / runs.sum())
    # an exponent of ln D, in the units of z
    exponent = np.log(_EXPONENT * (log_tokens[-1] - log_tokens[0]) / (z[-1] - z[0]))
    centre = {"level": level, "floor": 0.0, "exponent": float(exponent)}
    names = [name for name in centre if not (form == "power" and name == "floor")]
    fit = fit_pooled(
        lambda theta, x: _evaluate(form, theta, x),
        np.tile(z - origin, (len(y), 1)),
        y,
        np.asarray(runs, dtype=float),
        centre=np.array([centre[name] for name in names]),
        scale=np.array([_SCALES[name] for name in names]),
        sigma=sigma,
    )
    return origin, fit


def _left_out(form: Form, log_tokens: Vector, log_loss: Vector, runs: Vector, sigma: float | None) -> float:
    """Root mean square error at each size of data when it is left out."""
    total = count = 0.0
    for j in range(len(log_tokens)):
        kept = np.arange(len(log_tokens)) != j
        if kept.sum() < 2 or (runs[:, kept] > 0).sum(axis=1).min() < 1:
            continue
        origin, fit = _fit(form, log_tokens[kept], log_loss[:, kept], runs[:, kept], sigma)
        at = np.full((len(runs), 1), _axis(form, log_tokens[j : j + 1])[0] - origin)
        error = _evaluate(form, fit.theta, at)[0][:, 0] - log_loss[:, j]
        total += float(np.sum(error[runs[:, j] > 0] ** 2))
        count += int((runs[:, j] > 0).sum())
    return float(np.sqrt(total / count)) if count else float("inf")


def _axis(form: Form, log_tokens: Vector) -> Vector:
    return np.log(log_tokens / np.log(10)) if form == "log_power" else np.asarray(log_tokens)


def _unpack(form: Form, theta: Vector) -> tuple[Vector, Vector, Vector]:
    """Level, floor's share and exponent, each ``(..., n_languages, 1)``."""
    level, k = theta[..., :1], np.exp(theta[..., -1:])
    share = np.zeros_like(level) if form == "power" else 1 / (1 + np.exp(-theta[..., 1:2]))
    return level, share, k


def _evaluate(form: Form, theta: Vector, z: Vector) -> tuple[Vector, Vector]:
    """Ln L and its derivatives by theta, at z less its origin."""
    level, share, k = _unpack(form, theta)
    falling = np.exp(-k * z)
    whole = share + (1 - share) * falling
    by_level = np.ones_like(whole)
    by_exponent = -(1 - share) * falling * k * z / whole
    slopes = [by_level, share * (1 - share) * (1 - falling) / whole, by_exponent]
    if form == "power":
        del slopes[1]
    return level + np.log(whole), np.stack(slopes, axis=-1)

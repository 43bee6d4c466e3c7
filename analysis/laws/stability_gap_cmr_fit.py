"""Fits of the powers that the critical mixture ratio is made of, with profile intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.profiles import profile_intervals, solve_squares
from analysis.fitting.result import check_level
from analysis.fitting.separable import SeparableForm, fit_curves
from analysis.laws.published import Coefficient
from curselab.errors import InputError

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFit:
    """Fitted ``y = a x^s + b``; a constant without two ends is not identified."""

    coefficients: tuple[Coefficient, ...]
    level: float
    nobs: int

    @property
    def unidentified(self) -> tuple[str, ...]:
        """Symbols without an interval."""
        return tuple(c.symbol for c in self.coefficients if c.lower is None)

    def at(self, x: ArrayLike) -> Vector:
        """Value at other x, shape of the argument."""
        a, s, b = (c.value for c in self.coefficients)
        return np.asarray(a * np.asarray(x, dtype=float) ** s + b)


def fit_power(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> PowerFit:
    """Fit ``a x^s + b`` with a and s of either sign: the loss by the share, or the critical share by T.

    Parameters
    ----------
    x, y : array_like
        Points, ``(n,)`` each, x above zero; four or more different x.
    level : float
        Of the intervals.

    Raises
    ------
    InputError
        Fewer points, or an x of zero or less.
    """
    at, observed = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if at.shape != observed.shape or at.ndim != 1 or len(np.unique(at)) < 4 or not (at > 0).all():
        raise InputError("points: four different x above zero are needed, with a y each")
    # the sizes at the middle of the data come apart; those at x = 1 need not
    middle = float(np.exp(np.log(at).mean()))
    log_x = np.log(at / middle)
    form = SeparableForm(
        name="power",
        formula="a x^s + b",
        basis=lambda v, rows: np.stack([np.exp(v * rows[0]), np.ones((len(v), rows.shape[1]))], axis=-1),
        nodes=lambda _: np.concatenate([-np.geomspace(5, 0.02, 40), np.geomspace(0.02, 5, 40)])[:, None],
        n_sizes=2,
        n_shapes=1,
    )
    fit = fit_curves(form, log_x[None], observed[None])

    def residual(theta: NDArray[Any]) -> NDArray[Any]:
        a, s, b = theta
        # by x itself, so that every interval is that of the constant as it is printed
        return np.asarray(a * np.exp(s * np.log(at)) + b - observed)

    start = np.array([fit.sizes[0, 0] * middle ** -fit.shapes[0, 0], fit.shapes[0, 0], fit.sizes[0, 1]])
    theta, _ = solve_squares(residual, start, evaluations=500)
    ends = profile_intervals(residual, theta, [0, 1, 2], level=check_level(level))
    constants = tuple(
        Coefficient(symbol, float(value), "1", *((low, high) if np.isfinite([low, high]).all() else (None, None)))
        for symbol, value, (low, high) in zip(("a", "s", "b"), theta, ends, strict=True)
    )
    return PowerFit(coefficients=constants, level=level, nobs=len(at))

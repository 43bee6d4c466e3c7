r"""Families of growth of the residual stream's variance, and their least-squares fits to many profiles of ln v at once.

===================== ====================================== ==================================================================
family                formula                                what it would mean over blocks
===================== ====================================== ==================================================================
constant              v0                                     no growth
log                   v0 + b H_x                             LayerNorm Scaling, branches independent of the stream
linear                v0 + b x                               Pre-LN random walk; LayerNorm Scaling, coherent branches
quadratic             (s0 + c x)^2                           Pre-LN, coherent branches: the solution of the recursion
power                 v0 + b x^p                             between and beyond
stretched exponential v0 exp(k x^q), 0 < q < 1               between power and exponential
exponential           v0 exp(k x)                            the upper bound of the paper
offset exponential    v0 + b (exp(k x) - 1)                  flat early, explosive late
broken                x^p to a knot, exp(k x) after it       a change of regime; from 24 points
===================== ====================================== ==================================================================

H_x is the harmonic number; v0 and b are zero or more. Source: the bounds of Sun et al. (2025), arXiv:2502.05795, equations 7
and 14, and the solutions of its recursions (equations 6 and 13): quadratic and linear, with uncorrelated branches linear and
logarithmic. Noise of a variance is multiplicative, so logarithms are fitted, all with one variance.

What is searched is the shape below v at the largest x, which no family leaves open: v0 and b would run away together wherever
a family is too rich for a profile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import boxcox, digamma

Vector = NDArray[np.float64]

MIN_BROKEN = 24
"""Points that the broken family needs."""

_GRID = 31  # points a shape parameter


@dataclass(frozen=True, slots=True)
class Fits:
    """One family fitted to many profiles."""

    theta: Vector
    """ln v at the largest x, and the shape, ``(batch, n_theta)``."""
    resid: Vector
    """Fitted less observed ln v, ``(batch, n)``; infinite where the family fits in no way."""


@dataclass(frozen=True, slots=True)
class Side:
    """A shape parameter as a coordinate from 0 to 1."""

    low: float
    high: float
    dense: float = 1.0
    """Above 1, where much happens near the lower end; below -1, near the upper one."""

    def value(self, t: Vector) -> Vector:
        """Parameter of a coordinate."""
        share = t**self.dense if self.dense > 0 else 1 - (1 - t) ** -self.dense
        return np.asarray(self.low + (self.high - self.low) * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A form of v(x); ``theta`` is ln v at the largest x, ``end``, and the shape."""

    name: str
    formula: str
    symbols: tuple[str, ...]
    shape: Callable[[Sequence[Vector], Vector, float], Vector]
    """ln of v(x) / v(end), from the shape, x ``(n,)`` and end."""
    natural: Callable[[float, Sequence[float], float], tuple[float, ...]]
    """Parameters of v(end), the shape and end."""
    sides: tuple[Side, ...] = ()
    """Of the box of shapes."""

    def log_v(self, theta: Vector, x: Vector, end: float) -> Vector:
        """Evaluate ln v at x ``(n,)`` for ``theta`` ``(..., n_theta)``: ``(..., n)``."""
        level, *shape = (theta[..., i, None] for i in range(theta.shape[-1]))
        return np.asarray(level + self.shape(shape, x, end))

    def params(self, theta: Vector, end: float) -> tuple[float, ...]:
        """Parameters, in the order of the symbols, of one ``theta`` ``(n_theta,)``."""
        return self.natural(float(np.exp(theta[0])), theta[1:].tolist(), end)

    def fit(self, x: Vector, log_v: Vector) -> Fits:
        """Fit every profile ``(batch, n)`` on one x ``(n,)`` by least squares of ln v.

        Notes
        -----
        The best level of a shape is the mean distance, so one or two numbers are left. They lie in a box: the best point of a
        grid is where a trust region starts. A number that a profile says nothing about ends somewhere, which does no harm.
        """
        end = float(x.max())
        grid = np.array(list(product(np.linspace(0.0, 1.0, _GRID), repeat=len(self.sides))))
        apart = log_v[:, None] - np.asarray(self.shape(self._values(grid), x, end))
        points = grid[apart.var(axis=2).argmin(axis=1)]
        if self.sides:
            points = np.stack([self._refine(point, x, profile) for point, profile in zip(points, log_v, strict=True)])
        shape = self._values(points)
        apart = log_v - np.asarray(self.shape(shape, x, end))
        level = apart.mean(axis=1)
        return Fits(np.column_stack([level, *(values[:, 0] for values in shape)]), level[:, None] - apart)

    def _refine(self, start: Vector, x: Vector, log_v: Vector) -> Vector:
        """Minimise one profile's squares from a point of the box."""

        def residual(point: Vector) -> Vector:
            apart = np.asarray(self.shape(self._values(point), x, float(x.max()))) - log_v
            return np.asarray(apart - apart.mean())

        return np.asarray(
            least_squares(residual, start, bounds=(0.0, 1.0), method="dogbox", xtol=1e-9, ftol=1e-10, gtol=None).x
        )

    def _values(self, points: Vector) -> list[Vector]:
        return [side.value(points[..., i, None]) for i, side in enumerate(self.sides)]


@dataclass(frozen=True, slots=True)
class Broken:
    """A power to a knot and an exponential after it: given the knot, ln v is linear in what is left."""

    name: str = "broken"
    formula: str = "v = a x^p to the knot, then exp(k x)"
    symbols: tuple[str, ...] = ("a", "p", "k", "knot")

    def log_v(self, theta: Vector, x: Vector, end: float) -> Vector:
        """See ``Family``; ``theta`` is ln a and the other parameters."""
        level, p, k, knot = (theta[..., i, None] for i in range(4))
        return np.asarray(level + p * np.log(np.minimum(x, knot)) + k * np.maximum(x - knot, 0.0))

    def params(self, theta: Vector, end: float) -> tuple[float, ...]:
        """See ``Family``."""
        return float(np.exp(theta[0])), *theta[1:].tolist()

    def fit(self, x: Vector, log_v: Vector) -> Fits:
        """See ``Family``; knots are points with three on either side, and both branches must rise."""
        theta = np.tile([0.0, 0.0, 0.0, x[-1]], (len(log_v), 1))
        best = np.full(len(log_v), np.inf)
        for knot in x[3:-3]:
            design = np.column_stack([np.ones(len(x)), np.log(np.minimum(x, knot)), np.maximum(x - knot, 0.0)])
            found = np.linalg.lstsq(design, log_v.T, rcond=None)[0]
            rss = ((design @ found - log_v.T) ** 2).sum(axis=0)
            better = (rss < best) & (found[1:] > 0).all(axis=0)
            theta[better] = np.column_stack([*found, np.full(len(log_v), knot)])[better]
            best[better] = rss[better]
        resid = self.log_v(theta, x, float(x.max())) - log_v
        return Fits(theta, np.where(np.isfinite(best)[:, None], resid, np.inf))


def harmonic(x: Vector | float) -> Vector:
    """H_x for any x above zero."""
    return np.asarray(digamma(np.asarray(x) + 1.0) + np.euler_gamma)


def _mixed(share: Vector, relative: Vector) -> Vector:
    """Ln of a constant term and a growing one, which is ``share`` of their sum at the end."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(1 - share + share * relative))


def _exponential(fold: Vector, x: Vector, end: float) -> Vector:
    # of differences from the end: no number of folds overflows
    return np.asarray(np.exp(fold * (x / end - 1)) * np.expm1(-fold * x / end) / np.expm1(-fold))


_SHARE = Side(0.0, 1.0, -4.0)
_EXPONENT = Side(0.01, 20.0, 3.0)
_FOLD = Side(1e-3, 100.0, 3.0)  # at its lower end straight to one part in two thousand
_SLOPE = Side(0.0, 300.0, 4.0)  # d ln v / d ln x at the end
FAMILIES: tuple[Family | Broken, ...] = (
    Family(
        name="constant",
        formula="v = v0",
        symbols=("v0",),
        shape=lambda s, x, end: 0 * x,
        natural=lambda v, s, end: (v,),
    ),
    Family(
        name="log",
        formula="v = v0 + b H_x",
        symbols=("v0", "b"),
        shape=lambda s, x, end: _mixed(s[0], harmonic(x) / harmonic(end)),
        natural=lambda v, s, end: (v * (1 - s[0]), v * s[0] / float(harmonic(end))),
        sides=(_SHARE,),
    ),
    Family(
        name="linear",
        formula="v = v0 + b x",
        symbols=("v0", "b"),
        shape=lambda s, x, end: _mixed(s[0], x / end),
        natural=lambda v, s, end: (v * (1 - s[0]), v * s[0] / end),
        sides=(_SHARE,),
    ),
    Family(
        name="quadratic",
        formula="v = (s0 + c x)^2",
        symbols=("s0", "c"),
        shape=lambda s, x, end: 2 * _mixed(s[0], x / end),
        natural=lambda v, s, end: (v**0.5 * (1 - s[0]), v**0.5 * s[0] / end),
        sides=(_SHARE,),
    ),
    Family(
        name="power",
        formula="v = v0 + b x^p",
        symbols=("v0", "b", "p"),
        shape=lambda s, x, end: _mixed(s[0], (x / end) ** s[1]),
        natural=lambda v, s, end: (v * (1 - s[0]), v * s[0] / end ** s[1], s[1]),
        sides=(_SHARE, _EXPONENT),
    ),
    Family(
        name="stretched exponential",
        formula="v = v0 exp(k x^q)",
        symbols=("v0", "k", "q"),
        shape=lambda s, x, end: s[0] * boxcox(x / end, s[1]),
        natural=lambda v, s, end: (v * float(np.exp(-s[0] / s[1])), s[0] / s[1] / end ** s[1], s[1]),
        sides=(_SLOPE, Side(0.01, 1.0)),
    ),
    Family(
        name="exponential",
        formula="v = v0 exp(k x)",
        symbols=("v0", "k"),
        shape=lambda s, x, end: s[0] * (x / end - 1),
        natural=lambda v, s, end: (v * float(np.exp(-s[0])), s[0] / end),
        sides=(_SLOPE,),
    ),
    Family(
        name="offset exponential",
        formula="v = v0 + b (exp(k x) - 1)",
        symbols=("v0", "b", "k"),
        shape=lambda s, x, end: _mixed(s[0], _exponential(s[1], x, end)),
        natural=lambda v, s, end: (v * (1 - s[0]), v * s[0] / float(np.expm1(s[1])), s[1] / end),
        sides=(_SHARE, _FOLD),
    ),
    Broken(),
)

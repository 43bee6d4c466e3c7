"""One model size: its best learning rate, and what the rule's rate costs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.fitting.fieller import ratio_interval
from analysis.fitting.minimum import window
from analysis.fitting.result import Note, Status

Vector = NDArray[np.float64]
OCTAVE = float(np.log(2))
_MIN_RATES = 3
_MIN_SEEDS = 3  # two leave one degree of freedom, and intervals that hold 60 to 90 % where few sizes are identified


@dataclass(frozen=True, slots=True)
class Bracket:
    """Runs of one size: losses by seed and learning rate."""

    size: float
    """Parameters."""
    rates: Vector
    """Peak learning rates at which no run diverged, rising, ``(n_rates,)``."""
    losses: Vector
    """nats/token, ``(n_seeds, n_rates)``; NaN where a run is absent."""
    chosen: float
    """The rate that the rule chooses."""
    n_runs: int
    n_diverged: int
    n_diverged_chosen: int
    """Of them, runs at the rule's rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRate:
    """What the runs of one size say. Losses are in nats/token, costs are shares of the loss; None is no answer."""

    size: float
    chosen: float
    """The rate that the rule chooses."""
    rates: tuple[float, ...]
    """Rates at which no run diverged."""
    means: tuple[float, ...]
    """Mean loss a rate, over the seeds that have them all."""
    n_runs: int
    n_seeds: int
    """Seeds that have a run at every rate."""
    n_diverged: int
    n_diverged_chosen: int
    curve: tuple[float, ...] = ()
    """``c0, c1, c2`` of the parabola in ln(rate / chosen); empty where there is none."""
    status: Status
    reasons: tuple[Note, ...]
    optimum: float | None = None
    """Best rate; None unless identified."""
    lower: float | None = None
    upper: float | None = None
    """Interval of the best rate."""
    cost: float | None = None
    """Loss at the rule's rate over the lowest within the bracket, minus 1, on the parabola."""
    cost_lower: float | None = None
    cost_upper: float | None = None

    @property
    def minimum(self) -> float:
        """Loss at the best rate, or the lowest mean where there is no best rate, nats/token."""
        if self.optimum is None:
            return min(self.means, default=float("nan"))
        return self.curve[0] - self.curve[1] ** 2 / (4 * self.curve[2])


def judge(bracket: Bracket, *, resamples: int, rng: np.random.Generator, level: float) -> SizeRate:
    """Estimate the best rate of one size and the rule's cost, with intervals, and decide whether the runs identify it.

    Parameters
    ----------
    bracket : Bracket
    resamples : int
        Draws for the interval of the cost; 0 gives none.
    rng : numpy.random.Generator
    level : float
        Of the intervals, and of the test that the parabola opens upwards.

    Notes
    -----
    Each seed has a parabola of its own: exact through three rates, by least squares through more (those within an octave of
    the lowest mean, or the nearest five). Their mean and covariance over seeds carry all that follows: a seed's own effect
    moves c0 alone, and noise may differ between rates, as it does. The vertex has Fieller's interval, exact for normal errors
    and bounded only where the curvature is significant.

    The cost's interval takes quantiles of parabolas drawn from a multivariate t. Its lower end is 0 where the slope at the
    rule's rate is not significant, since draws never reach 0.
    """
    losses = bracket.losses[np.isfinite(bracket.losses).all(axis=1)]
    n_seeds, n_rates = losses.shape
    means = losses.mean(axis=0) if n_seeds else np.nanmean(bracket.losses, axis=0)
    bare = SizeRate(
        size=bracket.size,
        chosen=bracket.chosen,
        rates=tuple(bracket.rates.tolist()),
        means=tuple(means.tolist()),
        n_runs=bracket.n_runs,
        n_seeds=n_seeds,
        n_diverged=bracket.n_diverged,
        n_diverged_chosen=bracket.n_diverged_chosen,
        status="not_identified",
        reasons=(),
    )
    x = np.log(bracket.rates / bracket.chosen)
    inside = window(x, int(means.argmin()), half_width=OCTAVE) if n_rates else np.array([], dtype=int)
    if reasons := _unfit(bare, x[inside]):
        return replace(bare, reasons=reasons)
    x, curves = x[inside], losses[:, inside] @ np.linalg.pinv(np.vander(x[inside], 3, increasing=True)).T
    curve, cov = curves.mean(axis=0), np.cov(curves, rowvar=False) / n_seeds
    bare = _costed(replace(bare, curve=tuple(curve.tolist())), x, cov, resamples, rng, level)
    # the vertex is (-c1) / (2 c2)
    turn = np.array([[0, -1, 0], [0, 0, 2]])
    quantile = float(student_t.ppf((1 + level) / 2, n_seeds - 1))
    between = ratio_interval(-curve[1], 2 * curve[2], turn @ cov @ turn.T, quantile=quantile)
    if between is None or curve[2] < 0:
        return replace(bare, reasons=(Note("not_convex", "no parabola that opens upwards is shown"),))
    if reasons := _unbracketed(bare, x, between):
        return replace(bare, reasons=reasons)
    best, lower, upper = (float(bracket.chosen * np.exp(u)) for u in (-curve[1] / (2 * curve[2]), *between))
    return replace(bare, status="ok", optimum=best, lower=lower, upper=upper)


def _unfit(s: SizeRate, x: Vector) -> tuple[Note, ...]:
    """Every reason why there is no parabola, or none that says what the rule costs."""
    checks = (
        (s.n_diverged_chosen > 0, "rule_diverged", f"{s.n_diverged_chosen} runs at the rule's rate diverged"),
        (len(s.rates) < _MIN_RATES, "few_rates", f"{len(s.rates)} rates without a diverged run, {_MIN_RATES} are needed"),
        (s.n_seeds < _MIN_SEEDS, "few_seeds", f"{s.n_seeds} seeds have a run at every rate, {_MIN_SEEDS} are needed"),
        (len(x) > 0 and not x[0] <= 0 <= x[-1], "rule_outside", f"the rule's rate, {s.chosen:.4g}, lies beyond those run"),
    )
    return tuple(Note(code, message) for failed, code, message in checks if failed)


def _unbracketed(s: SizeRate, x: Vector, between: tuple[float, float]) -> tuple[Note, ...]:
    lowest = int(np.argmin(s.means))
    if lowest in (0, len(s.means) - 1):
        end = "highest" if lowest else "lowest"
        return (Note("not_bracketed", f"the loss is lowest at the {end} rate, {s.rates[lowest]:.4g}"),)
    if not x[0] < between[0] < between[1] < x[-1]:
        return (Note("interval_leaves_bracket", "the interval of the best rate reaches the end of the rates that were run"),)
    return ()


def _costed(s: SizeRate, x: Vector, cov: Vector, resamples: int, rng: np.random.Generator, level: float) -> SizeRate:
    """Add what the rule costs, with its interval."""
    curve, dof = np.array(s.curve), s.n_seeds - 1
    drop = _drop(curve[None, 1:], x[0], x[-1])[0]
    scale = 1 / (curve[0] - drop)
    s = replace(s, cost=float(scale * drop))
    if resamples == 0:
        return s
    spread = np.sqrt(dof / rng.chisquare(dof, resamples))[:, None]
    noise = rng.multivariate_normal(np.zeros(2), cov[1:, 1:], resamples, method="svd")
    draws = scale * _drop(curve[1:] + spread * noise, x[0], x[-1])
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    sloped = abs(curve[1]) > student_t.ppf((1 + level) / 2, dof) * np.sqrt(cov[1, 1])
    return replace(s, cost_lower=float(lower) if sloped else 0.0, cost_upper=float(upper))


def _drop(curves: Vector, low: float, high: float) -> Vector:
    """How far ``c1 u + c2 u^2`` falls below its value at 0 for u between low and high, ``(n_curves,)``."""
    c1, c2 = curves.T
    opens = c2 > 0
    vertex = np.clip(np.where(opens, -c1 / np.where(opens, 2 * c2, 1.0), 0.0), low, high)
    u = np.stack([np.full_like(c1, low), vertex, np.full_like(c1, high)])
    return np.asarray(-(c1 * u + c2 * u**2).min(axis=0))

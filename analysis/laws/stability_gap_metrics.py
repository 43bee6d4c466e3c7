r"""What a curve of continual pre-training loses, when it is back, and what it ends with.

With :math:`\tilde m(t)` the fitted curve (higher is better), :math:`y_0 = \tilde m(0)` and T the budget:

=================  =========================================================================================  =============
name               definition                                                                                 unit
=================  =========================================================================================  =============
depth              :math:`y_0 - \min_t \tilde m`                                                              metric
time_to_minimum    where the minimum lies                                                                     tokens
time_to_recovery   first t after it from which :math:`\tilde m \ge y_0 - \kappa` stays true; infinite where   tokens
                   that lies beyond the budget (censored)
gap_index          :math:`(\tilde m(T) - \min) / (y_0 - \min)`: 0 forgetting, 1 full recovery, above 1 gain   1
regret             :math:`\int (y_0 - \tilde m)_+ dt` up to the recovery                                      metric tokens
regret_log         the same over ln t, from the first evaluation                                              metric
final_gain         :math:`\tilde m(T) - y_0`                                                                  metric
peak_gain          highest :math:`\tilde m - y_0`, at a time chosen on another split where one is given       metric
permanent          :math:`y_0 - \tilde m(T)`: forgetting that stays                                           metric
transient          depth less permanent                                                                       metric
=================  =========================================================================================  =============

Never the raw minimum: the lowest of ten evaluations of a flat curve lies 1.5 standard deviations below it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Metrics of several curves, ``(n_curves,)`` each."""

    start: Vector
    depth: Vector
    time_to_minimum: Vector
    time_to_recovery: Vector
    gap_index: Vector
    """NaN where nothing was lost."""
    regret: Vector
    regret_log: Vector
    final_gain: Vector
    peak_gain: Vector
    permanent: Vector
    transient: Vector


def measure(times: Vector, curves: Vector, *, tolerance: float = 0.0, peak: int | None = None) -> Metrics:
    """Measure curves on a fine grid.

    Parameters
    ----------
    times : numpy.ndarray
        Tokens, rising from 0, ``(n,)``.
    curves : numpy.ndarray
        Higher is better, ``(n_curves, n)``.
    tolerance : float
        How far below its start a curve still counts as recovered (kappa).
    peak : int, optional
        Point of the peak, chosen elsewhere; left out, each curve's own.
    """
    start, end = curves[:, 0], curves[:, -1]
    last = curves.shape[1] - 1 - curves[:, ::-1].argmin(axis=1)
    minimum = curves.min(axis=1)
    depth = start - minimum
    recovery = np.array([_recovery(times, row - row[0] + tolerance) for row in curves])
    lost = np.maximum(start[:, None] - curves, 0.0) * (times <= recovery[:, None])
    log_times = np.log(times[1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.where(depth > 0, (end - minimum) / depth, np.nan)
    return Metrics(
        start=start,
        depth=depth,
        time_to_minimum=0.5 * (times[curves.argmin(axis=1)] + times[last]),
        time_to_recovery=recovery,
        gap_index=index,
        regret=np.trapezoid(lost, times, axis=1),
        regret_log=np.trapezoid(lost[:, 1:], log_times, axis=1),
        final_gain=end - start,
        peak_gain=(curves.max(axis=1) if peak is None else curves[:, peak]) - start,
        permanent=start - end,
        transient=end - minimum,
    )


def _recovery(times: Vector, above: Vector) -> float:
    """Time from which ``above`` stays at zero or more; 0 where it never falls below, infinite where it ends there."""
    below = np.flatnonzero(above < 0)
    if not len(below):
        return 0.0
    last = int(below[-1])
    if last == len(times) - 1:
        return float("inf")
    share = above[last] / (above[last] - above[last + 1])
    return float(times[last] + share * (times[last + 1] - times[last]))


def first_reach(times: Vector, curve: Vector, value: float) -> float:
    """First time at which a curve ``(n,)`` has reached a value; infinite where it does not."""
    reached = np.flatnonzero(curve >= value)
    if not len(reached):
        return float("inf")
    i = int(reached[0])
    if i == 0:
        return float(times[0])
    share = (value - curve[i - 1]) / (curve[i] - curve[i - 1])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))

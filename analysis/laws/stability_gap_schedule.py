r"""Learning rates of a run, step by step, and the two areas through which the law of Wang et al. sees them.

.. math:: S_1(t) = \sum_{i \le t} \eta_i, \qquad
          S_2(t) = \sum_{i \le t} \sum_{k \le i} (\eta_{k-1} - \eta_k)\, \lambda^{i-k}

:math:`S_1` is the forward area, :math:`S_2` the annealing area: above zero where the rate has fallen, below where it rose,
with a memory of :math:`1 / (1 - \lambda)` steps.

Source: Wang et al. (2025), Learning Dynamics in Continual Pre-Training, arXiv:2505.07796 v2, Eq. 1 and 2, after Tissue et al.
(2024), arXiv:2408.11029; :math:`\lambda = 0.999` there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from curselab.errors import InputError

Vector = NDArray[np.float64]
DECAY = 0.999


def forward_area(rates: ArrayLike) -> Vector:
    """Sum of the learning rates of steps 1 to t, ``(n_steps,)``."""
    return np.cumsum(_rates(rates))


def annealing_area(rates: ArrayLike, *, before: float, decay: float = DECAY) -> Vector:
    """Sum of all falls of the learning rate so far, each with a memory that fades.

    Parameters
    ----------
    rates : array_like
        Learning rates of the steps, ``(n_steps,)``.
    before : float
        Rate of the step before the first.
    decay : float
        Share of a fall that is remembered a step later.

    Returns
    -------
    numpy.ndarray
        ``(n_steps,)``, in the unit of the learning rate.
    """
    falls = -np.diff(_rates(rates), prepend=before)
    return np.asarray(np.cumsum(lfilter([1.0], [1.0, -decay], falls)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What the law reads of a schedule: areas of the pre-training, and of continual pre-training at each step."""

    forward_before: float
    """Forward area of the pre-training."""
    annealing_before: float
    """Its annealing area."""
    forward: Vector
    """Forward area of continual pre-training, ``(n,)``."""
    annealing: Vector
    """Its annealing area, ``(n,)``."""


def learning_rate_path(pretraining: ArrayLike, continual: ArrayLike, *, decay: float = DECAY) -> Path:
    """Areas of a pre-training and of the continual pre-training after it.

    Parameters
    ----------
    pretraining, continual : array_like
        Learning rates of all steps, ``(n_steps,)`` each.
    decay : float
        Of the annealing area's memory.

    Notes
    -----
    The annealing area of pre-training counts from its highest rate, so that the warm-up, which is over long before, leaves no
    mark. Continual pre-training begins a memory of its own, whose first change is the one from the last rate of pre-training.
    """
    first, then = _rates(pretraining), _rates(continual)
    from_peak = first[len(first) - 1 - int(np.argmax(first[::-1])) :]
    return Path(
        forward_before=float(first.sum()),
        annealing_before=float(annealing_area(from_peak, before=float(first.max()), decay=decay)[-1]),
        forward=forward_area(then),
        annealing=annealing_area(then, before=float(first[-1]), decay=decay),
    )


def cosine(steps: int, peak: float, *, warmup: int = 0, final: float = 0.0) -> Vector:
    """Rates of a linear warm-up from zero and a cosine to ``final``, ``(steps,)``."""
    at = _steps(steps, warmup)
    fall = 0.5 * (1 + np.cos(np.pi * (at - warmup) / max(steps - warmup, 1)))
    return np.where(at <= warmup, peak * at / max(warmup, 1), final + (peak - final) * fall)


def warmup_stable_decay(steps: int, peak: float, *, warmup: int = 0, decay_share: float = 0.1, final: float = 0.0) -> Vector:
    """Rates of a linear warm-up from zero, a plateau, and a straight line to ``final`` over the last share, ``(steps,)``."""
    at, length = _steps(steps, warmup), round(decay_share * steps)
    left = np.minimum((steps - at) / max(length, 1), 1.0)
    return np.where(at <= warmup, peak * at / max(warmup, 1), final + (peak - final) * left)


def _steps(steps: int, warmup: int) -> Vector:
    if not 0 <= warmup < steps:
        raise InputError(f"schedule: {warmup} steps of warm-up in {steps} were given, fewer than all are needed")
    return np.arange(1, steps + 1, dtype=float)


def _rates(rates: ArrayLike) -> Vector:
    values = np.asarray(rates, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
        raise InputError("learning rates: one finite number of zero or more a step is needed, in one row")
    return values

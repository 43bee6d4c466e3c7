r"""Curves of a metric during continual pre-training: forms that can dip and come back, and the monotone ones they must beat.

=====================  ================================================================================================
name                   y(t), higher is better, t the share of the budget
=====================  ================================================================================================
constant               :math:`y_0` (F0)
exponential            :math:`y_0 + G (1 - e^{-t/\tau})` (F0)
power                  :math:`y_0 + G (1 - (1 + t/\tau)^{-b})` (F0)
double exponential     :math:`y_0 + G (1 - e^{-t/t_2}) - D (e^{-t/t_2} - e^{-t/t_1}),\ t_1 < t_2` (F1)
drop and recovery      :math:`y_0 - D (1 - e^{-t/t_1}) + R (1 - (1 + t/t_2)^{-b})` (F2)
two abilities          :math:`c + (1 - c)\, K\, (1 - D (e^{-t/t_2} - e^{-t/t_1}))`, K linear in the domain's loss (F3)
schedule               the law of :mod:`analysis.laws.stability_gap_wang` (F4)
two powers             :math:`y_0 + a_2 t^{s_2} + a_3 t^{s_3},\ 0 < s_2 < s_3`, the curve of CMR (F5)
=====================  ================================================================================================

Sources: F1 to F3 are forms of convenience for the gap that Guo et al. (2024, arXiv:2406.14833) describe; F4 Wang et al. (2025,
arXiv:2505.07796), who find powers to fit the shift better than exponentials (R2 0.994 against 0.926 on the old text); F5 Gu et
al. (2024, arXiv:2407.17467). Whether a gap is seen at all depends more on where the evaluations lie than on the form.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.separable import Numbers, SeparableForm

Vector = NDArray[np.float64]

TIME, FORWARD, ANNEALING, DOMAIN = range(4)
"""Rows of the inputs: share of the budget, both areas of the learning rate, and the domain's metric, higher is better."""

_EXPONENTS = np.log([0.1, 0.2, 0.4, 0.8, 1.5, 3.0])


def times(x: Vector, n: int, *, longest: float = 3.0) -> Vector:
    """Logarithms of time constants, from a third of the first evaluation to some budgets, ``(n,)``."""
    first = x[TIME][x[TIME] > 0].min()
    return np.linspace(np.log(first / 3), np.log(longest), n)


def grid(*axes: Vector) -> Vector:
    """All combinations, ``(n_nodes, n_axes)``."""
    return np.array(list(product(*axes)), dtype=float).reshape(-1, len(axes))


def ordered(axis: Vector) -> Vector:
    """All pairs of an earlier and a later value, as the first and the logarithm of their ratio."""
    pairs = [(a, b - a) for i, a in enumerate(axis) for b in axis[i + 1 :]]
    return np.array(pairs)


def _decay(log_time: Numbers, x: Vector) -> Numbers:
    return np.asarray(np.exp(-x[TIME] * np.exp(-log_time[:, None])))


def _power_rise(log_time: Numbers, log_exponent: Numbers, x: Vector) -> Numbers:
    return np.asarray(-np.expm1(-np.exp(log_exponent)[:, None] * np.log1p(x[TIME] * np.exp(-log_time[:, None]))))


def _with_start(*columns: Numbers) -> Numbers:
    return np.stack([np.ones_like(columns[0]), *columns], axis=-1)


def _power_of_time(log_exponent: Numbers, x: Vector) -> Numbers:
    t = x[TIME]
    return np.where(t > 0, np.exp(np.exp(log_exponent)[:, None] * np.log(np.where(t > 0, t, 1.0))), 0.0)


def _bump(shapes: Numbers, x: Vector) -> Numbers:
    return _decay(shapes[:, 0] + shapes[:, 1], x) - _decay(shapes[:, 0], x)


CONSTANT = SeparableForm(
    name="constant",
    formula="y0",
    basis=lambda v, x: np.ones((len(v), x.shape[1], 1)),
    nodes=lambda x: np.zeros((1, 0)),
    n_sizes=1,
    n_shapes=0,
)
EXPONENTIAL = SeparableForm(
    name="exponential",
    formula="y0 + G (1 - e^(-t/tau))",
    basis=lambda v, x: _with_start(1 - _decay(v[:, 0], x)),
    nodes=lambda x: grid(times(x, 40)),
    n_sizes=2,
    n_shapes=1,
)
POWER_RISE = SeparableForm(
    name="power",
    formula="y0 + G (1 - (1 + t/tau)^-b)",
    basis=lambda v, x: _with_start(_power_rise(v[:, 0], v[:, 1], x)),
    nodes=lambda x: grid(times(x, 25), _EXPONENTS),
    n_sizes=2,
    n_shapes=2,
)
DOUBLE_EXPONENTIAL = SeparableForm(
    name="double exponential",
    formula="y0 + G (1 - e^(-t/t2)) - D (e^(-t/t2) - e^(-t/t1))",
    basis=lambda v, x: _with_start(1 - _decay(v[:, 0] + v[:, 1], x), -_bump(v, x)),
    nodes=lambda x: ordered(times(x, 24)),
    n_sizes=3,
    n_shapes=2,
)
DROP_AND_RECOVERY = SeparableForm(
    name="drop and recovery",
    formula="y0 - D (1 - e^(-t/t1)) + R (1 - (1 + t/t2)^-b)",
    basis=lambda v, x: _with_start(_decay(v[:, 0], x) - 1, _power_rise(v[:, 0] + v[:, 1], v[:, 2], x)),
    nodes=lambda x: np.array([[*pair, b] for pair in ordered(times(x, 16)) for b in _EXPONENTS[::2]]),
    n_sizes=3,
    n_shapes=3,
)
TWO_POWERS = SeparableForm(
    name="two powers",
    formula="y0 + a2 t^s2 + a3 t^s3",
    basis=lambda v, x: _with_start(_power_of_time(v[:, 0], x), _power_of_time(v[:, 0] + v[:, 1], x)),
    nodes=lambda x: ordered(np.log(np.geomspace(0.05, 5.0, 24))),
    n_sizes=3,
    n_shapes=2,
)

NULLS = (CONSTANT, EXPONENTIAL, POWER_RISE)
"""Forms that cannot come back; every gap must beat all of them."""
DIPS = (DOUBLE_EXPONENTIAL, DROP_AND_RECOVERY, TWO_POWERS)
"""Forms that need nothing but the time."""


def schedule_form(forward_before: float, *, changes: bool) -> SeparableForm:
    """F4 for a loss whose sign was turned: reads both areas of the learning rate.

    Parameters
    ----------
    forward_before : float
        Forward area of the pre-training.
    changes : bool
        The learning rate changes: where it never does, there is no annealing to fit.
    """

    def basis(v: Numbers, at: Vector) -> Numbers:
        alpha, E, beta = (np.exp(v[:, i, None]) for i in range(3))
        fall = -np.expm1(-alpha * np.log1p(at[FORWARD] / forward_before))
        shift = -np.expm1(-beta * np.log1p(E * at[FORWARD]))
        return _with_start(fall, shift, *([np.broadcast_to(at[ANNEALING], fall.shape)] if changes else []))

    def nodes(at: Vector) -> Vector:
        area = at[FORWARD][at[FORWARD] > 0]
        speeds = np.linspace(np.log(0.3 / area.max()), np.log(3 / area.min()), 16)
        return grid(np.log([0.2, 0.5, 1.0]), speeds, _EXPONENTS)

    return SeparableForm(
        name="schedule",
        formula="-(L0 + A (S1pt + S1)^-alpha - C2 S2 + B (1 - (1 + E S1)^-beta))",
        basis=basis,
        nodes=nodes,
        n_sizes=3 + changes,
        n_shapes=3,
    )


def two_abilities() -> SeparableForm:
    """F3 for an accuracy less its chance: knowledge that follows the domain's loss, times a format that dips."""

    def basis(v: Numbers, x: Vector) -> Numbers:
        kept = 1 - np.exp(v[:, 2, None]) * _bump(v, x)
        return np.stack([kept, kept * x[DOMAIN]], axis=-1)

    return SeparableForm(
        name="two abilities",
        formula="c + (1 - c) (k0 + k1 x) (1 - D (e^(-t/t2) - e^(-t/t1)))",
        basis=basis,
        nodes=lambda x: np.array([[*pair, d] for pair in ordered(times(x, 14)) for d in np.log([0.03, 0.1, 0.3, 0.9])]),
        n_sizes=2,
        n_shapes=3,
    )

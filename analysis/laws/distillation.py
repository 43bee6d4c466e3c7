r"""Loss of a distilled student as a function of its size, its tokens and its teacher's loss.

.. math::
    L_S = L_T + L_T^{-c_0} \left(1 + \left(\frac{L_T}{\tilde L\, d_1}\right)^{1/f_1}\right)^{-c_1 f_1}
          \left(\frac{A}{N_S^{\alpha}} + \frac{B}{D_S^{\beta}}\right)^{\gamma}, \qquad
    h = c_1 f_1 d_1^{-1/f_1}

=====================  ============================================================================  ==================
symbol                 meaning                                                                       unit
=====================  ============================================================================  ==================
:math:`L_S`            loss of the distilled student on text                                         nats/token
:math:`L_T`            loss of its teacher, through which alone the teacher enters                   nats/token
:math:`\tilde L`       loss of the same student trained without a teacher, the law ``outer`` of      nats/token
                       :mod:`analysis.laws.forms` at :math:`N_S, D_S`
:math:`N_S, D_S`       student's parameters without embedding, and its tokens                        parameters, tokens
:math:`c_0, h, f_1`    pull of the teacher's loss, depth and steepness of the student's limit        1
:math:`d_1`            ratio :math:`L_T / \tilde L` of the break                                     1
=====================  ============================================================================  ==================

Source: Busbridge et al. (2025), Distillation Scaling Laws, arXiv:2502.08606, Eq. 1 and 8, table 6 (90 % intervals from 4096
resamples). Where :math:`L_T` is well below :math:`\tilde L d_1`, as it is for any teacher worth having, the factor is
:math:`\exp(-h (L_T / \tilde L)^{1/f_1})`: the paper's :math:`c_1 = 522.6` with an interval of no width is not known from runs,
so the law is solved for :math:`h` in its place. The fit minimises Huber's loss of ln L, as the paper does.

Valid for fresh students of 143M to 12.6B parameters on C4, pure distillation at temperature 1. Known failures: the constants
belong to one architecture and text, and mean nothing for models of 10^4 to 10^6 parameters (L(1M, 20M) is 5.5): refit them; a
student short of tokens (20 a parameter) has its best teacher at 70 to 100 times its size, where nothing was trained.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from analysis.laws.general import GeneralModel
from analysis.laws.parametric import Law

Vector = NDArray[np.float64]

BUSBRIDGE_2025_DISTILLED = {
    "A": 2243.0,
    "B": 24181.0,
    "alpha": 0.321,
    "beta": 0.637,
    "gamma": 0.764,
    "c0": 2.549,
    "h": 522.6 * 0.090 * 1.315 ** (-1 / 0.090),
    "f1": 0.090,
    "d1": 1.315,
}
"""Busbridge et al. (2025), arXiv:2502.08606, table 6: distillation law; h from c1 = 522.6."""

_SMALL = 1e-4  # below it a series serves better than differences of logarithms
_PREFIX = ("A", "B", "alpha", "beta", "gamma")


def _parts(theta: Vector, inputs: Vector) -> tuple[Vector, ...]:
    """Pieces of ln L: power terms, ratio of losses, limit K of the student and its break v."""
    n, d, teacher, own = np.log(inputs)
    a, b, alpha, beta, gamma, c0, h, f, d1 = (theta[..., i, None] for i in range(9))
    with np.errstate(over="ignore", invalid="ignore"):
        u, v = np.exp((teacher - own) / np.exp(f)), np.exp((teacher - own - d1) / np.exp(f))
        K = np.exp(h) * u * np.where(v < _SMALL, 1 - v / 2, np.log1p(v) / np.where(v < _SMALL, 1.0, v))
    p, q = a - alpha * n, b - beta * d
    inner = np.logaddexp(p, q)
    return teacher, own, u, v, K, p, inner, gamma * inner - c0 * teacher - K


def _distilled(theta: Vector, inputs: Vector) -> Vector:
    """Ln L over ``(ln A, ln B, alpha, beta, gamma, c0, ln h, ln f1, ln d1)``."""
    teacher, *_, excess = _parts(theta, inputs)
    return np.logaddexp(teacher, excess)


def _distilled_jacobian(theta: Vector, inputs: Vector) -> Vector:
    n, d, *_ = np.log(inputs)
    gamma, h, f, d1 = (theta[..., i, None] for i in (4, 6, 7, 8))
    teacher, own, u, v, K, p, inner, excess = _parts(theta, inputs)
    weight, share = np.exp(excess - np.logaddexp(teacher, excess)), np.exp(p - inner)
    with np.errstate(over="ignore", invalid="ignore"):
        hu, width = np.exp(h) * u, np.exp(f)
        bend = np.where(v < _SMALL, v / 2, (np.log1p(v) - v / (1 + v)) / np.where(v < _SMALL, 1.0, v))
        by_width = -(d1 * bend + (teacher - own) / (1 + v)) * hu / width
    zero = np.zeros_like(share)
    slopes = (
        gamma * share,
        gamma * (1 - share),
        -gamma * share * n,
        -gamma * (1 - share) * d,
        inner,
        zero - teacher,
        -K,
        -by_width,
        -hu * bend / width,
    )
    return np.stack([weight * slope for slope in slopes], axis=-1)


def _distilled_starts(inputs: Vector, log_loss: Vector) -> Vector:
    """At each shape of the teacher's part the two power terms are a linear, non-negative fit."""
    N, D, teacher, own = inputs
    excess, found = np.maximum(np.exp(log_loss) - teacher, 1e-4 * teacher), []
    n, d = np.log(N / np.exp(np.log(N).mean())), np.log(D / np.exp(np.log(D).mean()))
    shapes = product((0.5, 0.8), (0.2, 0.4), (0.3, 0.6), (1.0, 2.5), (1.0, 2.2, 4.0), (0.06, 0.1, 0.2))
    for gamma, alpha, beta, c0, h, f in shapes:
        ln_target = (np.log(excess) + c0 * np.log(teacher) + h * (teacher / own) ** (1 / f)) / gamma
        design = np.exp(np.column_stack([-alpha * n, -beta * d]) - ln_target[:, None])
        scale = design.max()
        size, _ = nnls(design / scale, np.ones(len(N)))
        a, b = np.log(np.maximum(size, 1e-6 * size.max()) / scale)
        start = [a + alpha * np.log(N).mean(), b + beta * np.log(D).mean(), alpha, beta, gamma, c0]
        theta = np.array([*start, np.log(h), np.log(f), np.log(1.3)])
        error = float(np.sum(np.abs(_distilled(theta, inputs) - log_loss)))
        found.append((error, theta))
    return np.array([theta for _, theta in sorted(found, key=lambda pair: pair[0])[:8]])


DISTILLED = Law(
    name="distilled",
    formula="L = L_T + L_T^-c0 (1 + (L_T/(L_own d1))^(1/f1))^(-c1 f1) (A/N^alpha + B/D^beta)^gamma, h = c1 f1 d1^(-1/f1)",
    symbols=(*_PREFIX, "c0", "h", "f1", "d1"),
    units=("1",) * 9,
    positive=(True, True, False, False, False, False, True, True, True),
    inputs=("params", "tokens", "teacher_loss", "own_loss"),
    source="Busbridge et al. 2025, arXiv:2502.08606, Eq. 8",
    valid="fresh students, pure distillation at temperature 1; d1 is known only from teachers worse than their student",
    published={"Busbridge et al. 2025": BUSBRIDGE_2025_DISTILLED},
    model=GeneralModel(_distilled, _distilled_jacobian, _distilled_starts),
)
"""The law of the distilled student, for ``fit_scaling_law`` and for evaluation."""

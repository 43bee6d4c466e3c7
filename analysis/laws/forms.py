r"""Laws of the loss of plain training, by name.

==============  ====================================================================  ====================================
name            formula                                                               source
==============  ====================================================================  ====================================
chinchilla      :math:`L = E + A N^{-\alpha} + B D^{-\beta}`                          Hoffmann et al. 2022, 2203.15556
power           :math:`L = E + A C^{-\alpha}`                                         Henighan et al. 2020, 2010.14701
kaplan          :math:`L = [(N_c/N)^{\alpha_N/\alpha_D} + D_c/D]^{\alpha_D}`          Kaplan et al. 2020, 2001.08361
outer           :math:`L = E + (A N^{-\alpha} + B D^{-\beta})^\gamma`                 Busbridge et al. 2025, 2502.08606
==============  ====================================================================  ====================================

N: parameters, D: training tokens, C: training compute (FLOP), L: loss (nats/token). ``chinchilla`` and ``power`` are sums of
powers, which are solved thousands at a time; the others take the general path.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from analysis.laws.general import GeneralModel
from analysis.laws.parametric import Law, posynomial_law
from curselab.errors import InputError

Vector = NDArray[np.float64]

HOFFMANN_2022 = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
"""Hoffmann et al. (2022), arXiv:2203.15556, Eq. 10: as printed, rounded."""
BESIROGLU_2024 = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
"""Besiroglu et al. (2024), arXiv:2404.10102: refit to the points digitised from Hoffmann et al., figure 4."""
KAPLAN_2020 = {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
"""Kaplan et al. (2020), arXiv:2001.08361, table 2; N without embedding."""
BUSBRIDGE_2025 = {"E": 1.220, "A": 3355.0, "B": 18186.0, "alpha": 0.408, "beta": 0.431, "gamma": 0.452}
"""Busbridge et al. (2025), arXiv:2502.08606, table 6: supervised law."""


_MOST = 150.0  # of the logarithm of a power: squares of ratios must not overflow


def _kaplan(theta: Vector, inputs: Vector) -> Vector:
    """Ln L over ``(ln N_c, ln D_c, alpha_N, alpha_D)``."""
    n, d = np.log(inputs)
    log_n, log_d, a_n, a_d = (theta[..., i, None] for i in range(4))
    return np.asarray(a_d * np.logaddexp(a_n / a_d * (log_n - n), log_d - d))


def _kaplan_jacobian(theta: Vector, inputs: Vector) -> Vector:
    n, d = np.log(inputs)
    log_n, log_d, a_n, a_d = (theta[..., i, None] for i in range(4))
    u, v = a_n / a_d * (log_n - n), log_d - d
    total = np.logaddexp(u, v)
    share = np.exp(u - total)
    return np.stack([a_n * share, a_d * np.exp(v - total), share * (log_n - n), total - share * u], axis=-1)


def _kaplan_starts(inputs: Vector, log_loss: Vector) -> Vector:
    """At each pair of exponents, ``L^(1/alpha_D)`` is a linear, non-negative function of two powers."""
    n, d = np.log(inputs)
    found = []
    for a_n, a_d in product((0.05, 0.1, 0.2, 0.35), (0.05, 0.1, 0.2, 0.35)):
        ratio, level = a_n / a_d, log_loss.mean() / a_d
        design = np.column_stack([_relative(n, -ratio), _relative(d, -1.0)]) / _relative(log_loss, 1 / a_d)[:, None]
        size, _ = nnls(design, np.ones(len(n)))
        at_n, at_d = level + np.log(np.maximum(size, 1e-6 * size.max()))
        theta = np.array([at_n / ratio + n.mean(), at_d + d.mean(), a_n, a_d])
        found.append((float(np.sum((_kaplan(theta, inputs) - log_loss) ** 2)), theta))
    return np.array([theta for _, theta in sorted(found, key=lambda pair: pair[0])[:6]])


def _relative(logs: Vector, exponent: float) -> Vector:
    """Power of the size of one at the middle of the data, else the columns differ by many powers of ten; of bounded size."""
    return np.asarray(np.exp(np.clip(exponent * (logs - logs.mean()), -_MOST, _MOST)))


def _outer(theta: Vector, inputs: Vector) -> Vector:
    """Ln L over ``(ln E, ln A, ln B, alpha, beta, gamma)``."""
    n, d = np.log(inputs)
    e, a, b, alpha, beta, gamma = (theta[..., i, None] for i in range(6))
    return np.asarray(np.logaddexp(e, gamma * np.logaddexp(a - alpha * n, b - beta * d)))


def _outer_jacobian(theta: Vector, inputs: Vector) -> Vector:
    n, d = np.log(inputs)
    e, a, b, alpha, beta, gamma = (theta[..., i, None] for i in range(6))
    u, v = a - alpha * n, b - beta * d
    inner = np.logaddexp(u, v)
    total = np.logaddexp(e, gamma * inner)
    floor, reducible, share = np.exp(e - total), np.exp(gamma * inner - total), np.exp(u - inner)
    part_n, part_d = reducible * gamma * share, reducible * gamma * np.exp(v - inner)
    return np.stack([floor, part_n, part_d, -part_n * n, -part_d * d, reducible * inner], axis=-1)


def _outer_starts(inputs: Vector, log_loss: Vector) -> Vector:
    """At each floor, outer exponent and pair of exponents the sizes are a linear, non-negative fit."""
    n, d = np.log(inputs)
    loss, found = np.exp(log_loss), []
    for below, gamma, alpha, beta in product((0.4, 0.7, 0.9), (0.4, 0.7, 1.0), (0.2, 0.4, 0.7), (0.2, 0.4, 0.7)):
        E = below * loss.min()
        target = (loss - E) ** (1 / gamma)
        design = np.column_stack([np.exp(-alpha * (n - n.mean())), np.exp(-beta * (d - d.mean()))]) / target[:, None]
        size, _ = nnls(design, np.ones(len(n)))
        a, b = np.log(np.maximum(size, 1e-6 * size.max()))
        theta = np.array([np.log(E), a + alpha * n.mean(), b + beta * d.mean(), alpha, beta, gamma])
        found.append((float(np.sum((_outer(theta, inputs) - log_loss) ** 2)), theta))
    return np.array([theta for _, theta in sorted(found, key=lambda pair: pair[0])[:6]])


CHINCHILLA = posynomial_law(
    "chinchilla",
    formula="L = E + A/N^alpha + B/D^beta",
    terms=[("A", "alpha", "params"), ("B", "beta", "tokens")],
    floor="E",
    inputs=("params", "tokens"),
    source="Hoffmann et al. 2022, arXiv:2203.15556, Eq. 10",
    valid="runs whose learning rate has decayed, on text repeated at most about four times",
    published={"Hoffmann et al. 2022": HOFFMANN_2022, "Besiroglu et al. 2024": BESIROGLU_2024},
)
POWER = posynomial_law(
    "power",
    formula="L = E + A/C^alpha",
    terms=[("A", "alpha", "compute")],
    floor="E",
    inputs=("compute",),
    source="Henighan et al. 2020, arXiv:2010.14701, Eq. 1.1",
    valid="the best loss of each compute budget; not a cloud of runs of any shape",
)
KAPLAN = Law(
    name="kaplan",
    formula="L = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D",
    symbols=("N_c", "D_c", "alpha_N", "alpha_D"),
    units=("parameters", "tokens", "1", "1"),
    positive=(True, True, False, False),
    inputs=("params", "tokens"),
    source="Kaplan et al. 2020, arXiv:2001.08361, Eq. 1.5",
    valid="N without embedding; no irreducible loss, so not far beyond the data",
    published={"Kaplan et al. 2020": KAPLAN_2020},
    model=GeneralModel(_kaplan, _kaplan_jacobian, _kaplan_starts),
)
OUTER = Law(
    name="outer",
    formula="L = E + (A/N^alpha + B/D^beta)^gamma",
    symbols=("E", "A", "B", "alpha", "beta", "gamma"),
    units=("nats/token", "1", "1", "1", "1", "1"),
    positive=(True, True, True, False, False, False),
    inputs=("params", "tokens"),
    floor="E",
    powers=(("A", "alpha", "params"), ("B", "beta", "tokens")),
    source="Busbridge et al. 2025, arXiv:2502.08606, Eq. 7",
    valid="gamma is known only from runs with both few parameters and few tokens",
    published={"Busbridge et al. 2025": BUSBRIDGE_2025},
    model=GeneralModel(_outer, _outer_jacobian, _outer_starts, floor=0),
)

FORMS = {law.name: law for law in (CHINCHILLA, POWER, KAPLAN, OUTER)}


def find_form(law: str | Law) -> Law:
    """Return a law by name, or the law that is given.

    Raises
    ------
    InputError
        There is no such law.
    """
    if isinstance(law, Law):
        return law
    if law not in FORMS:
        raise InputError(f"law: {law!r} was given (allowed: {', '.join(FORMS)}, or a law made by custom_law)")
    return FORMS[law]

r"""The help-then-hurt law: added languages bring data up to a ceiling and take capacity. It is this project's own candidate.

.. math::
    L = E + A\,(N q^\kappa)^{-\alpha} + B\,(D + T(M))^{-\beta}, \qquad q = \frac{D_{seen}}{D_{seen} + M}

===================  =====================================  ===========================================
form                 T(M)                                   capacity
===================  =====================================  ===========================================
flat                 0                                      :math:`\kappa = 0`: others neither help nor hurt
linear               :math:`\tau M`                         :math:`\kappa = 0`: ATLAS with one :math:`\tau`
saturating           :math:`G D (1 - e^{-M/M_0})`           :math:`\kappa = 0`
saturating_capacity  :math:`G D (1 - e^{-M/M_0})`           :math:`c = \kappa \alpha \ge 0`
===================  =====================================  ===========================================

N parameters, D different target tokens, :math:`D_{seen}` with their repeats, M added tokens. kappa of 0: all capacity is
shared; 1: it is split by the shares of the text, as between directions of translation (Fernandes et al. 2023,
arXiv:2302.09650). The data term is that of ATLAS (arXiv:2510.22037); the ceiling is there since a constant tau cannot be:
+33 % target data at M/D of 100 and more (Chang et al. 2024, arXiv:2311.09205) would mean a tau of .0003 to .003, while pairs
of languages transfer far more. No paper prints a law of M at fixed target data, so none is claimed here: the forms are
compared by what they predict.

A mixture is worth :math:`\hat D` target tokens, :math:`(\hat D/D)^{-\beta} = (1 + T/D)^{-\beta} + (A/B) N^{-\alpha} D^\beta
(q^{-c} - 1)`, whatever E is. With linear T and capacity, adding helps at the margin below
:math:`D_c(N) = (\tau\beta B / (\kappa\alpha A))^{1/\beta} N^{\alpha/\beta}`.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from analysis.laws.published import Trust
from curselab.errors import InputError

Vector = NDArray[np.float64]
Form = Literal["flat", "linear", "saturating", "saturating_capacity"]
FORMS: tuple[Form, ...] = get_args(Form)
_SEARCH = np.log(1e18)


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpThenHurt:
    """The law with its constants, which are always somebody's own: none are published."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    cost: float = 0.0
    """c = kappa alpha: ln of the capacity term that is lost with each e-fold of the target's share."""
    gain: float = 0.0
    """G: added data are worth at most so many times the target's own."""
    scale: float = np.inf
    """M0, tokens."""
    tau: float = 0.0
    """Of the linear form."""
    name: str = "help, then hurt (this project's candidate)"
    formula: str = "L = E + A (N q^kappa)^-alpha + B (D + T)^-beta, T = tau M + G D (1 - exp(-M/M0))"
    source: str = "this project, from the data term of arXiv:2510.22037 and the capacity term of arXiv:2302.09650"
    trust: Trust = "fitted"
    valid: str = "the sizes, data and mixtures that it was fitted to"

    def loss(self, params: ArrayLike, tokens: ArrayLike, added: ArrayLike, seen: ArrayLike | None = None) -> Vector:
        """Loss of the target, in the unit of E, shape of the arguments; ``seen`` are the target's tokens with repeats."""
        N, D, M = (np.asarray(x, dtype=float) for x in (params, tokens, added))
        share = _share(D, M, seen)
        return np.asarray(
            self.E + self.A * N**-self.alpha * share**-self.cost + self.B * (D + self.transfer(D, M)) ** -self.beta
        )

    def transfer(self, tokens: ArrayLike, added: ArrayLike) -> Vector:
        """T: target tokens that the added ones bring, before their cost."""
        D, M = (np.asarray(x, dtype=float) for x in (tokens, added))
        return np.asarray(self.tau * M - self.gain * D * np.expm1(-M / self.scale))

    def gain_log2(self, params: ArrayLike, tokens: ArrayLike, added: ArrayLike, seen: ArrayLike | None = None) -> Vector:
        """log2 of equivalent over actual target tokens."""
        N, D, M = (np.asarray(x, dtype=float) for x in (params, tokens, added))
        return gain_log2(
            self.transfer(D, M) / D,
            np.log(_share(D, M, seen)),
            log_ratio=np.log(self.A / self.B) - self.alpha * np.log(N) + self.beta * np.log(D),
            cost=self.cost,
            beta=self.beta,
        )

    def crossover(self, params: float, ratio: float, *, epochs: float = 1.0) -> float | None:
        """Target tokens above which adding ``ratio`` times as many others hurts; None where it never helps or never hurts.

        Raises
        ------
        InputError
            A number is not positive.
        """
        if not (params > 0 and ratio > 0 and epochs > 0):
            raise InputError(f"crossover: {params!r}, {ratio!r}, {epochs!r} were given, positive numbers are needed")

        def gain(log_tokens: float) -> float:
            D = np.exp(log_tokens)
            return float(self.gain_log2(params, D, ratio * D, epochs * D))

        at = np.linspace(0, _SEARCH, 600)
        turns = np.flatnonzero(np.diff(np.sign([gain(x) for x in at])) < 0)
        return float(np.exp(brentq(gain, at[turns[-1]], at[turns[-1] + 1]))) if len(turns) else None


def gain_log2(extra: Vector, log_share: Vector, *, log_ratio: Vector, cost: ArrayLike, beta: ArrayLike) -> Vector:
    """log2 of equivalent over actual target tokens.

    Parameters
    ----------
    extra : numpy.ndarray
        T / D.
    log_share : numpy.ndarray
        ln q.
    log_ratio : numpy.ndarray
        ln of the capacity term over the data term, both without additions.
    cost, beta : array_like
        Constants.
    """
    lost = np.exp(np.clip(log_ratio, -700, 700)) * np.expm1(-np.asarray(cost) * log_share)
    return np.asarray(-np.log((1 + extra) ** -np.asarray(beta) + lost) / (np.asarray(beta) * np.log(2)))


def _share(tokens: Vector, added: Vector, seen: ArrayLike | None) -> Vector:
    own = tokens if seen is None else np.asarray(seen, dtype=float)
    return np.asarray(own / (own + added))

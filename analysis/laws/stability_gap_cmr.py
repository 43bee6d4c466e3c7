r"""Which share of new text a budget allows: the critical mixture ratio of Gu et al.

.. math::
    L_{dom}(R) = a R^{s} + b, \qquad \Delta L_{dom}(T) = a_1 T^{s_1} + b_1, \qquad
    \Delta L_{gen}(T) = a_2 T^{s_2} + a_3 T^{s_3} + b_2, \qquad R^*(T) = a_4 T^{s_4} + b_3

R share of the new text, T tokens in units of 0.2B, and R* the largest share at which the general loss rises by at most 0.05
nats while the domain's loss still falls.

Source: Gu et al. (2024), CMR Scaling Law, arXiv:2407.17467, Eq. 8, tables 2 and 5; the constants through a transcription,
which gives the four shares of the text at 20B tokens.

Known failures: R* falls below zero at 2.5B to 3.4B tokens, where no share is allowed; it changes the sign of its exponent from
one size to the next, so it must not be interpolated in the size; at 1.6B its limit is above one; the bound of 0.05 nats is a
choice. Warm-up and a constant rate of 3e-5 throughout, so nothing of the loss is the schedule's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.result import Note
from analysis.laws.published import Coefficient, Trust, outside
from curselab.errors import InputError

Vector = NDArray[np.float64]
TOKENS_UNIT = 0.2e9


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalRatio:
    """The largest share of new text by budget, for one model and one domain."""

    name: str
    coefficients: tuple[Coefficient, ...]
    share_at_20B: float
    """As the text prints it."""
    formula: str = "R* = a4 T^s4 + b3, T in 0.2B tokens"
    tolerance: float = 0.05
    """Rise of the general loss that is allowed, nats/token."""
    source: str = "arXiv:2407.17467, table 5 of the published version, through a transcription"
    trust: Trust = "secondary"
    valid: str = "after 200B tokens of pre-training, warm-up and a constant rate of 3e-5"
    tokens_range: tuple[float, float] = (0.2e9, 20e9)
    """Budgets of continual pre-training that were run, tokens."""

    def share(self, tokens: ArrayLike) -> Vector:
        """Largest share of new text, shape of the argument; zero where the law allows none and at most one."""
        return np.clip(self._raw(tokens), 0.0, 1.0)

    def smallest_budget(self) -> float:
        """Tokens below which the law allows no new text at all."""
        a, s, b = (c.value for c in self.coefficients)
        return float((-b / a) ** (1 / s) * TOKENS_UNIT)

    def notes(self, tokens: float) -> tuple[Note, ...]:
        """Say where an answer leaves the law's range."""
        found = outside({"budget (tokens)": (tokens, self.tokens_range)})
        if not 0 <= float(self._raw(tokens)) <= 1:
            found += (Note("outside_law", f"the law gives a share of {float(self._raw(tokens)):.3g}, which is none"),)
        return found

    def _raw(self, tokens: ArrayLike) -> Vector:
        T = np.asarray(tokens, dtype=float) / TOKENS_UNIT
        if not (T > 0).all():
            raise InputError(f"tokens: {tokens!r} was given, more than zero are needed")
        a, s, b = (c.value for c in self.coefficients)
        return np.asarray(a * T**s + b)


def _finance(size: str, a: float, s: float, b: float, share: float) -> CriticalRatio:
    constants = (Coefficient("a4", a, "1"), Coefficient("s4", s, "1"), Coefficient("b3", b, "1"))
    return CriticalRatio(name=f"Gu et al. 2024, {size}, Finance", coefficients=constants, share_at_20B=share)


CMR_2024: Mapping[str, CriticalRatio] = {
    "460m": _finance("460M", 0.22524761, 0.26944345, -0.48139982, 0.298),
    "940m": _finance("940M", 0.7520627, 0.13720245, -1.06581937, 0.349),
    "1.6b": _finance("1.6B", -2.36384831, -0.15125569, 1.59223649, 0.414),
    "3.1b": _finance("3.1B", -2.5368197, -0.42071423, 0.84375368, 0.478),
}
"""By the model's size; never interpolate between them."""


def general_rise(tokens: ArrayLike, *, a2: float, s2: float, a3: float, s3: float, b2: float = 0.0) -> Vector:
    """Rise of the general loss at one share, nats/token: two powers of T, which may rise and then fall."""
    T = np.asarray(tokens, dtype=float) / TOKENS_UNIT
    return np.asarray(a2 * T**s2 + a3 * T**s3 + b2)


def turning_point(*, a2: float, s2: float, a3: float, s3: float) -> float | None:
    """Tokens at which the general loss turns; None where it never does.

    Notes
    -----
    The derivative of the two powers is zero at ``T = (-a3 s3 / a2 s2)^(1 / (s2 - s3))``.
    """
    ratio = -(a3 * s3) / (a2 * s2) if a2 * s2 else -1.0
    return float(ratio ** (1 / (s2 - s3)) * TOKENS_UNIT) if ratio > 0 and s2 != s3 else None

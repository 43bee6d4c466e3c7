r"""The law of ATLAS: tokens of other languages count as target tokens, each language's at a rate of its own.

.. math::
    L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D_{eff}^\beta}, \qquad
    D_{eff} = S(D_t; U_t) + \sum_i \tau_i S(D_i; U_i) + \tau_{other} S(D_{other}; U_{other})

S is the saturation of :mod:`analysis.laws.multilinguality_repetition`, its lambda shared by all languages. The sum runs over
the three languages that are most often trained together with the target. Source: ATLAS, arXiv:2510.22037 v2, equations 1 to 3
and table C.1. The paper prints E, A, B and the exponents of six languages in three regimes, and no lambda or tau: these are
the user's own.

Known failures: the losses are vocabulary-insensitive (minus the log of p(w | context) / p(w)), so they are no nats/token; two
digits of the exponents make them shapes, not predictions; the rows of Unimax mixtures (exponents of .16 to .21, E of 0 but for
Chinese) are another regime and are not to be compared with the others term by term.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.forms import CHINCHILLA
from analysis.laws.multilinguality_repetition import fresh_tokens
from analysis.laws.published import Coefficient, Trust
from curselab.errors import InputError

Vector = NDArray[np.float64]
Regime = Literal["mono_vocab_mono_train", "multi_vocab_mono_train", "multi_vocab_unimax_train"]

TABLE_C1: Mapping[Regime, Mapping[str, tuple[float, float, float, float, float]]] = {
    "mono_vocab_mono_train": {
        "en": (0.67, 6.18, 0.41, 8.25, 0.41),
        "fr": (0.76, 10.11, 0.64, 13.24, 0.64),
        "ru": (0.82, 10.07, 0.63, 13.28, 0.63),
        "zh": (1.08, 8.20, 0.46, 10.37, 0.46),
        "hi": (0.52, 6.03, 0.39, 8.03, 0.39),
        "sw": (0.0, 4.13, 0.26, 5.51, 0.26),
    },
    "multi_vocab_mono_train": {
        "en": (0.83, 9.91, 0.63, 13.06, 0.63),
        "fr": (0.66, 7.12, 0.45, 8.94, 0.45),
        "ru": (0.76, 7.97, 0.49, 9.91, 0.49),
        "zh": (1.18, 8.87, 0.49, 10.90, 0.49),
        "hi": (0.63, 6.99, 0.43, 8.69, 0.43),
        "sw": (0.0, 4.99, 0.30, 6.43, 0.30),
    },
    "multi_vocab_unimax_train": {
        "en": (0.0, 3.03, 0.16, 3.15, 0.16),
        "fr": (0.0, 3.63, 0.19, 3.94, 0.19),
        "ru": (0.0, 3.90, 0.20, 4.28, 0.20),
        "zh": (0.39, 4.58, 0.21, 5.47, 0.21),
        "hi": (0.0, 3.46, 0.18, 3.89, 0.18),
        "sw": (0.0, 3.52, 0.18, 3.74, 0.18),
    },
}
"""E, ln A, alpha, ln B, beta by regime and language: ATLAS, arXiv:2510.22037 v2, table C.1."""

_SYMBOLS = ("E", "logA", "alpha", "logB", "beta")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLaw:
    """ATLAS' law of one target language; :meth:`published` reads its printed constants."""

    coefficients: tuple[Coefficient, ...]
    decay: float | None = None
    """lambda of repeated text; the paper prints none."""
    transfer: Mapping[str, float] = field(default_factory=dict)
    """tau of each language that counts on its own; below zero it harms."""
    transfer_other: float = 0.0
    """tau of all others together."""
    name: str = "ATLAS 2025"
    formula: str = "L = E + A/N^alpha + B/D_eff^beta, D_eff = S(D_t) + sum tau_i S(D_i) + tau_other S(D_other)"
    source: str = "arXiv:2510.22037 v2, equations 1 to 3, table C.1"
    trust: Trust = "primary"
    valid: str = "10M to 8B parameters; vocabulary-insensitive loss, which is no nats/token; constants of 2 digits"
    params_range: tuple[float, float] = (9.0e6, 8.45e9)

    @classmethod
    def published(cls, language: str, regime: Regime = "mono_vocab_mono_train", **more: object) -> "TransferLaw":
        """Read a row of table C.1, with one's own ``decay``, ``transfer`` and ``transfer_other``.

        Raises
        ------
        InputError
            The paper has no such row.
        """
        if regime not in TABLE_C1 or language not in TABLE_C1[regime]:
            known = ", ".join(TABLE_C1["mono_vocab_mono_train"])
            raise InputError(f"ATLAS: {language!r}, {regime!r} was given (languages: {known}; regimes: {', '.join(TABLE_C1)})")
        units = ("vocabulary-insensitive loss", "ln", "1", "ln", "1")
        values = zip(_SYMBOLS, TABLE_C1[regime][language], units, strict=True)
        return cls(coefficients=tuple(Coefficient(*row) for row in values), **more)  # type: ignore[arg-type]

    def effective_tokens(
        self,
        tokens: ArrayLike,
        added: Mapping[str, ArrayLike] | None = None,
        *,
        unique: ArrayLike | None = None,
        added_unique: Mapping[str, ArrayLike] | None = None,
    ) -> Vector:
        """Target tokens that all tokens are worth.

        Parameters
        ----------
        tokens : array_like
            Target tokens seen.
        added : mapping, optional
            Tokens seen of each other language.
        unique, added_unique : optional
            Different tokens among them; left out, all are.

        Raises
        ------
        InputError
            Tokens are repeated and the law has no ``decay``.
        """
        others, their = dict(added or {}), dict(added_unique or {})
        total = self._worth(tokens, tokens if unique is None else unique)
        for language, seen in others.items():
            total = total + self.transfer.get(language, self.transfer_other) * self._worth(seen, their.get(language, seen))
        return total

    def loss(self, params: ArrayLike, effective_tokens: ArrayLike) -> Vector:
        """Vocabulary-insensitive loss at so many effective tokens, shape of the arguments."""
        E, log_a, alpha, log_b, beta = (c.value for c in self.coefficients)
        constants = {"E": E, "A": np.exp(log_a), "B": np.exp(log_b), "alpha": alpha, "beta": beta}
        return CHINCHILLA.predict(constants, params, effective_tokens)

    def _worth(self, tokens: ArrayLike, unique: ArrayLike) -> Vector:
        if self.decay is None and np.any(np.asarray(tokens) > np.asarray(unique)):
            raise InputError("ATLAS: tokens are repeated, so its lambda is needed (decay=...): the paper prints none")
        return fresh_tokens(tokens, unique, self.decay or 1.0)

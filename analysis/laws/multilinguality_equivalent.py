r"""Equivalent target data by the definitions of others: Chang's log power of the tokens, and the bilingual transfer score.

.. math::
    \mathrm{rel}(D) = c - a\,(\log_{10} D)^{-b}, \qquad
    \hat D = 10^{(a / (c - \mathrm{rel}))^{1/b}}, \qquad
    \mathrm{BTS} = -\frac{\sigma - 2d}{d}

====================  =============================================================================  ================
symbol                meaning                                                                        unit
====================  =============================================================================  ================
:math:`\mathrm{rel}`  log-likelihood of the target above a reference model's                         bits/token
:math:`D, \hat D`     monolingual tokens; those that a multilingual model is worth                   tokens
:math:`d`             tokens of a monolingual model                                                  tokens
:math:`\sigma`        tokens (of both languages) after which a half-and-half model has its loss      tokens
====================  =============================================================================  ================

Sources: Chang et al. (2024), When Is Multilinguality a Curse?, arXiv:2311.09205, section 4.2 and appendix A.4 (no constants
are printed; where four sizes of data are not to be had, the paper fixes a at its median over languages); ATLAS,
arXiv:2510.22037, section 4 and appendix B.5.

Known failures: the log power has three constants and at most four points a language; a score of a thesis, D_mono / D_bi, has
its neutral point at 0.5 and is another quantity; only 72 pairs of the matrix of ATLAS were measured, all others are predicted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.published import Coefficient, Trust
from curselab.errors import InputError

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPower:
    """The monolingual curve of Chang et al., of one language and one size of model."""

    a: float
    b: float
    c: float
    """Log-likelihood that no amount of data exceeds, bits/token."""
    name: str = "Chang et al. 2024"
    formula: str = "rel = c - a (log10 D)^-b"
    source: str = "arXiv:2311.09205, section 4.2"
    trust: Trust = "secondary"
    valid: str = "models of 4.6M to 45.8M parameters, 1M to 1B tokens; one fit a language and size"

    def __post_init__(self) -> None:
        if not (self.a > 0 and self.b > 0):
            raise InputError(f"log power: a = {self.a!r} and b = {self.b!r} were given, both are above 0")

    def relative(self, tokens: ArrayLike) -> Vector:
        """Log-likelihood above the reference's, bits/token, of models trained on more than one token."""
        return np.asarray(self.c - self.a * np.log10(np.asarray(tokens, dtype=float)) ** -self.b)

    def tokens(self, relative: ArrayLike) -> Vector:
        """Monolingual tokens of the same log-likelihood; infinite at ``c`` and above."""
        below = self.c - np.asarray(relative, dtype=float)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return np.where(below > 0, 10.0 ** ((self.a / below) ** (1 / self.b)), np.inf)


def transfer_score(tokens_to_loss: ArrayLike, tokens: ArrayLike) -> Vector:
    """Bilingual transfer score: 0 is neutral, 1 would mean that the other language's tokens count in full.

    Parameters
    ----------
    tokens_to_loss : array_like
        Tokens of both languages together that the half-and-half model needs.
    tokens : array_like
        Tokens of the monolingual model with the same loss.
    """
    d = np.asarray(tokens, dtype=float)
    return np.asarray((2 * d - np.asarray(tokens_to_loss, dtype=float)) / d)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferScores:
    """What ATLAS found of its scores, 2B parameters, 42B monolingual tokens."""

    name: str = "ATLAS transfer scores"
    formula: str = "BTS = -(sigma - 2 d) / d"
    coefficients: tuple[Coefficient, ...] = (
        Coefficient("mean_same_script", -0.23, "1"),
        Coefficient("mean_different_script", -0.39, "1"),
        Coefficient("r_of_both_directions", -0.11, "1"),
    )
    source: str = "arXiv:2510.22037 v2, section 4"
    trust: Trust = "primary"
    valid: str = "pairs of 30 languages in equal shares; 72 pairs measured, the others predicted by a forest (R2 0.85)"
    params: float = 2e9
    tokens: float = 42e9

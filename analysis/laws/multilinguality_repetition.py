r"""What repeated text is worth in fresh tokens: the saturation of Muennighoff et al. and of ATLAS, which are one function.

.. math:: S(D; U) = \begin{cases} D & D \le U \\
          U \left(1 + \frac{1 - \exp(-\lambda (D/U - 1))}{\lambda}\right) & D > U \end{cases}, \qquad \lambda = 1 / R^*_D

D tokens seen, of which U are different; the ceiling is :math:`U (1 + 1/\lambda)`. Sources: Muennighoff et al. (2023), Scaling
Data-Constrained Language Models, arXiv:2305.16264, section 3 and appendix A; ATLAS, arXiv:2510.22037 v2, equation 3.

Known failures: the constants of the loss are rounded in print; one text (C4), one tokenizer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.published import Coefficient, Trust

Vector = NDArray[np.float64]


def fresh_tokens(tokens: ArrayLike, unique: ArrayLike, decay: float) -> Vector:
    """Fresh tokens that repeated ones are worth.

    Parameters
    ----------
    tokens, unique : array_like
        Tokens seen, and different tokens among them; one shape.
    decay : float
        lambda above, of the worth of a repeat with the repeats before it.

    Returns
    -------
    numpy.ndarray
        Shape of the arguments.
    """
    D, U = (np.asarray(x, dtype=float) for x in (tokens, unique))
    repeats = np.maximum(np.divide(D, U, out=np.ones(np.broadcast_shapes(D.shape, U.shape)), where=U > 0) - 1, 0.0)
    return np.asarray(np.where(D <= U, D, U * (1 - np.expm1(-decay * repeats) / decay)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConstrained:
    """Loss of a model trained on repeated text: its tokens and its excess parameters both count for less."""

    name: str = "Muennighoff et al. 2023"
    formula: str = "L = E + A/N'^alpha + B/D'^beta, D' = U + U R_D (1 - exp(-(D/U - 1)/R_D)), N' likewise"
    coefficients: tuple[Coefficient, ...] = (
        Coefficient("E", 1.87, "nats/token"),
        Coefficient("A", 521.0, "1"),
        Coefficient("B", 1488.0, "1"),
        Coefficient("alpha", 0.353, "1"),
        Coefficient("beta", 0.353, "1"),
        Coefficient("R_D", 15.387756, "repeats"),
        Coefficient("R_N", 5.309743, "1"),
    )
    source: str = "arXiv:2305.16264, section 3 and appendix A"
    trust: Trust = "primary"
    """Of the two constants of repetition; the other five are rounded and secondary."""
    valid: str = "C4, 7M to 9B parameters, up to 900B tokens, up to about 16 repeats for the token term"

    def fresh_tokens(self, tokens: ArrayLike, unique: ArrayLike) -> Vector:
        """Fresh tokens that repeated ones are worth, shape of the arguments."""
        return fresh_tokens(tokens, unique, 1 / self._value("R_D"))

    def loss(self, params: ArrayLike, tokens: ArrayLike, unique: ArrayLike) -> Vector:
        """Loss, nats/token, shape of the arguments; parameters beyond the best for the unique tokens count for less."""
        N, U = (np.asarray(x, dtype=float) for x in (params, unique))
        E, A, B, alpha, beta, _, excess = (c.value for c in self.coefficients)
        best = (alpha * A / (beta * B)) ** (2 / (alpha + beta)) * U ** (beta / alpha)
        useful = fresh_tokens(N, np.minimum(N, best), 1 / excess)
        return np.asarray(E + A * useful**-alpha + B * self.fresh_tokens(tokens, U) ** -beta)

    def _value(self, symbol: str) -> float:
        return next(c.value for c in self.coefficients if c.symbol == symbol)

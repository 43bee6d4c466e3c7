r"""How much larger a model and its text must be to serve more languages: ATLAS' law of K evenly sampled languages.

.. math::
    L(K, N, D) = L_\infty + A \frac{K^\phi}{N^\alpha} + B \frac{K^\psi}{D^\beta}, \qquad D_{tot} = K D

From K to r K languages at equal loss and least compute:

.. math::
    \frac{N'}{N} = r^{\phi/\alpha}, \quad \frac{D'}{D} = r^{\psi/\beta}, \quad \frac{D_{tot}'}{D_{tot}} = r^{1 + \psi/\beta},
    \quad \frac{C'}{C} = r^{1 + \phi/\alpha + \psi/\beta}

With N fixed at s times the old one instead, :math:`t = D'/D` solves
:math:`r^\phi w_N s^{-\alpha} + r^\psi w_D t^{-\beta} = 1`, where :math:`w_N = \beta/(\alpha+\beta)` and
:math:`w_D = 1 - w_N` at a compute-optimal start; there is no such t unless :math:`s^\alpha > r^\phi w_N`.

Source: ATLAS, arXiv:2510.22037 v2, equation 7, figure 5 and appendix B.7. It prints phi, psi and the three exponents of r, no
L_inf, A or B and no interval: alpha and beta are computed from print, and the intervals here are those of rounding alone.

Known failures: which languages there are changes with K too; models of 25 to 400 languages with enough tokens show no
significant loss in another study (arXiv:2510.25947, abstract); the paper's law of the compute at which pre-training overtakes
fine-tuning is printed in three ways that exclude one another, and is left out.
"""

from dataclasses import dataclass

import numpy as np

from analysis.fitting.posynomial import Posynomial
from analysis.laws.parametric import Law, PosynomialModel
from analysis.laws.published import Coefficient, Trust
from curselab.errors import InputError

CAPACITY = Law(
    name="capacity",
    formula="L = E + A K^phi/N^alpha + B K^psi/D^beta",
    symbols=("E", "A", "B", "phi", "alpha", "psi", "beta"),
    units=("nats/token", "nats/token", "nats/token", "1", "1", "1", "1"),
    positive=(True, True, True, False, False, False, False),
    inputs=("languages", "params", "tokens"),
    floor="E",
    source="ATLAS 2025, arXiv:2510.22037, equation 7",
    valid="K languages in equal shares, D tokens a language, none repeated",
    model=PosynomialModel(
        Posynomial(((0.0, 0.0, 0.0, 0.0), (1.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, -1.0))),
        (0, 1, 0, 2),
    ),
)
"""For ``fit_scaling_law`` and for evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagesLaw:
    """ATLAS' printed answer to more languages."""

    name: str = "ATLAS 2025"
    formula: str = "N'/N = r^(phi/alpha), D_tot'/D_tot = r^(1 + psi/beta), C'/C = r^(1 + phi/alpha + psi/beta)"
    coefficients: tuple[Coefficient, ...] = (
        Coefficient("phi", 0.11, "1"),
        Coefficient("psi", -0.04, "1"),
        Coefficient("alpha", 0.453, "1", 0.43, 0.47),
        Coefficient("beta", 0.147, "1", 0.13, 0.17),
        Coefficient("params_exponent", 0.243, "1"),
        Coefficient("tokens_exponent", 0.728, "1"),
        Coefficient("compute_exponent", 0.97, "1"),
    )
    rounding: float = 0.0005
    """Of the three printed exponents: half a unit of their last digit."""
    source: str = "arXiv:2510.22037 v2, equation 7 and figure 5"
    trust: Trust = "primary"
    valid: str = "4 to 50 languages in equal shares, 9.0M to 8.45B parameters, no repeated text"
    languages_range: tuple[float, float] = (4, 50)
    params_range: tuple[float, float] = (9.0e6, 8.45e9)

    def multipliers(self, ratio: float) -> dict[str, tuple[float, float, float]]:
        """Value and ends, by rounding, of what ``params``, ``tokens`` (of all languages) and ``compute`` are multiplied by."""
        check_ratio(ratio)
        found = {}
        for quantity in ("params", "tokens", "compute"):
            exponent = self._value(f"{quantity}_exponent")
            ends = sorted(ratio ** (exponent + side * self.rounding) for side in (-1, 1))
            found[quantity] = (ratio**exponent, ends[0], ends[1])
        return found

    def tokens_each(self, ratio: float, params_ratio: float) -> float:
        """Tokens a language, over the old ones, that keep the loss with ``params_ratio`` times the parameters.

        Infinite where no number of tokens does: the model is too small for so many languages.
        """
        check_ratio(ratio)
        check_ratio(params_ratio)
        phi, psi, alpha, beta = (self._value(symbol) for symbol in ("phi", "psi", "alpha", "beta"))
        of_params = beta / (alpha + beta)
        left = 1 - ratio**phi * of_params * params_ratio**-alpha
        return float((ratio**psi * (1 - of_params) / left) ** (1 / beta)) if left > 0 else float("inf")

    def _value(self, symbol: str) -> float:
        return next(c.value for c in self.coefficients if c.symbol == symbol)


def check_ratio(ratio: float) -> None:
    """Refuse a ratio that is not positive and finite."""
    if not (np.isfinite(ratio) and ratio > 0):
        raise InputError(f"ratio: {ratio!r} was given, a positive finite number is needed")

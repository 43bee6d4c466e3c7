r"""Laws of a language's share of the training text: He et al. for families, Fernandes et al. for translation.

.. math::
    L_i = \left(E_i + A_i N^{-\alpha_i} + B_i D^{-\beta_i}\right) p_i^{-\gamma_i}, \qquad
    L_i = B_i (f_i(p)\, N)^{-\alpha_i} + E_i, \quad f(p) = p + c_1 p^{c_2} (1-p)^{c_3}

N parameters, D tokens of all languages together, p the share of language (or family) i. Shares with the lowest
:math:`\sum_i w_i L_i` solve :math:`w_i \gamma_i \hat L_i p_i^{-\gamma_i - 1} = \mu` where :math:`\hat L_i` is the loss of a
share of one; with weights :math:`1/\hat L_i`, as in the paper's normalised objective, they are the same at every N and D.

Sources: He et al. (2024), Scaling Laws for Multilingual Language Models, arXiv:2410.12883 (the law; its table of constants
was not to be had); Fernandes et al. (2023), Scaling Laws for Multilingual Neural Machine Translation, arXiv:2302.09650,
equations 6 to 12 (constants only in figures).

Known failures: in He's law another language can never help, since L_i depends on p_i alone; on the mixtures of ATLAS its
held-out R2 is 0.70, against 0.82 of a law with transfer; the gain of the best shares is small (normalised loss 5.895 against
5.912 of equal shares at 85M).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from analysis.fitting.posynomial import Posynomial
from analysis.laws.parametric import Law, PosynomialModel
from analysis.laws.published import Trust
from curselab.errors import InputError

Vector = NDArray[np.float64]

SHARE = Law(
    name="share",
    formula="L = (E + A/N^alpha + B/D^beta) / p^gamma",
    symbols=("E", "A", "B", "alpha", "beta", "gamma"),
    units=("nats/token", "nats/token", "nats/token", "1", "1", "1"),
    positive=(True, True, True, False, False, False),
    inputs=("params", "tokens", "share"),
    source="He et al. 2024, arXiv:2410.12883",
    valid="85M to 1.2B parameters, 23 languages in five families, D tokens of all families together; no transfer",
    model=PosynomialModel(Posynomial(((0.0, 0.0, -1.0), (-1.0, 0.0, -1.0), (0.0, -1.0, -1.0))), (0, 1, 2)),
)
"""He's law of one family, for ``fit_scaling_law`` and for evaluation."""


def optimal_shares(gamma: Mapping[str, float], weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """Shares of the training text with the lowest weighted sum of losses under He's law.

    Parameters
    ----------
    gamma : mapping
        Exponent of each language or family, above zero.
    weights : mapping, optional
        Of each language, times its loss at a share of one; left out, all equal: the paper's normalised objective.

    Returns
    -------
    dict
        Shares by language, of sum one.

    Raises
    ------
    InputError
        A value is not a positive finite number, or a language has no weight.
    """
    names = list(gamma)
    if weights is not None and set(weights) != set(names):
        raise InputError(f"weights: {', '.join(weights)} were given, one for each of {', '.join(names)} is needed")
    g = np.array([gamma[name] for name in names], dtype=float)
    w = np.array([1.0 if weights is None else weights[name] for name in names], dtype=float)
    if not (len(g) and np.isfinite([g, w]).all() and (g > 0).all() and (w > 0).all()):
        raise InputError("gamma, weights: positive finite numbers are needed, of one language or more")

    def shares(log_mu: float) -> Vector:
        return np.asarray(np.exp((np.log(w * g) - log_mu) / (g + 1)))

    ends = np.log(w * g)
    # at the lower end one share alone is above one, at the upper all are below 1 / n
    low, high = float(ends.min()) - 1.0, float(ends.max() + (g.max() + 1) * np.log(len(g))) + 1.0
    mu = brentq(lambda log_mu: np.log(shares(log_mu).sum()), low, high, xtol=1e-14, rtol=1e-14)
    p = shares(float(mu))
    return dict(zip(names, (p / p.sum()).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveShare:
    """Share of a model's parameters that a translation direction uses, as a function of its share of the text."""

    c1: float
    c2: float
    c3: float
    name: str = "Fernandes et al. 2023"
    formula: str = "f(p) = p + c1 p^c2 (1 - p)^c3"
    source: str = "arXiv:2302.09650, equations 6 to 12"
    trust: Trust = "primary"
    valid: str = "translation, 20M to 1B parameters without embedding, two directions; from English f(p) is nearly p"

    def share(self, text: ArrayLike) -> Vector:
        """Effective share N_eff / N of a share of the text, from 0 to 1; above it where the languages help one another."""
        p = np.asarray(text, dtype=float)
        return np.asarray(p + self.c1 * p**self.c2 * (1 - p) ** self.c3)

    def loss(self, params: ArrayLike, text: ArrayLike, *, E: float, B: float, alpha: float) -> Vector:
        """Loss of a direction from the constants of its own single-direction law ``E + B / N^alpha``."""
        return np.asarray(E + B * (self.share(text) * np.asarray(params, dtype=float)) ** -alpha)

r"""Forgetting while fine-tuning, by the share of old text that is mixed in: the law of Bethune et al., form only.

.. math:: L_{pt} = L_{pt}^0 + \frac{A\, D_{ft}^{\beta}}{((1 + B p) N)^{\alpha}} + E

N parameters, D_ft different tokens of the new text, p the injected share of the old one.

Source: Bethune et al. (2025), Scaling Laws for Forgetting during Finetuning with Pretraining Data Injection, arXiv:2502.06042
v2. **Unverified**: (1 + B p) N and the ratio stand in two summaries by others, the added E in neither, and no constants were
to be had, so all of them are the caller's. One finding: p = 1 % nearly stops forgetting.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.published import Trust

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionForgetting:
    """The form with constants of one's own."""

    A: float
    B: float
    alpha: float
    beta: float
    E: float = 0.0
    name: str = "Bethune et al. 2025"
    formula: str = "L_pt = L_pt0 + A D_ft^beta / ((1 + B p) N)^alpha + E"
    source: str = "arXiv:2502.06042 v2, through two summaries"
    trust: Trust = "secondary"
    verified: Literal[False] = False
    """The form was not compared with the paper."""
    valid: str = "41M to 1.27B parameters at 100 tokens a parameter, 300K to 30M tokens of 12 domains, p from 0 to 0.05"

    def forgetting(self, params: ArrayLike, tokens: ArrayLike, injected: ArrayLike) -> Vector:
        """Rise of the loss on the old text, nats/token, shape of the arguments."""
        N, D, p = (np.asarray(x, dtype=float) for x in (params, tokens, injected))
        return np.asarray(self.A * D**self.beta / ((1 + self.B * p) * N) ** self.alpha + self.E)

    def worth_in_params(self, injected: ArrayLike) -> Vector:
        """Size of the model that forgets as little without injection, over the model's own: ``1 + B p``."""
        return np.asarray(1 + self.B * np.asarray(injected, dtype=float))

r"""Loss at any step of continual pre-training under any schedule, and what of it is the learning rate and what the new text.

.. math::
    L(t) = L_0 + A (S_1^{pt} + S_1^{cpt})^{-\alpha} - C_1 S_2^{pt} - C_2 S_2^{cpt}
           + B \left(1 - (1 + E S_1^{cpt})^{-\beta}\right)

=========================  ===============================================================  ==================
symbol                     meaning                                                          unit
=========================  ===============================================================  ==================
:math:`L`                  loss on the old text (``general``) or the new one (``domain``)   nats/token
:math:`S_1, S_2`           forward and annealing area, :mod:`analysis.laws.stability_gap_schedule`   1
:math:`C_1, C_2`           worth of the learning rate's decay before and after the shift    nats/token
:math:`B, E, \beta`        size, speed and exponent of the shift                            nats/token, 1, 1
=========================  ===============================================================  ==================

Source: Wang et al. (2025), Learning Dynamics in Continual Pre-Training for Large Language Models, arXiv:2505.07796 v2, Eq. 4,
Fig. 3, 11, 12, 15 and 16 (no intervals are printed). Eq. 7 gives the constants' change with the model's size, Eq. 8 with the
replayed share, Eq. 6 the loss on a third text. Batches of 4M tokens, peak rate 2e-4.

Known failures: a published set belongs to its model, text and batch; where beta is near zero only B beta is known, and where
the forward area of pre-training was itself fitted, alpha is not; the constants of Eq. 8 cannot be taken over, since the
exponent beta is not printed; which set of Fig. 12 belongs to which share of replay is inferred from their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from analysis.laws.published import Coefficient, Trust
from analysis.laws.stability_gap_schedule import Path
from curselab.errors import InputError

Vector = NDArray[np.float64]
Target = Literal["general", "domain"]

SYMBOLS = ("L0", "A", "alpha", "B", "E", "beta", "C1", "C2")
UNITS = ("nats/token", "nats/token", "1", "nats/token", "1/learning rate", "1", "nats/token", "nats/token")
_AREAS = np.geomspace(1e-8, 1e8, 1601)  # of continual pre-training; a usual run covers 0.1 to 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Turning:
    """What the law says of a start and a constant learning rate; None where it never happens."""

    rises: bool
    """The loss rises at first."""
    peak_area: float | None
    """Forward area at the first maximum."""
    peak_rise: float | None
    """Loss there above its start, nats/token."""
    return_area: float | None
    """Forward area where the loss is first back at its start: the turning length."""
    limit_rise: float
    """Loss in the limit above its start, nats/token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualLaw:
    """The law with one set of constants."""

    name: str
    target: Target
    coefficients: tuple[Coefficient, ...]
    formula: str = "L = L0 + A (S1pt + S1cpt)^-alpha - C1 S2pt - C2 S2cpt + B (1 - (1 + E S1cpt)^-beta)"
    source: str = "arXiv:2505.07796 v2, Eq. 4"
    trust: Trust = "primary"
    valid: str = "one model and one pair of texts, batches of 4M tokens, peak learning rate 2e-4"

    @property
    def constants(self) -> dict[str, float]:
        """Values by symbol."""
        return {c.symbol: c.value for c in self.coefficients}

    def loss(self, path: Path) -> Vector:
        """Loss at each step of a path, nats/token, ``(n,)``."""
        return self.parts(path)["loss"].to_numpy()

    def parts(self, path: Path) -> pd.DataFrame:
        """Split the loss at each step into its causes.

        Returns
        -------
        pandas.DataFrame
            ``loss`` and its summands, nats/token: ``base`` (pre-training carried on at its own schedule's end),
            ``learning_rate`` (``-C2 S2cpt``: above zero after re-warming) and ``shift`` (the new text).
        """
        c = self.constants
        base = c["L0"] + c["A"] * (path.forward_before + path.forward) ** -c["alpha"] - c["C1"] * path.annealing_before
        rate, shift = -c["C2"] * path.annealing, self.shift(path.forward)
        return pd.DataFrame({"loss": base + rate + shift, "base": base, "learning_rate": rate, "shift": shift})

    def shift(self, forward: ArrayLike) -> Vector:
        """Part of the shift after a forward area, nats/token, shape of the argument."""
        c = self.constants
        return np.asarray(-c["B"] * np.expm1(-c["beta"] * np.log1p(c["E"] * np.asarray(forward, dtype=float))))

    def loss_before(self, path: Path) -> float:
        """Loss at the start of continual pre-training, nats/token."""
        c = self.constants
        return float(c["L0"] + c["A"] * path.forward_before ** -c["alpha"] - c["C1"] * path.annealing_before)

    def critical_forward_area(self) -> float:
        """Forward area of pre-training beyond which the loss can never end below its start: ``(A / B)^(1 / alpha)``.

        Infinite where the shift lowers the loss. Known only as far as B is: not where beta is near zero.
        """
        c = self.constants
        return float((c["A"] / c["B"]) ** (1 / c["alpha"])) if c["B"] > 0 else np.inf

    def turning(self, forward_before: float) -> Turning:
        """Say where the loss turns and is back, at a constant learning rate after pre-training of a forward area."""
        c = self.constants

        def rise(area: float) -> float:
            before = c["A"] * forward_before ** -c["alpha"]
            return float(c["A"] * (forward_before + area) ** -c["alpha"] - before + self.shift(area))

        def slope(area: float) -> float:
            fall = c["alpha"] * c["A"] * (forward_before + area) ** -(c["alpha"] + 1)
            return float(c["B"] * c["beta"] * c["E"] * (1 + c["E"] * area) ** -(c["beta"] + 1) - fall)

        limit = c["B"] - c["A"] * forward_before ** -c["alpha"]
        slopes = np.array([slope(area) for area in _AREAS])
        turns = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
        if slope(0.0) <= 0 or not len(turns):
            return Turning(rises=slope(0.0) > 0, peak_area=None, peak_rise=None, return_area=None, limit_rise=limit)
        peak = float(brentq(slope, _AREAS[turns[0]], _AREAS[turns[0] + 1]))
        beyond = _AREAS[peak < _AREAS]
        below = np.flatnonzero([rise(area) < 0 for area in beyond])
        back = float(brentq(rise, peak, beyond[below[0]])) if len(below) else None
        return Turning(rises=True, peak_area=peak, peak_rise=rise(peak), return_area=back, limit_rise=limit)

    def with_replay(self, new_share: float, *, shift_rate: float, annealing_rate: float = 0.0) -> "ContinualLaw":
        """Constants at a share of new text (Eq. 8), from those of a law whose B is Eq. 8's own; its constants must be fitted.

        The shift of the general loss is B (1 - exp(-a2 r)), that of the domain's B (exp(a2 r) - 1), and C2 grows as
        exp(a1 r), with r the share of new text.
        """
        if not 0 <= new_share <= 1:
            raise InputError(f"new_share: {new_share!r} was given, a share between 0 and 1 is needed")
        sign = -1.0 if self.target == "general" else 1.0
        factor = {"B": sign * np.expm1(sign * shift_rate * new_share), "C2": np.exp(annealing_rate * new_share)}
        scaled = tuple(replace(c, value=c.value * float(factor.get(c.symbol, 1.0))) for c in self.coefficients)
        return replace(self, coefficients=scaled, source="arXiv:2505.07796 v2, Eq. 8", trust="derived")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualSizes:
    """How the constants change with the model's size (Eq. 7); N counts millions, which alone gives the printed L0."""

    target: Target
    coefficients: tuple[Coefficient, ...]
    name: str = "Wang et al. 2025, FineWeb to Knowledge-Pile"
    formula: str = "L0 + F N^-gamma3, C1 N^gamma1, C2 N^gamma2, N in millions"
    source: str = "arXiv:2505.07796 v2, Eq. 7, Fig 15"
    trust: Trust = "primary"
    params_range: tuple[float, float] = (106e6, 1720e6)
    """Models that were trained, parameters."""

    def at(self, params: float) -> ContinualLaw:
        """Law of a model of so many parameters."""
        c, N = {c.symbol: c.value for c in self.coefficients}, params / 1e6
        moved = {
            "L0": c["L0"] + c["F"] * N ** -c["gamma3"],
            "C1": c["C1"] * N ** c["gamma1"],
            "C2": c["C2"] * N ** c["gamma2"],
        }
        values = tuple(Coefficient(s, moved.get(s, c[s]), unit) for s, unit in zip(SYMBOLS, UNITS, strict=True))
        name = f"{self.name}, {params:.3g} parameters"
        return ContinualLaw(name=name, target=self.target, coefficients=values, source=self.source, trust="derived")


def published(values: tuple[float, ...], *, name: str, target: Target, place: str) -> ContinualLaw:
    """Law of constants in the order of ``SYMBOLS``."""
    constants = tuple(Coefficient(*row) for row in zip(SYMBOLS, values, UNITS, strict=True))
    source = f"arXiv:2505.07796 v2, {place}"
    return ContinualLaw(name=f"Wang et al. 2025, {name}", target=target, coefficients=constants, source=source)


def other_loss(general: ArrayLike, domain: ArrayLike, text: str) -> Vector:
    """Loss on a third text, nats/token, as a weighted sum of the other two (Eq. 6); texts are those of ``WANG_2025_OTHER``.

    Raises
    ------
    InputError
        No weights were published for the text.
    """
    if text not in WANG_2025_OTHER:
        raise InputError(f"text: {text!r} was given (allowed: {', '.join(WANG_2025_OTHER)})")
    new, old = WANG_2025_OTHER[text]
    return np.asarray(new * np.asarray(domain, dtype=float) + old * np.asarray(general, dtype=float))


WANG_2025_OTHER: Mapping[str, tuple[float, float]] = {
    "C4": (0.152, 0.867),
    "SlimPajama": (0.385, 0.622),
    "Stories": (-0.516, 1.409),
    "StackExchange": (1.853, -0.546),
    "Arxiv": (1.631, -0.609),
    "Books": (0.475, 0.611),
}
"""Fig. 9: weights of domain and general loss."""

"""Learning rates by rule: how the peak rate of AdamW follows from the shape of a model and the length of its training.

A rule is plain data with a method ``rate``; YAML names it by its ``kind``, as in
``learning_rate: {kind: inverse_width_depth, base: 0.5}``. A new rule is a class below and its name in :data:`Rule`. One rate
serves all matrices of a model, so muP's separate rate for embeddings (Yang et al. 2022, arXiv:2203.03466) is not among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from curselab.errors import InputError
from trainer.flops import count_parameters
from trainer.model_spec import ModelSpec
from trainer.strict import from_mapping, require


class LearningRateRule(Protocol):
    """What a rule must do."""

    def rate(self, model: ModelSpec, tokens: int) -> float:
        """Peak learning rate of a model that is trained on so many tokens."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InverseWidthDepth:
    """``base / (width x depth) x (tokens / horizon)^exponent``.

    Width is muP's scaling for hidden matrices, depth is measured (docs/log.md). Longer training at one batch wants lower
    rates (Bjorck et al. 2024, arXiv:2409.19913).
    """

    base: float
    horizon: int = 1
    """Tokens at which the rate is ``base / (width x depth)``."""
    exponent: float = 0.0
    """Of the tokens; 0 gives every length the same rate, which runs that share a trunk must have."""
    kind: Literal["inverse_width_depth"] = "inverse_width_depth"

    def __post_init__(self) -> None:
        require(self.base > 0, "base", self.base, "a number above 0")
        require(self.horizon > 0, "horizon", self.horizon, "a number of tokens above 0")

    def rate(self, model: ModelSpec, tokens: int) -> float:
        """Peak learning rate of a model that is trained on so many tokens."""
        return float(self.base / (model.width * model.depth) * (tokens / self.horizon) ** self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class InverseWidth:
    """``base / width``: what muP gives hidden matrices under Adam (Yang et al. 2022, arXiv:2203.03466, table 3)."""

    base: float
    kind: Literal["inverse_width"] = "inverse_width"

    def __post_init__(self) -> None:
        require(self.base > 0, "base", self.base, "a number above 0")

    def rate(self, model: ModelSpec, tokens: int) -> float:
        """Peak learning rate of a model that is trained on so many tokens."""
        return self.base / model.width


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOfParameters:
    """``base x (N / reference)^exponent`` of the non-embedding parameters N.

    Defaults are those of OLMo's ladder, 0.0047 (N / 108M)^(-1/3), which takes them from Porian et al. 2024 (arXiv:2406.19146).
    """

    base: float = 0.0047
    reference: float = 108e6
    """Parameters at which the rate is ``base``."""
    exponent: float = -1 / 3
    kind: Literal["power_of_parameters"] = "power_of_parameters"

    def __post_init__(self) -> None:
        require(self.base > 0, "base", self.base, "a number above 0")
        require(self.reference > 0, "reference", self.reference, "a number of parameters above 0")

    def rate(self, model: ModelSpec, tokens: int) -> float:
        """Peak learning rate of a model that is trained on so many tokens."""
        # non-embedding parameters do not depend on the vocabulary
        return float(self.base * (count_parameters(model, 1).non_embedding / self.reference) ** self.exponent)


Rule = InverseWidthDepth | InverseWidth | PowerOfParameters


@dataclass(frozen=True, slots=True)
class _Chosen:
    learning_rate: Rule


def read_rule(content: Mapping[str, Any], *, where: str) -> LearningRateRule:
    """Read a rule strictly from plain values, as YAML gives them.

    Parameters
    ----------
    content : mapping
        ``kind`` and the fields of that rule.
    where : str
        Dotted name of what holds the key ``learning_rate``, for error messages.

    Raises
    ------
    InputError
        Unknown rule or field, or a value that is not allowed.
    """
    return from_mapping(_Chosen, {"learning_rate": content}, where=where).learning_rate


def scaled(rate: float, factor: object, *, where: str) -> float:
    """Multiply a rate and keep four significant digits: its last bit may differ between machines, a run id must not.

    Parameters
    ----------
    rate : float
        Learning rate by a rule.
    factor : object
        As YAML gives it.
    where : str
        Name of the stage for error messages.

    Raises
    ------
    InputError
        The factor is no finite number above 0.
    """
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 2**63:
        raise InputError(f"{where}.learning_rate_factor: {factor!r} was given, a number above 0 is needed")
    return float(f"{rate * factor:.4g}")

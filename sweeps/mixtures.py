"""Training on a target language and others: from a target, an amount of data and an arm to a mixture of domains.

A stage whose ``adds`` names an arm has two more axes:

- ``target``: the domain that is scored, and sets of others by name, ``{domain: deu, similar: [nld, dan], dissimilar: [jpn]}``;
- ``data``: how much of it, ``{tokens: 65_536, epochs: 20, ratio: 10}``, where ratio is added / target tokens (0: alone).

``adds`` is the name of a set, whose languages get equal shares of the added tokens, or ``own``: more passes over the target's
own text instead, as many tokens as would have been added. With ``shuffled: true``, the languages' shuffled copies are added: a
null language. The protocol is Chang et al. 2024 (arXiv:2311.09205, section 5): the target's tokens are the first ones of its
text, so that smaller sets lie inside larger ones; its passes are the same with and without added languages, and all of it is
spread evenly over the run. So more added text means more steps, which the arm ``own`` has, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curselab.errors import InputError
from trainer.strict import from_mapping, require
from trainer.text.document import SHUFFLED

OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetData:
    """How much a run is trained on."""

    tokens: int
    """Different tokens of the target."""
    epochs: int
    """Passes over them."""
    ratio: float = 0.0
    """Added tokens as a multiple of ``tokens``."""

    def __post_init__(self) -> None:
        require(self.tokens >= 1, "tokens", self.tokens, "1 or more")
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(0 <= self.ratio < math.inf, "ratio", self.ratio, "a finite number, 0 or more")


def mixed(stage: Mapping[str, Any], target: object, data: object, *, tokens_a_step: int, where: str) -> dict[str, Any]:
    """Fields of a spec that a run of an arm has.

    Parameters
    ----------
    stage : mapping
        Its ``adds``, and ``shuffled`` for a null language.
    target, data : object
        Values of the two axes, as YAML gives them.
    tokens_a_step : int
        The run has as many tokens as it takes, rounded up to whole batches.
    where : str
        Name of the stage for error messages.

    Raises
    ------
    InputError
        One of the axes is missing or holds something else, or the target lacks the set.
    """
    amount = from_mapping(TargetData, data, where=f"{where}.data")
    if not isinstance(target, Mapping) or not isinstance(target.get("domain"), str):
        raise InputError(f"{where}.target: {target!r} was given, a mapping with a domain and its sets is needed")
    domain, seen = target["domain"], amount.tokens * amount.epochs
    tokens = tokens_a_step * math.ceil((seen + amount.ratio * amount.tokens) / tokens_a_step)
    alone = stage["adds"] == OWN or amount.ratio == 0
    share = 1.0 if alone else seen / tokens
    parts: list[dict[str, Any]] = [{"domain": domain, "share": share, "tokens": amount.tokens}]
    if not alone:
        others = _others(stage, target, where)
        parts += [{"domain": other, "share": (1 - share) / len(others)} for other in others]
    return {"training": {"tokens": tokens, "mixture": parts}, "evaluation": {"domains": [domain]}}


def _others(stage: Mapping[str, Any], target: Mapping[str, Any], where: str) -> list[str]:
    name = stage["adds"]
    others = target.get(name)
    if not isinstance(others, list) or not others or not all(isinstance(other, str) for other in others):
        sets = ", ".join(key for key in target if key != "domain") or "none"
        raise InputError(f"{where}.target: {target['domain']} needs a set {name!r} of other domains (its sets: {sets})")
    return [other + SHUFFLED for other in others] if stage.get("shuffled") else others

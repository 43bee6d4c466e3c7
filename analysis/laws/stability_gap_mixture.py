"""Arms of the sweep ``stability_gap``: what their mixtures say of the strategies that they follow.

===============  =================================================================================================
strategy         an arm has it if its mixture
===============  =================================================================================================
``subset``       has fewer different tokens of the new text than it trains on: several passes
``quality``      takes those of the lowest perplexity
``mixture``      has old text beside the new one; a domain that all arms on new text have is no strategy
``fixed``        cuts that old text down to tokens that are drawn once and repeated, where others draw anew
===============  =================================================================================================

Outside the factorial are the reversed filter, stages on another path of the learning rate or with another optimiser
(:data:`OTHER_PATHS`), and, of several arms with the same strategies, those whose replayed share or size of subset fewer have.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from curselab.errors import InputError

STRATEGIES = ("subset", "quality", "mixture", "fixed")
OTHER_PATHS = ("low_rate", "continued", "kept", "cold", "kept_cold")
"""Stages whose learning rates or optimiser are not those of the rest; each has a control of its own."""

Row = dict[str, Any]
"""A run, with what its base tells: see ``read_conditions``."""
_PART = re.compile(r"(?P<domain>.+?) (?P<share>[\d.e+-]+)(?: of (?P<tokens>\d+))?(?: (?P<selection>[a-z_]+))?")
_SEVERAL_PASSES = 0.99  # of the tokens trained on: a subset of fewer is read more than once


@dataclass(frozen=True, slots=True)
class Part:
    """One domain of a mixture."""

    share: float
    tokens: int | None
    """Different ones that it is cut down to; None for all there are."""
    selection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Runs that differ in their seed alone."""

    name: str
    stage: str
    strategies: tuple[str, ...] | None
    """None for an arm outside the factorial."""
    trains_on_new: bool
    replayed: float
    """Share of old text that not all arms have."""
    n_runs: int
    n_diverged: int
    """Of these."""
    train_flop: float
    unique_tokens: float
    """Of the new text, at most; of a control, of all its text."""


def read_mixture(mixture: object) -> dict[str, Part]:
    """Read a mixture such as ``deu 0.25 of 65536 lowest_perplexity, eng 0.75``: domain -> part; null has none.

    Raises
    ------
    InputError
        It does not read so.
    """
    if not isinstance(mixture, str):
        return {}
    parts = {}
    for text in mixture.split(", "):
        found = _PART.fullmatch(text)
        if found is None:
            raise InputError(f"data: mixture is {mixture!r}, domains and shares such as 'deu 0.25, eng 0.75' are needed")
        tokens = None if found["tokens"] is None else int(found["tokens"])
        parts[found["domain"]] = Part(float(found["share"]), tokens, found["selection"] or "first")
    return parts


def strategies_of(new: list[Part], replayed: list[Part], tokens: float) -> tuple[str, ...] | None:
    """Strategies of an arm that trains on so many tokens; None for the reversed filter, and without new text."""
    if not new or any(part.selection == "highest_perplexity" for part in new):
        return None
    has = {
        "subset": any(part.tokens is not None and part.tokens < _SEVERAL_PASSES * part.share * tokens for part in new),
        "quality": any(part.selection == "lowest_perplexity" for part in new),
        "mixture": bool(replayed),
        "fixed": any(part.tokens is not None for part in replayed),
    }
    return tuple(name for name in STRATEGIES if has[name])


def arms_of(members: list[Row]) -> dict[tuple[str, str], tuple[Arm, list[Row]]]:
    """Arms of a condition with their runs, by stage and mixture: on the common path from its control on, then the others."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in members:
        grouped.setdefault((str(row["stage"]), str(row["mixture"])), []).append(row)
    common = set.intersection(*(set(row["parts"]) for row in members if row["new"]))
    arms = {key: _arm(rows, common) for key, rows in grouped.items()}
    named = _named(_crossed(arms))
    return {key: (named[key], grouped[key]) for key in sorted(named, key=lambda key: _place(named[key]))}


def _place(arm: Arm) -> tuple[bool, bool, bool, int, str]:
    return arm.stage in OTHER_PATHS, arm.trains_on_new, arm.strategies is None, len(arm.strategies or ()), arm.name


def _crossed(arms: Mapping[tuple[str, str], Arm]) -> dict[tuple[str, str], Arm]:
    """Keep one arm of each set of strategies in the factorial: the one that is most like the others."""
    ours = {key: arm for key, arm in arms.items() if arm.strategies is not None}

    def unlike(key: tuple[str, str]) -> tuple[int, tuple[str, str]]:
        own = ours[key]
        return -sum((own.replayed == a.replayed) + (own.unique_tokens == a.unique_tokens) for a in ours.values()), key

    chosen = {ours[key].strategies: key for key in sorted(ours, key=unlike, reverse=True)}
    kept = set(chosen.values())
    return {key: arm if key in kept else replace(arm, strategies=None) for key, arm in arms.items()}


def _arm(rows: list[Row], common: set[str]) -> Arm:
    first = rows[0]
    parts, old, tokens = first["parts"], first["old"], float(first["tokens"])
    new = [part for domain, part in parts.items() if domain not in old]
    replayed = [part for domain, part in parts.items() if domain in old and domain not in common]
    strategies = strategies_of(new, replayed, tokens)
    return Arm(
        name="reversed filter" if new and strategies is None else str(first["stage"]),
        stage=str(first["stage"]),
        strategies=None if first["stage"] in OTHER_PATHS else strategies,
        trains_on_new=bool(new),
        replayed=round(sum(part.share for part in replayed), 6) if new else 0.0,
        n_runs=len(rows),
        n_diverged=sum(row["status"] != "ok" for row in rows),
        train_flop=float(first["train_flop"]),
        unique_tokens=sum(
            min(part.share * tokens, np.inf if part.tokens is None else part.tokens) for part in new or parts.values()
        ),
    )


def _named(arms: Mapping[tuple[str, str], Arm]) -> dict[tuple[str, str], Arm]:
    """Name an arm by its strategies, or by its stage and, where a stage has several, by what it adds."""
    stages = Counter(arm.stage for arm in arms.values())
    named = {}
    for key, arm in arms.items():
        name = arm.name
        if arm.strategies is not None:
            name = " + ".join(arm.strategies) or "plain"
        elif arm.name == arm.stage and (stages[arm.stage] > 1 or arm.stage in OTHER_PATHS):
            name += ", new text" if arm.trains_on_new else ", old text"
            name += f" and {100 * arm.replayed:g} % old" if arm.replayed else ""
        named[key] = replace(arm, name=name)
    twice = {name for name, n in Counter(arm.name for arm in named.values()).items() if n > 1}
    return {key: replace(arm, name=f"{arm.name}: {key[1]}") if arm.name in twice else arm for key, arm in named.items()}

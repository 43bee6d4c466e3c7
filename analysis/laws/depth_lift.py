"""Whether a scheme lifts the curse of depth: four criteria against the baseline, each answered with intervals.

Each scheme at its best learning rate

1. the last variance is lower, and the growth at least one class lower;
2. the median share is higher by more than two standard deviations of a seed's difference;
3. the loss is lower by more than two standard deviations of a run at every L of 12 or more, and the gap grows with L;
4. 2 and 3 (at the deepest L) hold against the baseline with scaled initialisation as well.

Answers are those of :mod:`analysis.laws.depth_verdict`; 2 and 3 are refuted where the interval excludes a rise of the share by
1/6, or a fall of the loss by 0.01 nats/token. All parts must hold for a lift, so their number needs no correction;
many schemes are compared, though, so the tests of 2 and 3 are Holm-adjusted over schemes. A lower variance alone lifts
nothing, and a scheme that diverges at every rate does not train, which fails 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.monotone import holm
from analysis.fitting.seeds import Estimate, contrast, over_seeds, slopes
from analysis.laws.depth_arm import Arm, Draft, by_seed, paired_losses
from analysis.laws.depth_effective import median_shares
from analysis.laws.depth_growth import geometric
from analysis.laws.depth_selection import CLASSES
from analysis.laws.depth_verdict import (
    LEAST_LOSS,
    LEAST_SHARE,
    NOTHING,
    Answer,
    Call,
    Criterion,
    Part,
    Verdict,
    above,
    below,
    more,
)

Vector = NDArray[np.float64]
Key = tuple[str, int]

SCALED = "scaled"
"""Initialisation that a lift must also beat."""
_DEEP = 12  # least depth at which a lift is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Loss of the baseline less that of a scheme at one depth, nats/token."""

    scheme: str
    depth: int
    estimate: Estimate


def falls(drafts: Mapping[Key, Draft], baseline: str, level: float) -> tuple[Fall, ...]:
    """Compare every scheme's loss with the baseline's, at every depth at which both have one."""
    names = [name for name in dict.fromkeys(scheme for scheme, _ in drafts) if name != baseline]
    found = {name: _falls(drafts, name, baseline, _shared(drafts, name, baseline), level)[0] for name in names}
    return tuple(Fall(scheme=name, depth=depth, estimate=e) for name in names for depth, e in found[name].items())


def judge_lifts(drafts: Mapping[Key, Draft], arms: Mapping[Key, Arm], baseline: str, level: float) -> tuple[Verdict, ...]:
    """Judge every scheme against the baseline, at the depths that both have."""
    names = list(dict.fromkeys(scheme for scheme, _ in drafts))
    hard = f"{baseline} + {SCALED} init"
    others = [name for name in names if name != baseline and _shared(drafts, name, baseline)]
    tops = {name: _shared(drafts, name, baseline)[-1] for name in others}
    uses = _adjust([[_use(drafts, name, baseline, tops[name], level)] for name in others], level)
    gaps = _adjust([_gaps(drafts, name, baseline, _shared(drafts, name, baseline), level) for name in others], level)
    verdicts = []
    for name, use, gap in zip(others, uses, gaps, strict=True):
        top, both = tops[name], _shared(drafts, name, hard)[-1:]
        criteria = [
            Criterion(name="variance is controlled", parts=tuple(_variance(drafts, arms, name, baseline, top, level))),
            Criterion(name="deep blocks are used more", parts=tuple(use)),
            Criterion(name="the loss is lower, the more the deeper", parts=tuple(gap)),
        ]
        if name != hard:  # which has no harder one to beat
            harder = [_use(drafts, name, hard, both[0], level), *_gaps(drafts, name, hard, both, level)] if both else []
            criteria.append(Criterion(name=f"so it is against {hard}", parts=tuple(harder)))
        verdicts.append(Verdict(scheme=name, against=baseline, depth=top, call=_call(criteria), criteria=tuple(criteria)))
    return tuple(verdicts)


def _call(criteria: Sequence[Criterion]) -> Call:
    answers = [criterion.answer for criterion in criteria]
    used = answers[1:3]
    if all(answer == "yes" for answer in answers):
        return "lifted"
    if "yes" in used and "no" in answers:
        return "partial"
    if "yes" not in used and "no" in used:
        return "variance controlled, depth not used" if criteria[0].parts[0].answer == "yes" else "not lifted"
    return "not resolved"


def _shared(drafts: Mapping[Key, Draft], one: str, other: str) -> list[int]:
    """Rising depths at which both were run and the other has a loss."""
    depths = sorted(depth for scheme, depth in drafts if scheme == one and (other, depth) in drafts)
    return [depth for depth in depths if drafts[other, depth].cell.alive]


def _variance(
    drafts: Mapping[Key, Draft], arms: Mapping[Key, Arm], scheme: str, baseline: str, depth: int, level: float
) -> list[Part]:
    pair = [drafts[scheme, depth], drafts[baseline, depth]]
    last = by_seed(pair, lambda d: None if d.log_v is None else d.log_v[:, -1])
    ratio = NOTHING if last is None else over_seeds(last[:, 0] - last[:, 1], level)
    lower = replace(below("last variance over the baseline's below 1", ratio, 0.0), estimate=geometric(ratio))
    growths = [arms[name, depth].growth for name in (scheme, baseline)]
    words = [None if growth is None else growth.growth for growth in growths]
    note = " to ".join(word or "not identified" for word in reversed(words))
    answer: Answer = "not resolved"
    if words[0] is not None and words[1] is not None:
        answer = "yes" if CLASSES.index(words[0]) < CLASSES.index(words[1]) else "no"
    exponents = by_seed(pair, lambda d: None if d.log_v is None else _exponents(d.log_v))
    change = NOTHING if exponents is None else over_seeds(exponents[:, 0] - exponents[:, 1], level)
    claim = f"class of growth drops ({note}); change of the exponent over layers"
    return [lower, Part(claim=claim, answer=answer, estimate=change)]


def _exponents(log_v: Vector) -> Vector:
    return slopes(np.log(np.arange(1.0, log_v.shape[1])), log_v[:, :-1])


def _use(drafts: Mapping[Key, Draft], scheme: str, baseline: str, depth: int, level: float) -> Part:
    pair = [drafts[scheme, depth], drafts[baseline, depth]]
    shares = by_seed(pair, lambda d: None if d.deltas is None else median_shares(d.deltas))
    change = NOTHING if shares is None else over_seeds(shares[:, 0] - shares[:, 1], level)
    return more(f"median share at L = {depth} above the baseline's", change, LEAST_SHARE)


def _gaps(drafts: Mapping[Key, Draft], scheme: str, baseline: str, depths: Sequence[int], level: float) -> list[Part]:
    """Loss of the baseline less that of the scheme, with the noise of a run pooled over the cells of both."""
    asked = [depth for depth in depths if depth >= _DEEP]
    if not asked:
        return [Part(claim=f"fall of the loss at L of {_DEEP} or more: no run there", answer="not resolved", estimate=NOTHING)]
    falls, slope, parts = *_falls(drafts, scheme, baseline, depths, level), []
    for depth in asked:
        claim = f"fall of the loss at L = {depth} (nats/token)"
        lost = Part(claim=f"{claim}: diverged", answer="no", estimate=NOTHING)
        parts.append(more(claim, falls[depth], LEAST_LOSS) if depth in falls else lost)
    if slope is not None:
        parts.append(above("slope of that fall on ln L", slope, 0.0))
    return parts


def _falls(
    drafts: Mapping[Key, Draft], scheme: str, baseline: str, depths: Sequence[int], level: float
) -> tuple[dict[int, Estimate], Estimate | None]:
    """Fall of the loss at every depth at which the scheme has one, and its slope on ln L."""
    alive = [depth for depth in depths if drafts[scheme, depth].cell.alive]
    if not alive:
        return {}, None
    paired = paired_losses([drafts[name, depth] for depth in alive for name in (baseline, scheme)])
    gap = np.kron(np.eye(len(alive)), [1.0, -1.0])
    falls = {depth: contrast(paired, weights, level) for depth, weights in zip(alive, gap, strict=True)}
    if len(alive) < 2:
        return falls, None
    x = np.log(alive) - np.log(alive).mean()
    return falls, contrast(paired, (x / (x @ x)) @ gap, level)


def _adjust(parts: Sequence[Sequence[Part]], level: float) -> list[list[Part]]:
    """Holm-adjust the tests of each claim over schemes; what then fails its test is not resolved."""
    adjusted = [list(row) for row in parts]
    for claim in dict.fromkeys(part.claim for row in parts for part in row):
        places = [(i, j) for i, row in enumerate(parts) for j, part in enumerate(row) if part.claim == claim]
        tests = [(place, parts[place[0]][place[1]].estimate.p_above(0.0)) for place in places]
        known = [(place, p) for place, p in tests if p is not None]
        for ((i, j), _), p in zip(known, holm([p for _, p in known]), strict=True):
            part = parts[i][j]
            lost = part.answer == "yes" and p > (1 - level) / 2
            adjusted[i][j] = replace(part, p=float(p), answer="not resolved" if lost else part.answer)
    return adjusted

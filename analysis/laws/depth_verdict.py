"""Whether a scheme has the curse of depth: four criteria, each answered with intervals.

In its deepest model

1. the branch over the stream, and the Jacobian less the identity, fall with depth more steeply than before training;
2. the median share is below 1/3 (its interval below 1/2), and Spearman's rho below -0.5 (its interval below 0);
3. the share of blocks whose removal costs more than 0.03 nats/token falls with L;
4. the fall of the loss a doubling of L shrinks, to less than 0.01 nats/token.

A criterion holds where all its parts do, fails where one is refuted, and is otherwise not resolved. Parts that claim a size
are refuted where their interval excludes it, the others where it lies on the wrong side of zero. All parts must hold for a
curse that is shown, so their number needs no correction.
"""

from dataclasses import dataclass
from typing import Literal

from analysis.fitting.seeds import Estimate
from analysis.laws.depth_arm import Arm, Scheme
from analysis.laws.depth_effective import THRESHOLDS

Answer = Literal["yes", "no", "not resolved"]
Call = Literal[
    "curse shown",
    "no curse found",
    "lifted",
    "partial",
    "variance controlled, depth not used",
    "not lifted",
    "not resolved",
]

NOTHING = Estimate(None)

LEAST_LOSS = THRESHOLDS[0]
"""nats/token: a smaller difference is none. A bound in units of noise would let noisy runs show that nothing happens."""
LEAST_SHARE = 1 / 6
"""Of the median share: from the curse, below 1/3, where the median ratio is 1/2, to equal use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One claim of a criterion."""

    claim: str
    answer: Answer
    estimate: Estimate
    p: float | None = None
    """One-sided, Holm-adjusted over schemes; None where nothing was adjusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A claim that holds where all its parts do."""

    name: str
    parts: tuple[Part, ...]

    @property
    def answer(self) -> Answer:
        """Whether it holds."""
        answers = {part.answer for part in self.parts}
        return "no" if "no" in answers else "not resolved" if "not resolved" in answers or not answers else "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Four criteria, and what they come to."""

    scheme: str
    against: str
    """The baseline; empty for the curse itself."""
    depth: int
    """Of the deepest model."""
    call: Call
    criteria: tuple[Criterion, ...]

    def lines(self) -> list[str]:
        """Text for a terminal."""
        title = f"{self.scheme} against {self.against}" if self.against else f"curse of depth in {self.scheme}"
        lines = [f"{title}, depth {self.depth}: {self.call}"]
        for criterion in self.criteria:
            lines.append(f"  {criterion.answer:>12}  {criterion.name}")
            lines += [f"{'':16}{part.answer}: {part.claim}: {shown(part.estimate)}" for part in criterion.parts]
        return lines


def shown(e: Estimate) -> str:
    """Value and interval, or what there is of them."""
    if e.value is None:
        return "unknown"
    between = "no interval" if e.lower is None or e.upper is None else f"{e.lower:.3g}, {e.upper:.3g}"
    return f"{e.value:.3g} [{between}]"


def judge_curse(scheme: Scheme, arm: Arm) -> Verdict:
    """Judge whether a scheme has the curse, in its deepest model."""
    effective = arm.effective
    share, rho = (NOTHING, NOTHING) if effective is None else (effective.median_share, effective.spearman)
    last = scheme.gains[-1] if scheme.gains else NOTHING
    criteria = (
        Criterion(
            name="deep branches shrink in training",
            parts=(
                below("slope of ln(branch/stream) on ln layer, trained less untrained", arm.branch_tilt or NOTHING, 0.0),
                below("slope of ln |J - I| on ln layer, trained less untrained", arm.jacobian_tilt or NOTHING, 0.0),
            ),
        ),
        Criterion(
            name="deep blocks matter less",
            parts=(
                below("median share below 1/3", share, 0.5 - LEAST_SHARE, null=0.5),
                below("Spearman's rho below -0.5", rho, -0.5, null=0.0),
            ),
        ),
        Criterion(
            name="share of useful blocks falls with L",
            parts=(below("slope of that share on ln L", scheme.share_slope or NOTHING, 0.0),),
        ),
        Criterion(
            name="return on depth vanishes",
            parts=(
                below("gain of the last doubling less that of the first", scheme.shrinkage or NOTHING, 0.0),
                below(f"gain of the last doubling below {LEAST_LOSS:g} nats/token", last, LEAST_LOSS),
            ),
        ),
    )
    answers = [criterion.answer for criterion in criteria]
    call: Call = "not resolved"
    if answers[1] == "no":
        call = "no curse found"
    elif all(answer == "yes" for answer in answers):
        call = "curse shown"
    elif answers[1] == "yes" and "no" in answers:
        call = "partial"
    return Verdict(scheme=arm.scheme, against="", depth=arm.depth, call=call, criteria=criteria)


def below(claim: str, e: Estimate, bound: float, *, null: float | None = None) -> Part:
    """Claim a value below a bound, with an interval below ``null``, the bound itself when left out."""
    answer: Answer = "not resolved"
    if e.value is not None and e.lower is not None and e.upper is not None:
        if e.value < bound and e.upper < (bound if null is None else null):
            answer = "yes"
        elif e.lower > bound:
            answer = "no"
    return Part(claim=claim, answer=answer, estimate=e)


def above(claim: str, e: Estimate, bound: float) -> Part:
    """Claim a value above a bound, with its interval."""
    answer: Answer = "not resolved"
    if e.lower is not None and e.upper is not None:
        answer = "yes" if e.lower > bound else "no" if e.upper < bound else "not resolved"
    return Part(claim=claim, answer=answer, estimate=e)


def more(claim: str, e: Estimate, least: float) -> Part:
    """Claim more than two standard deviations of a seed, with an interval above zero; one below ``least`` refutes it."""
    answer: Answer = "not resolved"
    if e.value is not None and e.lower is not None and e.upper is not None and e.sd is not None:
        if e.value > 2 * e.sd and e.lower > 0:
            answer = "yes"
        elif e.upper < least:
            answer = "no"
    return Part(claim=claim, answer=answer, estimate=e)

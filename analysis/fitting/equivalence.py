"""Four answers to "is there an effect?": up, down, as good as none, or not resolved; corrected for the number of questions."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analysis.fitting.monotone import holm

Vector = NDArray[np.float64]
Answer = Literal["up", "down", "equivalent", "unresolved"]


@dataclass(frozen=True, slots=True)
class Effects:
    """Estimates with Student's t errors, ``(n,)`` each; NaN where there is none."""

    estimate: Vector
    se: Vector
    dof: Vector

    def interval(self, level: float) -> tuple[Vector, Vector]:
        """Lower and upper ends of each, without any correction."""
        half = student_t.ppf((1 + level) / 2, self.dof) * self.se
        return self.estimate - half, self.estimate + half

    def p_zero(self) -> Vector:
        """Two-sided p-values of no effect."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * student_t.sf(np.abs(self.estimate) / self.se, self.dof))

    def p_equivalent(self, margin: float) -> Vector:
        """p-values of an effect of ``margin`` or more on either side: two one-sided tests (Schuirmann 1987)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            upper, lower = ((margin + sign * self.estimate) / self.se for sign in (1, -1))
            return np.asarray(np.maximum(student_t.sf(upper, self.dof), student_t.sf(lower, self.dof)))

    def detectable(self, level: float, tests: int, power: float = 0.8) -> Vector:
        """Smallest effect that is found with a power whatever the other tests say: at ``(1 - level) / tests``."""
        tail = (1 - level) / max(tests, 1) / 2
        return np.asarray((student_t.isf(tail, self.dof) + student_t.ppf(power, self.dof)) * self.se)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a family of tests says, ``(n,)`` each."""

    p_zero: Vector
    """Holm-adjusted; 1 where the baselines disagree on the side."""
    p_equivalent: Vector
    answer: tuple[Answer, ...]


def answers(baselines: list[Effects], *, margin: float, level: float) -> Answers:
    """Decide each question of a family.

    Parameters
    ----------
    baselines : list of Effects
        The same questions against one or more baselines. An answer must hold against all of them, so its p-value is the
        largest (intersection-union test, Berger 1982), and no correction for their number is needed.
    margin : float
        Effects below it are as good as none.
    level : float
        One less the chance of any false "up" or "down" in the family, and of any false "equivalent" (Holm 1979).
    """
    sides = np.sign(np.stack([b.estimate for b in baselines]))
    agree = np.all(sides == sides[0], axis=0)
    zero = np.where(agree, np.max([b.p_zero() for b in baselines], axis=0), 1.0)
    same = np.max([b.p_equivalent(margin) for b in baselines], axis=0)
    known = np.isfinite(zero) & np.isfinite(same)
    p_zero, p_same = np.full(len(zero), np.nan), np.full(len(zero), np.nan)
    if known.any():
        p_zero[known], p_same[known] = holm(zero[known]), holm(same[known])
    alpha = 1 - level
    # an effect that is shown, however small, comes before its smallness
    found = np.where(
        p_zero <= alpha, np.where(sides[0] > 0, "up", "down"), np.where(p_same <= alpha, "equivalent", "unresolved")
    )
    return Answers(p_zero, p_same, tuple(found.tolist()))

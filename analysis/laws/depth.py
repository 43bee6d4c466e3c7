r"""The curse of depth: whether deep blocks still do something, and what LayerNorm Scaling changes.

.. math:: x'_\ell = x_\ell + \mathrm{Attn}(s_\ell N(x_\ell)), \quad x_{\ell+1} = x'_\ell + \mathrm{FFN}(s_\ell N(x'_\ell)),
          \qquad s_\ell = 1 \text{ (Pre-LN)},\ \ell^{-1/2} \text{ (LayerNorm Scaling)}

==========================  ====================================================================  ====================
symbol                      meaning                                                               unit
==========================  ====================================================================  ====================
:math:`\ell, L`             block, from 1, and number of blocks                                   1
:math:`v_\ell`              variance along the features of the stream after block l, mean over    1
                            tokens
:math:`\delta_\ell`         loss without block l less the loss                                    nats/token
:math:`J_\ell`              Jacobian of a block                                                   1
median share                median of delta in the deep half over that and the shallow half's     1
gain                        fall of the loss a doubling of L                                      nats/token
==========================  ====================================================================  ====================

Source: Sun et al. (2025), The Curse of Depth in Large Language Models, arXiv:2502.05795 (LayerNorm Scaling: equation 12; its
bounds of the variance: equations 7 and 14); effective depth by removal after Gromov et al. (2024), arXiv:2403.17887; useful
blocks after arXiv:2603.15389. The criteria of the curse and of its lift are ours:
:mod:`analysis.laws.depth_verdict`, :mod:`analysis.laws.depth_lift`.

For every scheme and depth, each seed is read at the learning rate that the *other* seeds chose, so that no scheme gains by
having been tried at more rates or by a lucky run. Growth of the variance is chosen among the families of
:mod:`analysis.laws.depth_families` along layers, depths and steps; use of depth is measured by the loss
(:mod:`analysis.laws.depth_effective`).

Valid for models of one width, text and number of tokens. Known failures: a lower variance, or more damage by removing a block,
is no use of depth by itself; small models on little text find no curse and then there is nothing to lift; a model that six
blocks saturate has idle deep blocks for a good reason, so a shallow one at equal tokens must stand beside it. The paper's
statements about Jacobians are upper bounds, which say nothing about whether a block is an identity, and its recursions solve
to quadratic (Pre-LN) and linear growth: an exponential can only have been learned. None of its bounds is used as a truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.fitting.result import Counts, Note, Status, check_level, from_plain, to_plain
from analysis.fitting.seeds import Estimate
from analysis.laws.depth_arm import Arm, Scheme, across, measure, summarise
from analysis.laws.depth_lift import Fall, falls, judge_lifts
from analysis.laws.depth_table import read_cells, read_layers
from analysis.laws.depth_verdict import Verdict, judge_curse, shown
from curselab.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthFit:
    """What runs of several schemes and depths say about the curse of depth."""

    law: str = "depth"
    arms: tuple[Arm, ...]
    """One a scheme and depth."""
    schemes: tuple[Scheme, ...]
    """One a scheme."""
    curse: Verdict
    """Of the baseline."""
    lifts: tuple[Verdict, ...]
    """Of every other scheme against it."""
    falls: tuple[Fall, ...]
    """Loss of the baseline less that of each other scheme, by depth."""
    level: float
    counts: Counts
    warnings: tuple[Note, ...]
    settings: dict[str, str | float | int]

    @property
    def status(self) -> Status:
        """``ok`` where the curse in the baseline was shown or refuted."""
        return "not_identified" if self.curse.call == "not resolved" else "ok"

    def arm(self, scheme: str, depth: int) -> Arm:
        """One scheme at one depth."""
        for arm in self.arms:
            if (arm.scheme, arm.depth) == (scheme, depth):
                return arm
        known = ", ".join(f"{arm.scheme} {arm.depth}" for arm in self.arms)
        raise InputError(f"arm: {scheme} at depth {depth} was asked for (there are: {known})")

    def frame(self) -> pd.DataFrame:
        """One row a scheme and depth; None where there is no answer."""
        rows = []
        for a in self.arms:
            e = a.effective
            numbers = {
                "loss": a.loss,
                "v_last": a.v_last,
                "exponent": None if a.growth is None else a.growth.exponent,
                "median_ratio": None if e is None else e.median_ratio,
                "median_share": None if e is None else e.median_share,
                "deep_share": None if e is None else e.deep_share,
                "spearman": None if e is None else e.spearman,
                "effective_depth": None if e is None else e.counts[1],
            }
            row: dict[str, Any] = {"scheme": a.scheme, "depth": a.depth}
            for name, estimate in numbers.items():
                number = estimate or Estimate(None)
                row |= {name: number.value, f"{name}_lower": number.lower, f"{name}_upper": number.upper}
            row |= {
                "family": None if a.growth is None else a.growth.family,
                "growth": None if a.growth is None else a.growth.growth,
                "n_seeds": a.n_seeds,
                "n_runs": a.n_runs,
                "n_diverged": a.n_diverged,
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def verdicts(self) -> pd.DataFrame:
        """One row a part of a criterion: every claim with its answer, number, interval and p."""
        return pd.DataFrame(
            [
                {
                    "scheme": v.scheme,
                    "against": v.against,
                    "verdict": v.call,
                    "criterion": criterion.name,
                    "claim": part.claim,
                    "answer": part.answer,
                    "value": part.estimate.value,
                    "lower": part.estimate.lower,
                    "upper": part.estimate.upper,
                    "p": part.p,
                }
                for v in (self.curse, *self.lifts)
                for criterion in v.criteria
                for part in criterion.parts
            ]
        )

    def summary(self) -> str:
        """Text for a terminal: every scheme and depth, the verdicts with their criteria, and every warning."""
        lines = [
            "depth: use of depth by scheme",
            f"runs {self.counts.n_runs}  diverged {self.counts.n_diverged}  seeds {self.counts.n_seeds}  status {self.status}",
            f"intervals {self.level:.0%}, Student's t and Fieller over seeds",
            "",
        ]
        for a in self.arms:
            lines.append(
                f"{a.scheme}, depth {a.depth}: loss {shown(a.loss)}, last variance {shown(a.v_last or Estimate(None))}"
            )
            if a.growth is not None:
                lines.append(f"  growth over layers: {a.growth.verdict()}")
            if a.effective is not None:
                e = a.effective
                lines.append(
                    f"  median share {shown(e.median_share)}, deep share {shown(e.deep_share)}, rho {shown(e.spearman)}"
                )
        lines += [f"{s.scheme}: gain a doubling {', '.join(map(shown, s.gains))} nats/token" for s in self.schemes if s.gains]
        for verdict in (self.curse, *self.lifts):
            lines += verdict.lines()
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DepthFit":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: DepthFit = from_plain(cls, content)
        return rebuilt


def fit_depth(
    runs: pd.DataFrame,
    layers: pd.DataFrame,
    *,
    scheme: str = "scheme",
    depth: str = "depth",
    learning_rate: str = "learning_rate",
    loss: str = "loss_nats_per_token",
    seed_column: str = "seed",
    baseline: str = "pre",
    level: float = 0.95,
) -> DepthFit:
    """Judge the curse of depth in the baseline, and every other scheme against it.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row a run, with ``run_id``. Where there is a column ``initialisation``, a scheme with another than ``plain`` is a
        scheme of its own, such as ``pre + scaled init``.
    layers : pandas.DataFrame
        Long table of layers: ``run_id``, ``step``, ``layer`` (1 is the first block), ``part``, ``metric``, ``value``.
    scheme, depth, learning_rate, loss, seed_column : str
        Columns of ``runs``: norm scheme, blocks, peak learning rate, loss in nats/token, seed.
    baseline : str
        The scheme that is asked for the curse, and that the others are compared with.
    level : float
        Of the intervals.

    Returns
    -------
    DepthFit

    Raises
    ------
    InputError
        A column is missing, runs differ in more than scheme, depth, rate and seed, or none of the baseline has a loss.
    """
    level = check_level(level)
    roles = {"scheme": scheme, "depth": depth, "learning_rate": learning_rate, "loss": loss, "seed": seed_column}
    cells, table = list(read_cells(runs, roles)), read_layers(layers)
    drafts = {(cell.scheme, cell.depth): measure(cell, table) for cell in cells}
    arms = {key: summarise(draft, level) for key, draft in drafts.items()}
    names = list(dict.fromkeys(cell.scheme for cell in cells))
    schemes = {name: across([d for (scheme, _), d in drafts.items() if scheme == name], level) for name in names}
    if baseline not in names:
        raise InputError(f"baseline: {baseline!r} was given (schemes of the table: {', '.join(names)})")
    if not schemes[baseline].depths:
        raise InputError(f"data: no run of the baseline {baseline} has a loss")
    return DepthFit(
        arms=tuple(arms.values()),
        schemes=tuple(schemes.values()),
        curse=judge_curse(schemes[baseline], arms[baseline, schemes[baseline].depths[-1]]),
        lifts=judge_lifts(drafts, arms, baseline, level),
        falls=falls(drafts, baseline, level),
        level=level,
        counts=Counts(
            n_runs=sum(arm.n_runs - arm.n_diverged for arm in arms.values()),
            n_diverged=sum(arm.n_diverged for arm in arms.values()),
            n_clusters=len(arms),
            n_seeds=max(arm.n_seeds for arm in arms.values()),
        ),
        warnings=tuple(note for cell in cells for note in cell.notes),
        settings={**roles, "baseline": baseline},
    )

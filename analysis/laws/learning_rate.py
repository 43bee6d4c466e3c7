r"""The best learning rate of each model size, and what the rule's choice costs.

.. math:: L(\eta) = c_0 + c_1 u + c_2 u^2, \quad u = \ln(\eta / \eta_r), \qquad
          \eta^* = \eta_r e^{-c_1 / 2 c_2}, \qquad \text{cost} = L(\eta_r) / L(\eta^*) - 1

====================  ==========================================================  ======================
symbol                meaning                                                     unit
====================  ==========================================================  ======================
:math:`\eta`          peak learning rate                                          1
:math:`\eta_r`        rate that the rule chooses for the size                     1
:math:`\eta^*`        rate of the lowest loss                                     1
:math:`L`             validation loss, mean over seeds                            nats/token
====================  ==========================================================  ======================

Source: a parabola in the logarithm is the second-order form of any smooth curve about its minimum. It measures, size by size,
what rules assume: muP (Yang et al. 2022, arXiv:2203.03466), or N^(-1/3) (Porian et al. 2024, arXiv:2406.19146, as OLMo's
ladder has it); see ``sweeps/rules.py`` and :mod:`analysis.laws.learning_rate_size`.

The best rate is identified where the parabola opens upwards significantly, the lowest mean is at no end of the bracket and the
interval of the best rate lies inside it. Otherwise there is no best rate, and the cost is against the best of the bracket
alone: it can show that a rule is too dear, never that it is cheap. A rate at which any run diverged leaves the parabola, and a
rule whose own rate diverges is refuted.

Known failures: losses may rise faster above the best rate than below it, and then a parabola puts the optimum too low and the
cost too high. The best rate falls with the length of training and rises with the batch, so an answer is one for the tokens and
batch of its runs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.columns import drop_diverged, positive, require_columns
from analysis.fitting.result import Bootstrap, Counts, Status, check_level, from_plain, to_plain
from analysis.laws.learning_rate_size import Bracket, SizeRate, judge
from curselab.errors import InputError

Verdict = Literal["shown", "refuted", "open"]

# what must not differ between the rates of one size, or the comparison is of something else
_FIXED = ("tokens", "steps", "width", "depth", "context", "objective", "split", "tokenizer", "text_sha256", "eval_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRateFit:
    """Best learning rates of all sizes, and the cost of the rule's choice."""

    law: str = "learning_rate"
    sizes: tuple[SizeRate, ...]
    tolerance: float
    """Cost that the rule may have, a share of the loss."""
    level: float
    counts: Counts
    bootstrap: Bootstrap
    settings: dict[str, str | float | int]

    @property
    def status(self) -> Status:
        """``ok`` where every size has an identified optimum."""
        return "ok" if all(s.status == "ok" for s in self.sizes) else "not_identified"

    @property
    def verdict(self) -> Verdict:
        """Whether the rule costs less than the tolerance at every size.

        ``refuted`` where it does not at some size, ``shown`` where it does at all, ``open`` where the runs cannot tell.
        """
        verdicts = {self.verdict_of(s) for s in self.sizes}
        return "refuted" if "refuted" in verdicts else "open" if "open" in verdicts else "shown"

    def verdict_of(self, s: SizeRate) -> Verdict:
        """Whether the rule costs less than the tolerance at one size.

        ``shown``: the best rate is identified and the interval of the cost lies below; ``refuted``: that interval lies above,
        or runs at the rule's rate diverged; ``open``: neither.
        """
        if s.n_diverged_chosen or (s.cost_lower is not None and s.cost_lower > self.tolerance):
            return "refuted"
        return "shown" if s.status == "ok" and s.cost_upper is not None and s.cost_upper < self.tolerance else "open"

    def frame(self) -> pd.DataFrame:
        """One row a size: parameters, rates, losses in nats/token, costs in percent of the loss; None is no answer."""
        return pd.DataFrame(
            [
                {
                    "size": s.size,
                    "status": s.status,
                    "chosen": s.chosen,
                    "optimum": s.optimum,
                    "lower": s.lower,
                    "upper": s.upper,
                    "cost_percent": _percent(s.cost),
                    "cost_lower_percent": _percent(s.cost_lower),
                    "cost_upper_percent": _percent(s.cost_upper),
                    "loss": s.minimum,
                    "n_seeds": s.n_seeds,
                    "n_diverged": s.n_diverged,
                    "reasons": ", ".join(note.code for note in s.reasons),
                }
                for s in self.sizes
            ]
        )

    def summary(self) -> str:
        """Text for a terminal: every size, and the verdict on the rule."""
        lines = [
            "learning_rate: a parabola in ln(rate), size by size",
            f"runs {self.counts.n_runs}  diverged {self.counts.n_diverged}  seeds {self.counts.n_seeds}  status {self.status}",
            f"bootstrap {self.bootstrap.kind}, {self.bootstrap.resamples} resamples",
            "",
            f"{'size':>10} {'rule':>10} {'cost (%)':>9} {f'[{self.level:.0%}':>7} {'interval]':>9}"
            f" {'best rate':>10} {f'[{self.level:.0%}':>10} {'interval]':>10}",
        ]
        for s in self.sizes:
            costs = " ".join(f"{_shown(value):>{w}}" for value, w in ((s.cost, 9), (s.cost_lower, 7), (s.cost_upper, 9)))
            best = f"{s.optimum:10.4g} {s.lower:10.4g} {s.upper:10.4g}" if s.optimum is not None else _why(s)
            lines.append(f"{s.size:10.4g} {s.chosen:10.4g} {costs} {best}")
        lines.append(f"the rule costs less than {100 * self.tolerance:g} % of the loss: {self.verdict}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LearningRateFit":
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: LearningRateFit = from_plain(cls, content)
        return rebuilt


def fit_learning_rate(
    data: pd.DataFrame,
    *,
    size: str = "params_non_embedding",
    learning_rate: str = "learning_rate",
    loss: str = "loss_nats_per_token",
    seed_column: str = "seed",
    rule: Callable[[float], float] | None = None,
    tolerance: float = 0.01,
    bootstrap: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> LearningRateFit:
    """Find each size's best learning rate and what the rule's choice costs.

    Parameters
    ----------
    data : pandas.DataFrame
        One row a run.
    size, learning_rate, loss, seed_column : str
        Columns: parameters, peak learning rate, loss in nats/token, and the seed, which the rates of a size share.
    rule : callable, optional
        Size -> the rate that the rule chooses. Left out, it is the rate of the rows whose ``stage`` is ``chosen``.
    tolerance : float
        Cost that the rule may have, a share of the loss.
    bootstrap : int
        Draws for the intervals of the cost; 0 gives none.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals, each of one size.

    Returns
    -------
    LearningRateFit
        A size whose optimum the runs do not identify says why.

    Raises
    ------
    InputError
        A column is missing or holds something else than positive finite numbers; runs of one size differ in more than their
        rate; the rule's rate is unknown.
    """
    level = check_level(level)
    if bootstrap < 0:
        raise InputError(f"bootstrap: {bootstrap!r} was given, 0 or more is needed")
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance: {tolerance!r} was given, a share between 0 and 1 is needed, such as 0.01")
    require_columns(data, size, learning_rate, loss, seed_column)
    names = {size: "size", learning_rate: "learning_rate", loss: "loss", seed_column: "seed"}
    sizes = tuple(
        judge(bracket, resamples=bootstrap, rng=np.random.default_rng([seed, int(bracket.size)]), level=level)
        for bracket in _brackets(data, {role: column for column, role in names.items()}, rule)
    )
    return LearningRateFit(
        sizes=sizes,
        tolerance=float(tolerance),
        level=level,
        counts=Counts(
            n_runs=sum(s.n_runs for s in sizes),
            n_diverged=sum(s.n_diverged for s in sizes),
            n_clusters=len(sizes),
            n_seeds=max(s.n_seeds for s in sizes),
        ),
        bootstrap=Bootstrap(kind="parametric, multivariate t", resamples=bootstrap, not_converged=0),
        settings={**{role: column for column, role in names.items()}, "random_seed": seed},
    )


def _brackets(data: pd.DataFrame, columns: dict[str, str], rule: Callable[[float], float] | None) -> Iterator[Bracket]:
    if data.empty:
        raise InputError("data: no rows were given, one row a run is needed")
    positive(data, columns["learning_rate"])
    positive(drop_diverged(data)[0], columns["loss"])
    for value in np.unique(positive(data, columns["size"])):
        mine = data[data[columns["size"]] == value]
        fine, n_diverged = drop_diverged(mine)
        _check_fixed(fine, value)
        rate, chosen = columns["learning_rate"], _chosen(mine, columns["learning_rate"], float(value), rule)
        diverged = mine[rate][(mine["status"] != "ok").to_numpy()] if n_diverged else mine[rate][:0]
        # the seeds that survived would flatter a rate
        kept = fine[~fine[rate].isin(diverged)]
        table = kept.pivot_table(index=columns["seed"], columns=rate, values=columns["loss"], aggfunc="mean")
        yield Bracket(
            size=float(value),
            rates=table.columns.to_numpy(dtype=float),
            losses=table.to_numpy(dtype=float),
            chosen=chosen,
            n_runs=len(fine),
            n_diverged=n_diverged,
            n_diverged_chosen=int((diverged == chosen).sum()),
        )


def _chosen(runs: pd.DataFrame, learning_rate: str, size: float, rule: Callable[[float], float] | None) -> float:
    if rule is not None:
        rate = float(rule(size))
        if not 0 < rate < np.inf:
            raise InputError(f"rule: it gives {rate!r} for size {size:g}, a rate above 0 is needed")
        return rate
    found = runs.loc[runs["stage"] == "chosen", learning_rate].unique() if "stage" in runs else np.array([])
    if len(found) != 1:
        shown = f"{len(found)} rates" if len(found) else "no rate"
        raise InputError(f"data: size {size:g} has {shown} of stage 'chosen', one is needed; or give rule, size -> rate")
    return float(found[0])


def _check_fixed(runs: pd.DataFrame, size: float) -> None:
    for name in _FIXED:
        values = sorted(runs[name].dropna().unique()) if name in runs else []
        if len(values) > 1:
            shown = ", ".join(map(str, values[:3]))
            raise InputError(f"data: size {size:g} has runs of different {name} ({shown}); fit each on its own")


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _shown(share: float | None) -> str:
    return "--" if share is None else f"{100 * share:.2g}"


def _why(s: SizeRate) -> str:
    return f"not identified: {'; '.join(note.message for note in s.reasons)}"

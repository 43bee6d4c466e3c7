"""Evaluation logs of continual pre-training, from any trainer, as one curve an arm and a split.

=================  ======================================================  =============
column             meaning                                                 needed
=================  ======================================================  =============
``step``           optimiser step, 0 before the first                      yes
``tokens``         tokens of continual pre-training so far                 yes
the metric         loss, accuracy, ...; the same items at every step       yes
``seed``           of initial weights and order; arms share them           for intervals
``arm``            strategy, or control                                    for arms
``split``          what was evaluated: the old text, the new one, a task   for splits
``learning_rate``  of the step                                             for form F4
=================  ======================================================  =============
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import require_columns
from analysis.laws.stability_gap_schedule import annealing_area, forward_area
from curselab.errors import InputError

Vector = NDArray[np.float64]
Better = Literal["lower", "higher"]
MIN_POINTS = 6
"""Evaluations of a curve: one more than the parameters of the smallest form that can dip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric of one arm on one split."""

    arm: str
    split: str
    seeds: tuple[int, ...]
    steps: Vector
    """Rising from 0, ``(n,)``."""
    tokens: Vector
    """Rising from 0, ``(n,)``."""
    values: Vector
    """Higher is better (losses have their sign turned), ``(n_seeds, n)``."""
    repeats: Vector
    """Evaluations behind each value, ``(n,)``: several before the first step make the start known."""
    learning_rates: Vector | None
    """``(n,)``; None where the log has none."""

    @property
    def budget(self) -> float:
        """Tokens at the end."""
        return float(self.tokens[-1])

    def at(self, tokens: Vector) -> Vector:
        """Mean over seeds at other tokens, on straight lines between the evaluations, ``(n_tokens,)``."""
        return np.asarray(np.interp(tokens, self.tokens, self.values.mean(axis=0)))

    def same_schedule(self, other: "Curve") -> bool:
        """Whether the learning rates of two curves are the same, or not known."""
        if self.learning_rates is None or other.learning_rates is None:
            return True
        rates = np.interp(self.steps, other.steps, other.learning_rates)
        return bool(np.allclose(self.learning_rates, rates, rtol=1e-3, atol=1e-3 * float(self.learning_rates.max())))

    def areas(self, shares: Vector | None = None) -> tuple[Vector, Vector]:
        """Forward and annealing area at shares of the budget, or at the evaluations; zeros without learning rates.

        The rate of steps between two evaluations lies on the straight line between theirs.
        """
        at = self.steps if shares is None else np.interp(shares * self.budget, self.tokens, self.steps)
        if self.learning_rates is None:
            return np.zeros_like(at), np.zeros_like(at)
        every = np.arange(1, round(self.steps[-1]) + 1)
        rates = np.interp(every, self.steps, self.learning_rates)
        whole = np.concatenate([[0], every])
        forward = np.concatenate([[0.0], forward_area(rates)])
        annealing = np.concatenate([[0.0], annealing_area(rates, before=float(self.learning_rates[0]))])
        return np.interp(at, whole, forward), np.interp(at, whole, annealing)


def read_log(
    log: pd.DataFrame,
    *,
    value: str = "loss",
    better: Better = "lower",
    columns: Mapping[str, str] | None = None,
) -> dict[tuple[str, str], Curve]:
    """Split a log into curves.

    Parameters
    ----------
    log : pandas.DataFrame
        One row an evaluation.
    value : str
        Column of the metric.
    better : str
        ``lower`` for losses, ``higher`` for accuracies.
    columns : mapping, optional
        Names of one's own for ``step``, ``tokens``, ``learning_rate``, ``split``, ``seed`` and ``arm``.

    Returns
    -------
    dict
        Curves by arm and split. A step that some seed lacks is left out.

    Raises
    ------
    InputError
        A column is missing or not finite; a curve has no evaluation before its first step, or too few.
    """
    names = {
        "step": "step",
        "tokens": "tokens",
        "learning_rate": "learning_rate",
        "split": "split",
        "seed": "seed",
        "arm": "arm",
    }
    names |= dict(columns or {})
    if better not in ("lower", "higher"):
        raise InputError(f"better: {better!r} was given (allowed: lower, higher)")
    require_columns(log, names["step"], names["tokens"], value)
    for name in (names["step"], names["tokens"], value):
        if not np.isfinite(pd.to_numeric(log[name], errors="coerce")).all():
            raise InputError(f"log: column {name!r} holds something else than finite numbers")
    absent = {"arm": "run", "split": "all", "seed": 0}
    table = pd.DataFrame({role: log[name] if name in log else absent.get(role, np.nan) for role, name in names.items()})
    table["value"] = log[value] * (1.0 if better == "higher" else -1.0)
    return {
        (str(arm), str(split)): _curve(rows, str(arm), str(split))
        for (arm, split), rows in table.groupby(["arm", "split"], sort=False)
    }


def _curve(rows: pd.DataFrame, arm: str, split: str) -> Curve:
    where = f"log: arm {arm!r}, split {split!r}"
    cells = rows.pivot_table(index="seed", columns="step", values="value", aggfunc="mean").dropna(axis=1)
    steps = cells.columns.to_numpy(dtype=float)
    if len(steps) < MIN_POINTS:
        raise InputError(f"{where} has {len(steps)} steps that all its seeds share, {MIN_POINTS} or more are needed")
    by_step = rows.groupby("step")
    tokens = by_step["tokens"].mean().loc[steps].to_numpy(dtype=float)
    if steps[0] != 0 or tokens[0] != 0:
        raise InputError(f"{where} begins at step {steps[0]:g}, an evaluation at step 0 and 0 tokens is needed")
    if (np.diff(tokens) <= 0).any():
        raise InputError(f"{where} has tokens that do not rise with the steps")
    rates = by_step["learning_rate"].mean().loc[steps].to_numpy(dtype=float)
    return Curve(
        arm=arm,
        split=split,
        seeds=tuple(int(seed) for seed in cells.index),
        steps=steps,
        tokens=tokens,
        values=cells.to_numpy(dtype=float),
        repeats=by_step.size().loc[steps].to_numpy(dtype=float) / len(cells),
        learning_rates=rates if np.isfinite(rates).all() else None,
    )

"""Tables ``runs`` and ``metrics`` of a sweep of the stability gap whose depths, ends and effects are known."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analysis.decisions.plan_stability_gap import expected_curve
from tests.analysis.factories import record

STEPS_A_BUDGET = {100_000: 400, 200_000: 800}
START, NEW_START = 2.0, 3.0
CONTROL_DEPTH, DEPTH, INDEX, MINIMUM = 0.08, 0.2, 0.6, 0.06
"""Of the control, and of the arm without a strategy: nats/token; the minimum as a share of the budget."""
GAIN = 0.8
"""Fall of the new loss at the smallest budget, nats/token; it grows by a tenth of it with a doubling."""
EFFECTS = {"subset": 0.05, "quality": -0.04, "mixture": 0.03, "fixed": 0.0}
"""On the new loss at the end, nats/token; subset and quality together have another ``INTERACTION``."""
INTERACTION = -0.02
COSINE = 0.5
"""Of the gradients of both texts in the control; 0.2 less in the arms."""
SHALLOWER = 0.5
"""Depth with a mixture over that without."""
_OLD = "prose 0.8, told 0.2"


def mixture(strategies: tuple[str, ...], tokens: int, new: str = "code") -> str:
    """What the sweep writes for an arm; ``told`` is in all of them."""
    replayed = 0.25 if "mixture" in strategies else 0.0
    share = 0.8 - replayed
    part = f"{new} {share:g}"
    if {"subset", "quality"} & set(strategies):
        size = round(share * tokens / (4 if "subset" in strategies else 1))
        part += f" of {size} {'lowest_perplexity' if 'quality' in strategies else 'drawn'}"
    if replayed:
        part += f", prose {replayed:g}" + (f" of {tokens // 20} drawn" if "fixed" in strategies else "")
    return f"{part}, told 0.2"


FACTORIAL = tuple(
    strategies + replay
    for strategies in ((), ("subset",), ("quality",), ("subset", "quality"))
    for replay in ((), ("mixture",), ("mixture", "fixed"))
)


def loss_of(strategies: tuple[str, ...]) -> float:
    """What strategies do to the new loss at the end, nats/token."""
    return sum(EFFECTS[name] for name in strategies) + INTERACTION * ({"subset", "quality"} <= set(strategies))


class Sweep:
    """Rows of both tables, as they are added."""

    def __init__(self, noise: float, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.noise = noise
        self.runs: list[dict[str, Any]] = []
        self.metrics: list[tuple[Any, ...]] = []

    def run(self, stage: str, **values: Any) -> str:
        """Add a run and return its id."""
        row = record(len(self.runs), sweep="stability_gap", stage=stage, domain="code", **values)
        self.runs.append(row)
        return str(row["run_id"])

    def curve(self, run_id: str, tokens: int, losses: Mapping[str, Any], *, rate: Any, seed: int) -> None:
        """Add evaluations of losses, functions of the share of the budget, at the cadence of the sweep."""
        steps = STEPS_A_BUDGET[tokens]
        spaced = np.round(1.12 ** np.arange(0, np.log(steps) / np.log(1.12)))
        at = np.unique([0, *range(1, 21), *spaced, steps])
        for domain, loss in losses.items():
            values = loss(at / steps) + self.noise * self.rng.standard_normal(len(at)) + 0.01 * (seed - 1)
            self._add(run_id, at, tokens / steps, domain, "validation", "loss_nats_per_token", values)
        self._add(run_id, at, tokens / steps, "all", "train", "learning_rate", rate(at / steps))

    def answers(self, run_id: str, tokens: int, accuracy: Any) -> None:
        """Add accuracies on the facts told."""
        steps = STEPS_A_BUDGET[tokens]
        at = np.unique([0, *np.round(1.5 ** np.arange(0, np.log(steps) / np.log(1.5))), steps])
        values = accuracy(at / steps) + 0.002 * self.rng.standard_normal(len(at))
        self._add(run_id, at, tokens / steps, "told", "validation", "accuracy_share", values)

    def gradients(self, run_id: str, tokens: int, cosine: float) -> None:
        """Add cosines of gradients at powers of four, and a balance of blocks of 1.2 at each but the first."""
        steps = STEPS_A_BUDGET[tokens]
        at = np.array([0, 1, 4, 16, 64, 256, steps])
        values = cosine + 0.01 * self.rng.standard_normal(len(at))
        self._add(run_id, at, tokens / steps, "code", "validation", "gradient_cosine", values)
        moved = 1.2 + 0.01 * self.rng.standard_normal(len(at) - 1)
        self._add(run_id, at[1:], tokens / steps, "all", "validation", "weight_change_bottom_over_top", moved)

    def _add(self, run_id: str, at: Any, a_step: float, domain: str, split: str, metric: str, values: Any) -> None:
        rows = zip(at.tolist(), values.tolist(), strict=True)
        self.metrics += [
            ("stability_gap", run_id, int(step), int(step * a_step), split, domain, metric, value) for step, value in rows
        ]

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Tables ``runs`` and ``metrics``, with the last losses of the new text in the first."""
        columns = ["sweep", "run_id", "step", "tokens", "split", "domain", "metric", "value"]
        return pd.DataFrame(self.runs), pd.DataFrame(self.metrics, columns=columns)


def rewarmed(t: Any) -> Any:
    """Up within a twentieth of the run, and down over its last fifth."""
    return 1e-3 * np.clip(np.minimum(0.1 + t / 0.05, (1 - t) / 0.2), 0.1, 1)


def flat(t: Any) -> Any:
    """A tenth of the peak throughout."""
    return 1e-4 + 0 * t


@cache
def _dip() -> Any:
    return expected_curve(1.0, MINIMUM, index=INDEX)


def old_loss(depth: float) -> Any:
    """Loss of the old text that rises by a depth and comes back in part."""
    return lambda t: START - depth * _dip().at(t[None])[0]


def new_loss(fall: float) -> Any:
    """Loss of the new text, which falls throughout."""
    return lambda t: NEW_START - fall * (1 - np.exp(-t / 0.15)) / (1 - np.exp(-1 / 0.15))


def stability_gap_tables(
    *,
    seeds: int = 3,
    noise: float = 0.004,
    budgets: tuple[int, ...] = tuple(STEPS_A_BUDGET),
    arms: tuple[tuple[str, ...], ...] = FACTORIAL,
    diverged: tuple[str, ...] = (),
    questions: bool = False,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A strong shift to code: C1, all arms, C3, C4 with its control; a mixture in ``diverged`` loses its runs of seed 0."""
    sweep = Sweep(noise, seed)
    for s in range(seeds):
        base = sweep.run("annealed", mixture=_OLD, seed=s, tokens=500_000)
        for tokens in budgets:
            shared = {"seed": s, "tokens": tokens, "train_flop": 6.0 * 12_000 * tokens}
            fall = GAIN * (1 + 0.1 * np.log2(tokens / min(STEPS_A_BUDGET)))
            # stage, mixture, depth of the old loss, fall of the new one, learning rate
            plans: list[tuple[str, str, float, float, Any]] = [("old_text", _OLD, CONTROL_DEPTH, 0.1, rewarmed)]
            for strategies in arms:
                depth = DEPTH * (SHALLOWER if "mixture" in strategies else 1)
                plans.append(
                    (
                        "strategy" if strategies else "strong",
                        mixture(strategies, tokens),
                        depth,
                        fall - loss_of(strategies),
                        rewarmed,
                    )
                )
            plans.append(("low_rate", mixture((), tokens), 0.05, 0.5 * fall, flat))
            plans.append(("low_rate", _OLD, 0.01, 0.05, flat))
            for stage, mixed, depth, fallen, rate in plans:
                lost = mixed in diverged and s == 0
                run = sweep.run(stage, mixture=mixed, base_id=base, status="diverged" if lost else "ok", **shared)
                sweep.curve(
                    run, tokens, {"code": new_loss(fallen), "prose": old_loss(depth), "told": new_loss(0.3)}, rate=rate, seed=s
                )
                if questions:
                    sweep.gradients(run, tokens, COSINE if stage == "old_text" else COSINE - 0.2)
                    sweep.answers(run, tokens, lambda t, d=depth: 0.6 + d * _dip().at(t[None])[0])
            scratch = sweep.run("new_alone", mixture="code 0.8, told 0.2", **shared)
            sweep.curve(scratch, tokens, {"code": new_loss(0.6), "prose": new_loss(-1.0)}, rate=rewarmed, seed=s)
    return sweep.tables()

"""Runs and layers of schemes whose use of depth is known, and what :func:`analysis.fit_depth` makes of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.laws.depth import DepthFit, fit_depth

Vector = NDArray[np.float64]

STEPS = (0, 10, 30, 100)
RATE_PENALTY = 0.05  # nats/token, times the squared logarithm of a rate over the best
SEED_SD = 0.02  # nats/token, what a seed does to all its runs


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one scheme."""

    loss: Callable[[float], float]
    """nats/token at its best rate, by depth."""
    variance: Callable[[Vector], Vector]
    """By layer, at the end of training."""
    decline: float = 0.0
    """delta of block l is 0.3 exp(-decline l) nats/token, times a scatter."""
    tilt: float = 0.0
    """Slope of ln(branch/stream) and of ln |J - I| on ln layer that training adds."""
    best: float = 1.0
    """Best rate, as a multiple of the middle one."""
    diverges: tuple[tuple[int, float], ...] = ()
    """Depths and rates at which every run diverges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Grid and noise of a simulated sweep."""

    depths: tuple[int, ...] = (6, 12, 24)
    rates: tuple[float, ...] = (0.3, 1.0, 3.0)
    """Multiples of the middle one, 1e-3."""
    seeds: int = 3
    noise: float = 0.003
    """Standard deviation of the loss of one run, nats/token."""
    scatter: float = 0.02
    """Standard deviation of the logarithm of what is measured at a layer."""
    delta_scatter: float = 0.02
    """The same, of the rise of the loss without a block."""


CURSED = Truth(loss=lambda depth: 2.0 + 2.0 / depth**2, variance=lambda x: (1 + 0.5 * x) ** 2, decline=0.25, tilt=-0.8)
"""The curse as the paper has it: deep blocks that do nothing, and no gain from more of them."""
CURED = Truth(loss=lambda depth: float(1.96 - 0.06 * np.log(depth / 6)), variance=lambda x: 1 + 0.4 * x)
"""A scheme that lifts it."""
PLAIN = Truth(loss=lambda depth: float(2.0 - 0.05 * np.log(depth / 6)), variance=lambda x: (1 + 0.5 * x) ** 2)
"""No curse: every block of use, as much variance as in the cursed one."""
SATURATED = replace(CURSED, loss=lambda depth: float(2.0 + 0.05 * np.exp((6 - depth) / 2)))
"""Cursed, with a last doubling that gains next to nothing."""
USING = replace(CURED, loss=lambda depth: float(2.04 - 0.08 * np.log(depth / 6)))
"""Every doubling gains as much."""
CALM = replace(SATURATED, variance=CURED.variance)
"""Variance controlled, depth not used."""

STUDIES: dict[str, Mapping[str, Truth]] = {
    "no curse, nothing to lift": {"pre": PLAIN, "lns": PLAIN, "pre + scaled init": PLAIN},
    "curse, lifted by lns": {"pre": SATURATED, "lns": USING, "pre + scaled init": SATURATED},
    "curse, lns lowers the variance alone": {"pre": SATURATED, "lns": CALM, "pre + scaled init": SATURATED},
}


def simulate(schemes: Mapping[str, Truth], design: Design, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the runs and the layers of one sweep; ``a + scaled init`` is the scheme ``a`` with initialisation ``scaled``."""
    effects = SEED_SD * rng.standard_normal(design.seeds)
    runs: list[dict[str, Any]] = []
    layers: list[pd.DataFrame] = []
    for label, truth in schemes.items():
        name, _, initial = label.partition(" + ")
        for depth, rate, seed in _cells(design):
            diverged = (depth, rate) in truth.diverges
            penalty = RATE_PENALTY * np.log(rate / truth.best) ** 2
            loss = truth.loss(depth) + penalty + effects[seed] + design.noise * rng.standard_normal()
            run_id = f"{len(runs):012x}"
            runs.append(
                {
                    "run_id": run_id,
                    "scheme": name,
                    "initialisation": initial.removesuffix(" init") or "plain",
                    "depth": depth,
                    "learning_rate": 1e-3 * rate,
                    "seed": seed,
                    "status": "diverged" if diverged else "ok",
                    "loss_nats_per_token": np.nan if diverged else float(loss),
                }
            )
            if not diverged:
                layers.append(_layers(run_id, truth, depth, design, rng))
    return pd.DataFrame(runs), pd.concat(layers, ignore_index=True)


def replicates(schemes: Mapping[str, Truth], design: Design, *, tables: int, seed: int = 0) -> Iterator[DepthFit]:
    """Fits of independent tables.

    Parameters
    ----------
    schemes : mapping
        Name -> what is true of it; ``pre`` is the baseline.
    design : Design
    tables : int
        How many.
    seed : int
        Of the tables' generators.
    """
    for table in range(tables):
        yield fit_depth(*simulate(schemes, design, np.random.default_rng([seed, table])))


def _cells(design: Design) -> Iterator[tuple[int, float, int]]:
    return ((depth, rate, seed) for depth in design.depths for rate in design.rates for seed in range(design.seeds))


def _layers(run_id: str, truth: Truth, depth: int, design: Design, rng: np.random.Generator) -> pd.DataFrame:
    x = np.arange(1.0, depth + 1)
    found: list[tuple[int, str, str, Vector]] = []

    def add(step: int, part: str, metric: str, values: Vector, scatter: float) -> None:
        found.append((step, part, metric, values * np.exp(scatter * rng.standard_normal(depth))))

    for step in STEPS:
        share = step / STEPS[-1]
        add(step, "block", "residual_variance", (1 + x) ** (1 - share) * truth.variance(x) ** share, design.scatter)
        for part in ("attention", "ffn"):
            add(step, part, "relative_contribution", x ** (-0.5 + share * truth.tilt), design.scatter)
        add(step, "block", "jacobian_minus_identity", x ** (-0.5 + share * truth.tilt), design.scatter)
    last, without = STEPS[-1], 0.3 * np.exp(-truth.decline * x)
    add(last, "block", "loss_removed_delta_nats_per_token", without, design.delta_scatter)
    add(last, "block", "loss_truncated_delta_nats_per_token", 0.03 * (depth - x + 1), design.scatter)
    names = pd.DataFrame([row[:3] for row in found], columns=["step", "part", "metric"])
    # one table a run: thousands of small ones would take most of a simulation's time
    layers = names.loc[names.index.repeat(depth)].reset_index(drop=True)
    layers["layer"] = np.tile(x.astype(int), len(found))
    layers["value"] = np.concatenate([row[3] for row in found])
    return layers.assign(run_id=run_id)

"""Tables ``runs`` and ``layers`` of schemes and depths whose use of depth is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tests.analysis.factories import record

COLUMNS = ["sweep", "run_id", "step", "tokens", "layer", "part", "metric", "value"]


@dataclass(frozen=True)
class Scheme:
    """What is true of one scheme."""

    loss: Callable[[int], float]
    """nats/token at its best rate, by depth."""
    variance: Callable[[np.ndarray], np.ndarray]
    """By layer, at the end of training."""
    decline: float = 0.0
    """delta of block l is 0.3 exp(-decline l) nats/token, times a scatter."""
    tilt: float = 0.0
    """Slope of ln(branch/stream) and of ln |J - I| on ln layer that training adds."""
    best: float = 1.0
    """Best rate, as a multiple of the middle one."""
    diverges: tuple[tuple[int, float], ...] = ()
    """Depths and rates at which every run diverges."""


CURSED = Scheme(
    loss=lambda depth: 2.0 + 2.0 / depth**2,
    variance=lambda x: (1 + 0.5 * x) ** 2,
    decline=0.25,
    tilt=-0.8,
)
CURED = Scheme(loss=lambda depth: 1.96 - 0.06 * np.log(depth / 6), variance=lambda x: 1 + 0.4 * x, decline=0.0, tilt=0.0)
PLAIN = Scheme(loss=lambda depth: 2.0 - 0.05 * np.log(depth / 6), variance=lambda x: (1 + 0.5 * x) ** 2, decline=0.0)


def depth_tables(
    schemes: Mapping[str, Scheme],
    *,
    depths: tuple[int, ...] = (6, 12, 24),
    rates: tuple[float, ...] = (0.3, 1.0, 3.0),
    seeds: int = 3,
    noise: float = 0.003,
    scatter: float = 0.02,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and layers; a scheme named ``a + scaled init`` has the scheme ``a`` and the initialisation ``scaled``."""
    rng = np.random.default_rng(seed)
    effects = 0.02 * rng.standard_normal(seeds)
    records: list[dict[str, Any]] = []
    layers: list[tuple[Any, ...]] = []
    for label, truth in schemes.items():
        name, _, initial = label.partition(" + ")
        for depth in depths:
            for rate in rates:
                for s in range(seeds):
                    lost = (depth, rate) in truth.diverges
                    loss = (
                        truth.loss(depth) + 0.05 * np.log(rate / truth.best) ** 2 + effects[s] + noise * rng.standard_normal()
                    )
                    row = record(
                        len(records),
                        sweep="depth",
                        scheme=name,
                        initialisation=initial.removesuffix(" init") or "plain",
                        depth=depth,
                        learning_rate=1e-3 * rate,
                        seed=s,
                        status="diverged" if lost else "ok",
                        loss_nats_per_token=float(loss),
                    )
                    records.append(row)
                    if not lost:
                        layers += _layers(row["run_id"], truth, depth, scatter, rng)
    return pd.DataFrame(records), pd.DataFrame(layers, columns=COLUMNS)


def _layers(run_id: str, truth: Scheme, depth: int, scatter: float, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    x = np.arange(1.0, depth + 1)
    rows: list[tuple[Any, ...]] = []

    def add(step: int, part: str, metric: str, values: np.ndarray) -> None:
        noisy = values * np.exp(scatter * rng.standard_normal(len(values)))
        rows.extend(("depth", run_id, step, 1000 * step, i + 1, part, metric, float(v)) for i, v in enumerate(noisy))

    for step in (0, 10, 30, 100):
        share = step / 100
        add(step, "block", "residual_variance", (1 + x) ** (1 - share) * truth.variance(x) ** share)
        for part in ("attention", "ffn"):
            add(step, part, "relative_contribution", x ** (-0.5 + share * truth.tilt))
        add(step, "block", "jacobian_minus_identity", x ** (-0.5 + share * truth.tilt))
    add(100, "block", "loss_removed_delta_nats_per_token", 0.3 * np.exp(-truth.decline * x))
    add(100, "block", "loss_truncated_delta_nats_per_token", 0.03 * (depth - x + 1))
    return rows

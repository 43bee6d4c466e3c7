"""How often the intervals of a simulated gap hold the truth, and how often flat noise is called one.

``python benchmarks/stability_gap.py [--replicates N] [--design NAME ...] [--help]``. Curves of known depth, time to minimum
and time to recovery, under several noises and numbers of seeds; prints a table in Markdown.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from analysis.laws.stability_gap_arms import verdict_of
from analysis.laws.stability_gap_curve import fit_curve
from analysis.laws.stability_gap_estimates import estimates, measured
from analysis.laws.stability_gap_log import Curve

BUDGET = 50.0  # billions of tokens
START, GAIN, DROP, FAST, SLOW = 36.2, 1.3, 2.0, 2.0, 12.0
NAMES = ("depth", "time_to_minimum", "time_to_recovery")


def curve(t, gain=GAIN, drop=DROP, fast=FAST, slow=SLOW):
    """A double exponential: depth 0.82, minimum at 3.1, recovery at 11.1."""
    return START + gain * (1 - np.exp(-t / slow)) - drop * (np.exp(-t / slow) - np.exp(-t / fast))


@dataclass(frozen=True)
class Design:
    """How curves are simulated."""

    seeds: int
    sd: float
    """Of one evaluation."""
    evaluations: int = 51
    spread: float = 0.0
    """Of the logarithms of a seed's own constants."""
    correlation: float = 0.0
    """Of neighbouring evaluations."""
    flat: bool = False
    kind: str = "auto"


DESIGNS = {
    "3 seeds": Design(3, 0.1),
    "3 seeds that differ by 10 %": Design(3, 0.1, spread=0.1),
    "3 seeds, more noise": Design(3, 0.3, spread=0.1),
    "5 seeds, more noise": Design(5, 0.3, spread=0.1),
    "3 seeds, 26 evaluations, more noise": Design(3, 0.3, evaluations=26, spread=0.1),
    "5 seeds, bootstrap": Design(5, 0.1, spread=0.1, kind="bootstrap"),
    "1 seed": Design(1, 0.1),
    "1 seed, neighbours correlated 0.6": Design(1, 0.1, correlation=0.6),
    "flat, 3 seeds": Design(3, 0.3, flat=True),
    "flat, 3 seeds, correlated 0.6": Design(3, 0.3, flat=True, correlation=0.6),
    "flat, 1 seed": Design(1, 0.3, flat=True),
    "flat, 1 seed, correlated 0.6": Design(1, 0.3, flat=True, correlation=0.6),
}


def truth(design: Design, draws: int = 100_000) -> tuple[float, ...]:
    """Depth, time to minimum and time to recovery of the mean curve over all seeds there could be."""
    z = design.spread * np.random.default_rng(1).standard_normal((draws if design.spread else 1, 4, 1))
    constants = np.array([GAIN, DROP, FAST, SLOW])[:, None] * np.exp(z)

    def mean(t: float) -> float:
        return float(curve(t, *constants.transpose(1, 0, 2)).mean())

    low = float(minimize_scalar(mean, bounds=(0.5, 10), method="bounded").x)
    return START - mean(low), low, float(brentq(lambda t: mean(t) - START, low, 40))


def simulate(design: Design, replicate: int) -> Curve:
    """Evaluations at 0, three times, and then evenly in ln t."""
    rng = np.random.default_rng([0, replicate])
    t = np.concatenate([[0.0], np.geomspace(BUDGET / 250, BUDGET, design.evaluations - 1)])
    noise = rng.standard_normal((design.seeds, len(t)))
    for i in range(1, len(t)):
        noise[:, i] = design.correlation * noise[:, i - 1] + np.sqrt(1 - design.correlation**2) * noise[:, i]
    noise[:, 0] /= np.sqrt(3)
    own = np.array([GAIN, DROP, FAST, SLOW]) * np.exp(design.spread * rng.standard_normal((design.seeds, 4)))
    exact = np.full_like(noise, START) if design.flat else np.array([curve(t, *row) for row in own])
    repeats = np.concatenate([[3.0], np.ones(len(t) - 1)])
    return Curve(
        arm="arm",
        split="all",
        seeds=tuple(range(design.seeds)),
        steps=np.arange(len(t), dtype=float),
        tokens=t,
        values=exact + design.sd * noise,
        repeats=repeats,
        learning_rates=None,
    )


def study(design: Design, replicates: Iterable[int]) -> dict[str, float]:
    """Shares of the replicates: covered, claimed, and lower at some evaluation than at the start."""
    at = None if design.flat else truth(design)
    rows = []
    for i in replicates:
        data = simulate(design, i)
        fit = fit_curve(data, kind=design.kind, resamples=200, seed=i)
        found = estimates(fit, measured(fit, tolerance=0.0, peak=None), tolerance=0.0, level=0.95)
        mean = data.values.mean(axis=0)
        row = {"gap": verdict_of(fit, found).startswith("gap"), "raw": mean.min() < mean[0], "dips": fit.dips}
        row["lost"] = verdict_of(fit, found) != "none found"
        for name, value in zip(NAMES, at or (), strict=False):
            e = found[name]
            low, high = (-np.inf if e.lower is None else e.lower), (np.inf if e.upper is None else e.upper)
            row |= {name: low <= value <= high, f"{name}_open": e.upper is None}
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def main() -> None:
    """Run the study and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--design", nargs="*", default=list(DESIGNS), choices=list(DESIGNS))
    options = parser.parse_args()
    print("| design | depth | minimum | recovery | recovery open | dip | any loss | gap | raw minimum below the start |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.design:
        found = study(DESIGNS[name], range(options.replicates))
        cells = [found.get(key) for key in (*NAMES, "time_to_recovery_open", "dips", "lost", "gap", "raw")]
        shown = " | ".join("--" if value is None else f"{100 * value:.1f} %" for value in cells)
        print(f"| {name} | {shown} |", flush=True)


if __name__ == "__main__":
    main()

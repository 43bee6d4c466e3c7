"""How often 95 % intervals of simulated runs hold the truth: ``python benchmarks/coverage.py [replicates] [resamples]``.

Three designs of L = E + A/N^alpha + B/D^beta with known constants: 240 independent runs; 40 sizes with six runs each whose
errors share a part; and a grid of 25 settings, with few runs for draws with replacement. Prints a table in Markdown.
"""

import sys
import time

import numpy as np
import pandas as pd

from analysis.fitting.result import expanded_tail
from analysis.laws.forms import BESIROGLU_2024, CHINCHILLA
from analysis.laws.scaling import fit_scaling_law

TRUTH = CHINCHILLA.vector(BESIROGLU_2024)
NOISE = 0.006  # of ln L, as on the runs of Hoffmann et al.


def independent(rng: np.random.Generator) -> pd.DataFrame:
    """240 runs, sizes and tokens per parameter spread evenly in logarithms."""
    params = np.exp(rng.uniform(np.log(5e7), np.log(1.5e10), 240))
    tokens = params * np.exp(rng.uniform(np.log(1), np.log(200), 240))
    return _runs(params, tokens, NOISE * rng.standard_normal(240), np.arange(240))


def clustered(rng: np.random.Generator) -> pd.DataFrame:
    """40 sizes with six runs each; half of the variance belongs to the size."""
    size = np.repeat(np.arange(40), 6)
    params = np.geomspace(5e7, 1.5e10, 40)[size]
    tokens = params * np.exp(rng.uniform(np.log(1), np.log(200), 240))
    error = NOISE * (rng.standard_normal(40)[size] + rng.standard_normal(240)) / np.sqrt(2)
    return _runs(params, tokens, error, size)


def grid(rng: np.random.Generator) -> pd.DataFrame:
    """5 sizes by 5 budgets, one run each."""
    params, tokens = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 5e9, 5), np.geomspace(1e9, 3e11, 5)))
    return _runs(params, tokens, NOISE * rng.standard_normal(25), np.arange(25))


def _runs(params: np.ndarray, tokens: np.ndarray, error: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    loss = CHINCHILLA.predict(TRUTH, params, tokens) * np.exp(error)
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss, "group": group})


def study(design, *, kind: str, objective: str, delta: float | str, replicates: int, resamples: int, seed: int = 0):
    """Share of replicates whose interval holds the truth, for E, A, B, alpha, beta and a: percentile and expanded."""
    rng, held = np.random.default_rng(seed), np.zeros((2, 6))
    for i in range(replicates):
        options = {"kind": kind, "objective": objective, "delta": delta, "bootstrap": resamples, "seed": i}
        fit = fit_scaling_law(design(rng), groups="group", **options)
        draws = np.asarray(fit.draws)
        draws = np.column_stack([draws, draws[:, 4] / (draws[:, 3] + draws[:, 4])])
        truth = np.append(TRUTH, TRUTH[4] / (TRUTH[3] + TRUTH[4]))
        for row, tail in enumerate((0.025, expanded_tail(0.95, fit.counts.n_clusters, 5))):
            lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
            held[row] += (lower <= truth) & (truth <= upper)
    return held / replicates


def main() -> None:
    """Print the table."""
    replicates, resamples = (int(word) for word in (sys.argv[1:] + ["1000", "400"][len(sys.argv) - 1 :])[:2])
    print("| design | bootstrap | objective | interval | E | A | B | alpha | beta | a | CPU-s |\n|" + "---|" * 11)
    for design, kind in ((independent, "case"), (clustered, "case"), (clustered, "cluster"), (grid, "case"), (grid, "wild")):
        for objective, delta in (("huber", "auto"), ("huber", 1e-3)):
            if kind == "wild" and delta == 1e-3:
                continue
            begin = time.process_time()
            held = study(design, kind=kind, objective=objective, delta=delta, replicates=replicates, resamples=resamples)
            spent = time.process_time() - begin
            for row, interval in zip(held, ("percentile", "expanded"), strict=True):
                cells = " | ".join(f"{value:.3f}" for value in row)
                print(f"| {design.__name__} | {kind} | {objective} {delta} | {interval} | {cells} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()

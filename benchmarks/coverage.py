"""How often 95 % intervals of simulated runs hold the truth: ``python benchmarks/coverage.py [--law NAME ...] [--help]``.

Every law is simulated with known constants on three designs: 240 independent runs; 40 sizes with six runs each whose errors
share a part; and a grid of 25 settings, with few runs for draws with replacement. Prints a table in Markdown.
"""

import argparse
import time
from collections.abc import Iterable, Mapping

import numpy as np

from analysis import custom_law
from analysis.laws.forms import BESIROGLU_2024, BUSBRIDGE_2025, CHINCHILLA, KAPLAN, KAPLAN_2020, OUTER, POWER
from analysis.laws.parametric import Law
from analysis.laws.scaling import fit_scaling_law

INTERVALS = ("auto", "percentile", "expanded")
NOISE = 0.006  # of ln L, as on the runs of Hoffmann et al.


def saturating(N, D, E, A, alpha, T, k):
    """A law as a user writes it: tokens fill a gap like a stretched exponential."""
    return E + A * N**-alpha + np.exp(-((D / T) ** k))


SATURATING = custom_law(
    saturating,
    ("E", "A", "alpha", "T", "k"),
    start={"E": 1.5, "A": 100.0, "alpha": 0.3, "T": 1e10, "k": 0.3},
    positive=("E", "A", "T"),
    name="saturating",
)
CASES: Mapping[str, tuple[Law, Mapping[str, float]]] = {
    "chinchilla": (CHINCHILLA, BESIROGLU_2024),
    "power": (POWER, {"E": 1.7, "A": 2000.0, "alpha": 0.155}),
    "kaplan": (KAPLAN, KAPLAN_2020),
    "outer": (OUTER, BUSBRIDGE_2025),
    "custom": (SATURATING, {"E": 1.8, "A": 480.0, "alpha": 0.35, "T": 2e9, "k": 0.4}),
}


def independent(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """240 runs, sizes and tokens per parameter spread evenly in logarithms."""
    params = np.exp(rng.uniform(np.log(5e7), np.log(1.5e10), 240))
    tokens = params * np.exp(rng.uniform(np.log(1), np.log(200), 240))
    return params, tokens, NOISE * rng.standard_normal(240), np.arange(240)


def clustered(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """40 sizes with six runs each; half of the variance belongs to the size."""
    size = np.repeat(np.arange(40), 6)
    params = np.geomspace(5e7, 1.5e10, 40)[size]
    tokens = params * np.exp(rng.uniform(np.log(1), np.log(200), 240))
    error = NOISE * (rng.standard_normal(40)[size] + rng.standard_normal(240)) / np.sqrt(2)
    return params, tokens, error, size


def grid(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """5 sizes by 5 budgets, one run each."""
    params, tokens = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 5e9, 5), np.geomspace(1e9, 3e11, 5)))
    return params, tokens, NOISE * rng.standard_normal(25), np.arange(25)


DESIGNS = {"independent": independent, "clustered": clustered, "grid": grid}


def study(
    law: str, design: str, *, bootstrap: str = "auto", delta: float | str = "auto", replicates: Iterable[int], resamples: int
) -> np.ndarray:
    """Whether each interval holds the truth: ``(n_replicates, 3, n_params)``, in the order of ``INTERVALS``.

    A replicate has its own random numbers, so that a study may be split. One without intervals holds nothing.
    """
    form, truth = CASES[law]
    value, held = form.vector(truth), []
    for i in replicates:
        params, tokens, error, group = DESIGNS[design](np.random.default_rng([0, i]))
        x = (6 * params * tokens,) if form.inputs == ("compute",) else (params, tokens)
        loss = form.predict(truth, *x) * np.exp(error)
        data = {"params": params, "tokens": tokens, "loss": loss, "groups": group}
        fit = fit_scaling_law(law=form, **data, kind=bootstrap, delta=delta, bootstrap=resamples, seed=i)
        draws = np.asarray(fit.draws if fit.draws else [np.full(len(value), np.nan)])
        ends = [fit.interval(draws, 0.95, kind=kind) for kind in INTERVALS]
        held.append([(lower <= value) & (value <= upper) for lower, upper in ends])
    return np.array(held)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Coverage of 95 % intervals on simulated runs.")
    parser.add_argument("--law", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--design", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--bootstrap", default="auto", help="case, cluster, wild or bayes; auto by the groups")
    parser.add_argument("--delta", default="auto", help="where Huber's loss turns linear")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    delta = options.delta if options.delta == "auto" else float(options.delta)
    print("| law | design | interval | coverage (%) | CPU-s |\n|" + "---|" * 5)
    for law in options.law:
        for design in options.design:
            begin, each = time.process_time(), range(options.replicates)
            held = study(law, design, bootstrap=options.bootstrap, delta=delta, replicates=each, resamples=options.resamples)
            spent = time.process_time() - begin
            for share, interval in zip(held.mean(axis=0), INTERVALS, strict=True):
                cells = ", ".join(f"{s} {100 * v:.1f}" for s, v in zip(CASES[law][0].symbols, share, strict=True))
                print(f"| {law} | {design} | {interval} | {cells} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()

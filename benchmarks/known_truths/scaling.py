"""Runs of laws whose constants are known, and two systems that are alike."""

from collections.abc import Callable

import numpy as np

from analysis import compare_systems, fit_isoflop, fit_scaling_law
from analysis.laws.forms import BESIROGLU_2024, CHINCHILLA
from benchmarks import coverage
from benchmarks.known_truths.study import TWO_SIDED, Answers, Question, Study, draw_seed, held, holds


def systems(rng: np.random.Generator) -> Answers:
    """One law, run twice."""
    params, tokens = (np.repeat(a.ravel(), 3) for a in np.meshgrid(np.geomspace(5e7, 5e9, 7), np.geomspace(1e9, 3e11, 6)))
    exact, fits = CHINCHILLA.predict(BESIROGLU_2024, params, tokens), []
    for _ in range(2):
        loss = exact * np.exp(0.006 * rng.standard_normal(len(exact)))
        fits.append(fit_scaling_law(params=params, tokens=tokens, loss=loss, delta="auto", bootstrap=0))
    row = compare_systems(*fits, [5e8], [2e10], resamples=400, seed=draw_seed(rng)).iloc[0]
    yield "differs", bool(row["differs"]), 1
    yield "ratio", held(1.0, row["lower"], row["upper"]), 1


def isoflop(rng: np.random.Generator) -> Answers:
    """Chinchilla's law, read budget by budget."""
    e = BESIROGLU_2024
    a = e["beta"] / (e["alpha"] + e["beta"])
    compute = np.repeat(np.geomspace(1e18, 1e21, 6), 9)
    scale = (e["alpha"] * e["A"] / (e["beta"] * e["B"])) ** (1 / (e["alpha"] + e["beta"]))
    params = scale * (compute / 6) ** a * np.tile(np.geomspace(1 / 4, 4, 9), 6)
    loss = CHINCHILLA.predict(e, params, compute / 6 / params) * np.exp(0.003 * rng.standard_normal(len(compute)))
    found = fit_isoflop(flops=compute, params=params, loss=loss, seed=draw_seed(rng)).conf_int().loc["a"]
    yield "a", held(a, found["lower"], found["upper"]), 1


def _constants(law: str) -> Callable[[np.random.Generator], Answers]:
    def answer(rng: np.random.Generator) -> Answers:
        held = coverage.study(law, "independent", replicates=[draw_seed(rng)], resamples=400)[
            0, coverage.INTERVALS.index("auto")
        ]
        yield from ((symbol, bool(hit), 1) for symbol, hit in zip(coverage.CASES[law][0].symbols, held, strict=True))

    return answer


STUDIES = {
    "scaling_systems": Study(
        "scaling",
        "two systems on a grid of 7 sizes by 6 budgets, 3 seeds, noise 0.6 %; they are alike",
        systems,
        {
            "differs": Question("two systems differ at a size in the middle", TWO_SIDED),
            "ratio": holds("ratio of two systems' losses"),
        },
    ),
    "scaling_isoflop": Study(
        "scaling",
        "isoFLOP: 6 budgets of 9 sizes, noise 0.3 %",
        isoflop,
        {"a": holds("exponent of the best size", "conservative: the noise of each budget is drawn from its own few runs")},
    ),
    **{
        f"scaling_{law}": Study(
            "scaling",
            f"{law}: 240 independent runs, noise 0.6 %",
            _constants(law),
            {symbol: holds(symbol) for symbol in coverage.CASES[law][0].symbols},
        )
        for law in coverage.CASES
    },
}

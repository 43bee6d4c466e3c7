"""A rule that costs exactly as much as it may."""

import numpy as np
import pandas as pd

from analysis import fit_learning_rate
from benchmarks.known_truths.study import ONE_SIDED, SIDE, Answers, Question, Study, draw_seed, held, holds

COST = 0.01  # a share of the loss, as the tolerance
LOWEST, CURVATURE = 2.5, 0.12  # nats/token, and the same a squared unit of ln(rate)


def at_tolerance(rng: np.random.Generator) -> Answers:
    """The edge of both claims."""
    best = -float(np.sqrt(COST * LOWEST / CURVATURE))
    rows = [(u, seed) for u in (-np.log(3), 0.0, np.log(3)) for seed in range(6)]
    runs = pd.DataFrame(rows, columns=["u", "seed"]).assign(params_non_embedding=25_248)
    runs["learning_rate"] = np.exp(runs["u"])
    own = 0.03 * rng.standard_normal(6)[runs["seed"]]
    runs["loss_nats_per_token"] = LOWEST + CURVATURE * (runs["u"] - best) ** 2 + own + 0.012 * rng.standard_normal(len(runs))
    fit = fit_learning_rate(runs, rule=lambda size: 1.0, seed=draw_seed(rng))
    (size,) = fit.sizes
    yield "shown", fit.verdict == "shown", 1
    yield "refuted", fit.verdict == "refuted", 1
    yield "cost", held(COST, size.cost_lower, size.cost_upper), 1
    if size.optimum is not None:
        yield "rate", held(np.exp(best), size.lower, size.upper), 1


STUDIES = {
    "learning_rate_at_tolerance": Study(
        "learning_rate",
        "one size, 3 rates, 6 seeds; the rule costs 1 % exactly",
        at_tolerance,
        {
            "shown": Question("the rule costs less than 1 %", ONE_SIDED, SIDE),
            "refuted": Question("the rule costs more than 1 %", ONE_SIDED, SIDE),
            "cost": holds("cost of the rule"),
            "rate": holds("best learning rate", "where it is identified"),
        },
    )
}

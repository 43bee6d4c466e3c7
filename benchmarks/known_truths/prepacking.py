"""Times of a machine whose constants are known."""

import numpy as np

from analysis import fit_prepacking
from benchmarks.known_truths.study import Answers, Study, draw_seed, held, holds
from tests.analysis.prepacking_factories import TRUTH, times


def constants(rng: np.random.Generator) -> Answers:
    """Times that follow the law."""
    ends = fit_prepacking(times(noise=0.03, seed=draw_seed(rng)), seed=draw_seed(rng)).conf_int().dropna()
    yield from ((symbol, held(TRUTH[symbol], row["lower"], row["upper"]), 1) for symbol, row in ends.iterrows())


STUDIES = {
    "prepacking_constants": Study(
        "prepacking",
        "7 methods, 2 models, 2 batches, 6 distributions of lengths, noise 3 % of a time",
        constants,
        {symbol: holds(symbol, "six distributions are resampled") for symbol in TRUTH},
    )
}

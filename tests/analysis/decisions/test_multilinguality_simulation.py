from dataclasses import replace

import numpy as np
import pytest

from analysis.decisions.multilinguality_simulation import (
    TRUTH,
    Design,
    judge_tables,
    languages_of,
    nothing,
    recover_crossovers,
    true_crossover,
)

SMALL = Design(params=(75e3, 450e3), tokens=(20e3, 200e3, 2e6), ratios=(1.0, 10.0))


def test_the_truth_of_one_language_is_its_law_s():
    for N in SMALL.params:
        assert true_crossover([TRUTH], N, 10.0) == pytest.approx(TRUTH.crossover(N, 10.0), rel=1e-3)
    assert true_crossover([nothing(TRUTH)], 75e3, 10.0) is None
    many = languages_of(TRUTH, replace(SMALL, languages=400), np.random.default_rng(0))
    assert np.std(np.log([law.A for law in many])) == pytest.approx(0.1, rel=0.1)


def test_a_few_tables_give_their_crossovers_back():
    rows = list(recover_crossovers(TRUTH, SMALL, ratio=10.0, tables=8, level=0.95, seed=0))
    assert len(rows) == 8
    held = [r.held for row in rows for r in row]
    assert len(held) == 16
    assert np.mean(held) > 0.8
    assert all(r.closed for row in rows for r in row)


def test_a_few_tables_of_nothing_are_hardly_ever_called():
    called = [
        v.verdict in ("help", "hurt")
        for mean, each in judge_tables(nothing(TRUTH), SMALL, tables=6, level=0.95, seed=1)
        for v in mean
    ]
    assert np.mean(called) <= 0.05
    seen = [v.verdict for mean, _ in judge_tables(TRUTH, SMALL, tables=2, level=0.95, seed=1) for v in mean]
    assert {"help", "hurt"} <= set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0065, 0.038])
def test_crossovers_lie_within_their_intervals_in_93_of_100_tables(noise):
    """At 0.02 bits a byte of seed noise, and at the 0.118 of a pilot."""
    rows = recover_crossovers(TRUTH, Design(noise=noise), ratio=10.0, tables=200, level=0.95, seed=0)
    held = np.array([[r.held for r in row] for row in rows])
    assert held.mean() >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0065, 0.038])
def test_nothing_is_called_in_at_most_five_of_a_hundred_tables(noise):
    """Of means over languages in any cell; of single languages, within three standard errors of 200 tables."""
    tables = list(judge_tables(nothing(TRUTH), Design(noise=noise), tables=200, level=0.95, seed=1))
    called = [[[v.verdict in ("help", "hurt") for v in part] for part in pair] for pair in tables]
    assert np.mean([any(mean) for mean, _ in called]) <= 0.05
    assert np.mean([any(each) for _, each in called]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)

"""The study of benchmarks/stability_gap.py on few replicates, and slowly on many."""

import runpy

import numpy as np
import pytest
from scipy.stats import binomtest

NAMES = ("depth", "time_to_minimum", "time_to_recovery")


@pytest.fixture
def study(root):
    names = runpy.run_path(str(root / "benchmarks/stability_gap.py"))
    return lambda design, replicates: names["study"](names["DESIGNS"][design], range(replicates))


def test_the_truth_of_the_study_is_the_published_one(root):
    """Depth 0.82, minimum at 3.1, back at 11.1, as the table of identifiability has it."""
    names = runpy.run_path(str(root / "benchmarks/stability_gap.py"))
    np.testing.assert_allclose(names["truth"](names["DESIGNS"]["3 seeds"]), (0.82, 3.1, 11.1), atol=0.01)


def test_a_few_replicates_are_covered(study):
    found = study("3 seeds", 10)
    assert all(found[name] >= 0.7 for name in NAMES)
    assert found["gap"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("design", ["3 seeds", "5 seeds, more noise", "1 seed", "1 seed, neighbours correlated 0.6"])
def test_intervals_hold_the_truth_as_often_as_they_say(study, design):
    replicates = 200
    found = study(design, replicates)
    for name in NAMES:
        assert binomtest(round(found[name] * replicates), replicates, 0.95).pvalue > 1e-3, name


@pytest.mark.slow
@pytest.mark.parametrize("design", ["flat, 3 seeds", "flat, 1 seed"])
def test_flat_noise_is_rarely_a_gap_and_its_raw_minimum_always(study, design):
    found = study(design, 200)
    assert found["gap"] <= 0.05
    assert found["lost"] <= 0.05
    assert found["raw"] >= 0.95

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from analysis.laws.stability_gap_items import difference_of_scores
from curselab.errors import InputError

RIGHT = {"MMLU": 0.256, "PubMedQA": 0.684, "MedMCQA": 0.254, "MedQA": 0.254}
ITEMS = {"PubMedQA": 500, "MedMCQA": 4183, "MedQA": 1273}


@pytest.mark.parametrize(("mmlu", "points"), [(945, 0.72), (163, 1.06)])
def test_the_error_of_one_macro_average_is_the_binomial_s(mmlu, points):
    """Guo et al.'s four tasks: 0.72 points with five topics of MMLU, 1.06 with the 163 items of their table 5."""
    counts = ITEMS | {"MMLU": mmlu}
    tasks = np.repeat(list(counts), list(counts.values()))
    scores = np.concatenate([np.arange(n) < round(RIGHT[name] * n) for name, n in counts.items()])[None].astype(float)
    found = difference_of_scores(scores, np.zeros_like(scores), tasks, resamples=600)
    assert 100 * found.se == pytest.approx(points, rel=0.08)
    assert found.value == pytest.approx(np.mean(list(RIGHT.values())), abs=2e-3)


def test_what_both_arms_share_cancels():
    rng = np.random.default_rng(0)
    tasks = np.repeat(["a", "b"], [400, 100])
    hard = rng.uniform(size=500) < 0.5
    arm = np.array([np.where(rng.uniform(size=500) < 0.05, ~hard, hard) for _ in range(3)]).astype(float)
    other = np.tile(hard, (3, 1)).astype(float)
    paired = difference_of_scores(arm, other, tasks, resamples=300)
    alone = difference_of_scores(arm, np.zeros_like(arm), tasks, resamples=300)
    assert paired.se < 0.5 * alone.se
    per_seed = np.mean([(arm - other)[:, tasks == name].mean(axis=1) for name in ("a", "b")], axis=0)
    assert paired.value == pytest.approx(per_seed.mean())
    assert paired.dof == 2


def test_without_noise_of_items_the_error_is_that_of_seeds():
    """Every item of a seed differs by the same, so a drawn item says nothing new."""
    by_seed = np.array([0.1, 0.3, 0.2])
    found = difference_of_scores(np.tile(by_seed[:, None], (1, 6)), np.zeros((3, 6)), ["a"] * 4 + ["b"] * 2, resamples=50)
    interval = ttest_1samp(by_seed, 0.0).confidence_interval(0.95)
    assert found.value == pytest.approx(0.2)
    assert found.se == pytest.approx(0.1 / np.sqrt(3))
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))


def test_arms_of_different_shape_are_a_one_line_error():
    with pytest.raises(InputError, match="seeds by items"):
        difference_of_scores(np.zeros((2, 3)), np.zeros((2, 4)), ["a"] * 3)

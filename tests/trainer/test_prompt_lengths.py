import numpy as np
import pytest

from curselab.errors import InputError
from trainer.prompt_lengths import DISTRIBUTIONS, draw_lengths


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_lengths_are_whole_numbers_in_their_range_and_follow_from_the_seed(distribution: str) -> None:
    lengths, again = (draw_lengths(distribution, 500, longest=300, rng=np.random.default_rng(3)) for _ in range(2))
    assert lengths == again
    assert {type(length) for length in lengths} == {int}
    assert min(lengths) >= 4
    assert max(lengths) <= 300


@pytest.mark.parametrize(
    ("data_set", "mean", "longest_of_16"),
    [
        ("wiki256", 126, 256),
        ("wiki512", 138, 356),
        ("mmlu", 80, 280),
        ("alpaca", 142, 280),
        ("samsum", 187, 436),
        ("anthropic_rlhf", 279, 690),
    ],
)
def test_a_data_set_has_the_mean_and_the_longest_of_16_that_the_published_figures_imply(
    data_set: str, mean: float, longest_of_16: float
) -> None:
    lengths = np.array(draw_lengths(data_set, 64_000, longest=100_000, rng=np.random.default_rng(0)))
    assert lengths.mean() == pytest.approx(mean, rel=0.01)
    assert lengths.reshape(-1, 16).max(1).mean() == pytest.approx(longest_of_16, rel=0.02)


def test_the_padding_ratio_of_uniform_lengths_is_the_textbook_s() -> None:
    """E[max of k] / E[length] = 2k / (k + 1) for lengths from 0."""
    lengths = np.array(draw_lengths("uniform", 80_000, longest=10_000, rng=np.random.default_rng(0))).reshape(-1, 8)
    assert lengths.max(1).mean() / lengths.mean() == pytest.approx(16 / 9, rel=0.01)


def test_a_bad_distribution_is_one_line() -> None:
    with pytest.raises(InputError, match="distribution: 'zipf' was given .allowed: lognormal, uniform"):
        draw_lengths("zipf", 3, longest=100, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="longest: 3 was given"):
        draw_lengths("uniform", 3, longest=3, rng=np.random.default_rng(0))

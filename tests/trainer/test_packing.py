from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.packing import fewest_bins, pack

LENGTHS = st.lists(st.integers(0, 40), max_size=60)


@given(LENGTHS, st.integers(1, 50))
def test_no_prompt_is_lost_or_doubled_and_no_bin_is_over_its_capacity(lengths: list[int], capacity: int) -> None:
    bins = pack(lengths, capacity)
    assert sorted(number for numbers in bins for number in numbers) == list(range(len(lengths)))
    for numbers in bins:
        assert numbers
        held = [lengths[number] for number in numbers]
        assert sum(held) <= capacity or len(held) == 1
        assert held == sorted(held, reverse=True)


@given(LENGTHS, st.integers(1, 50))
def test_bins_are_as_full_as_those_of_best_fit_decreasing_by_its_definition(lengths: list[int], capacity: int) -> None:
    loads: list[int] = []
    for length in sorted(lengths, reverse=True):
        fits = [number for number, load in enumerate(loads) if load + length <= capacity]
        if fits:
            loads[max(fits, key=lambda number: loads[number])] += length
        else:
            loads.append(length)
    ours = [sum(lengths[number] for number in numbers) for numbers in pack(lengths, capacity)]
    assert Counter(ours) == Counter(loads)
    assert fewest_bins(lengths, capacity) <= len(ours)


@pytest.mark.parametrize(("count", "capacity"), [(10_000, 512), (10_000, 2048), (100_000, 4096)])
def test_bins_for_lognormal_lengths_are_within_a_hundredth_of_the_lower_bound(count: int, capacity: int) -> None:
    lengths = np.clip(np.exp(np.random.default_rng(0).normal(np.log(64), 0.9, count)), 4, 512).astype(int)
    bound = -(-lengths.sum() // capacity)
    assert fewest_bins(lengths, capacity) == bound
    assert bound <= len(pack(lengths, capacity)) <= 1.01 * bound


def test_the_example_of_the_literature_where_decreasing_order_needs_a_bin_too_many() -> None:
    lengths = [44, 24, 24, 22, 21, 17, 8, 8, 6, 6]
    found = [[lengths[number] for number in numbers] for numbers in pack(lengths, 61)]
    assert found == [[44, 17], [24, 24, 8], [22, 21, 8, 6], [6]]
    assert fewest_bins(lengths, 61) == 3


def test_a_prompt_that_is_longer_than_a_bin_is_alone() -> None:
    assert pack([9, 1, 5, 5, 12], 5) == [[4], [0], [2], [3], [1]]
    assert fewest_bins([9, 1, 5, 5, 12], 5) == 5


def test_prompts_of_one_token_and_of_none() -> None:
    assert pack([1] * 7, 3) == [[0, 1, 2], [3, 4, 5], [6]]
    assert pack([0, 3, 0], 3) == [[1, 0, 2]]
    assert pack([0, 0], 3) == [[0, 1]]
    assert pack([], 3) == []
    assert fewest_bins([], 3) == 0


def test_ties_keep_their_order() -> None:
    assert pack([2, 2, 2, 2], 4) == [[0, 1], [2, 3]]
    assert pack([2, 2, 2, 2], 4) == pack(np.array([2, 2, 2, 2]), 4)


@pytest.mark.parametrize(
    ("lengths", "capacity", "words"),
    [([3, -1], 4, "lengths: -1 was given"), ([2.5], 4, "lengths: whole numbers"), ([3], 0, "capacity: 0 was given")],
)
def test_bad_lengths_are_one_line(lengths: list[int], capacity: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pack(lengths, capacity)

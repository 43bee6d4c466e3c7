from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.prefill_plan import LIMITED, METHODS, Call, Cost, Method, Work, least_work, plan, work

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(LENGTHS, st.sampled_from(METHODS), st.integers(1, 100))
def test_every_token_has_one_slot_of_its_own(lengths: list[int], method: Method, budget: int) -> None:
    limited = method in LIMITED
    calls = plan(lengths, method, budget=budget if limited else None)
    taken: set[tuple[int, int, int]] = set()
    for number, call in enumerate(calls):
        assert call.tokens <= budget or len(call.places) == 1 or not limited
        for place in call.places:
            assert place.length == lengths[place.prompt]
            assert place.start >= 0
            assert place.start + place.length <= call.width
            assert place.row < call.rows
            slots = {(number, place.row, place.start + at) for at in range(place.length)}
            assert taken.isdisjoint(slots)
            taken |= slots
    assert sorted(place.prompt for call in calls for place in call.places) == list(range(len(lengths)))
    assert len(taken) == sum(lengths)
    done, least = work(calls), least_work(lengths)
    assert done.tokens >= least.tokens
    assert done.causal_pairs + done.masked_pairs >= least.causal_pairs
    if method == "token_stream":
        assert (done.tokens, done.causal_pairs, done.kernels) == (least.tokens, least.causal_pairs, len(lengths))


@given(LENGTHS)
def test_no_method_of_the_paper_s_kind_has_fewer_slots_than_real_tokens_and_none_more_than_padding(lengths: list[int]) -> None:
    slots = {method: work(plan(lengths, method)).tokens for method in METHODS}
    assert sum(lengths) <= slots["prepacking"] <= slots["padded_left"] == len(lengths) * max(lengths)
    assert slots["length_sorted"] <= slots["padded_right"] == slots["padded_micro"]
    assert slots["dynamic_padding"] <= slots["padded_micro"]


def test_a_stream_is_cut_into_quarters_of_1024_to_2048_tokens() -> None:
    widths = {count: [call.width for call in plan([64] * count, "token_stream")] for count in (20, 96, 1000)}
    assert widths[20] == [1024, 256]
    assert widths[96] == [1536] * 4
    assert widths[1000] == [2048] * 31 + [512]


def test_work_of_a_batch_that_was_counted_by_hand() -> None:
    """Prompts of 4, 1, 2 and 3: bins of 4 hold 4, 3 + 1 and 2."""
    lengths = [4, 1, 2, 3]
    expected = {
        "padded_left": Work(tokens=16, masked_pairs=64, causal_pairs=0, calls=1, kernels=1),
        "padded_right": Work(tokens=16, causal_pairs=40, calls=1, kernels=1),
        "padded_micro": Work(tokens=16, causal_pairs=40, calls=2, kernels=2),  # of 9 slots at most
        "dynamic_padding": Work(tokens=2 * 4 + 2 * 3, causal_pairs=2 * 10 + 2 * 6, calls=2, kernels=2),
        "length_sorted": Work(tokens=2 * 4 + 2 * 2, causal_pairs=2 * 10 + 2 * 3, calls=2, kernels=2),
        "prepacking": Work(tokens=12, masked_pairs=48, causal_pairs=0, calls=1, kernels=1),
        "token_stream": Work(tokens=10, causal_pairs=10 + 1 + 3 + 6, calls=2, kernels=4),
    }
    for method, counted in expected.items():
        assert work(plan(lengths, method, budget=9 if method in LIMITED else None)) == counted, method  # type: ignore[arg-type]
    assert least_work(lengths) == Work(tokens=10, causal_pairs=20)
    micro = plan(lengths, "dynamic_padding", budget=9)
    least = 2**25 // (4 * 8)  # features with which 8 slots have 32 MiB, and 6 less
    assert work(micro, features=(least, 1)).large_bytes == 4 * 8 * least


def divisions(numbers: list[int]) -> Iterator[list[list[int]]]:
    """All ways to put different numbers into groups."""
    if not numbers:
        yield []
        return
    for rest in divisions(numbers[1:]):
        yield [[numbers[0]], *rest]
        for place in range(len(rest)):
            yield [*rest[:place], [numbers[0], *rest[place]], *rest[place + 1 :]]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 90), st.floats(0, 60), st.floats(0, 1))
def test_buckets_cost_as_little_as_the_best_of_all_divisions(
    lengths: list[int], budget: int, call: float, pair: float
) -> None:
    cost = Cost(call=call, pair=pair)

    def price(groups: list[list[int]]) -> float:
        total = 0.0
        for group in groups:
            width = max(lengths[number] for number in group)
            if len(group) > 1 and len(group) * width > budget:
                return float("inf")
            total += call + len(group) * (width + pair * width * (width + 1) / 2)
        return total

    found = [[place.prompt for place in made.places] for made in plan(lengths, "buckets", budget=budget, cost=cost)]
    assert price(found) == pytest.approx(min(map(price, divisions(list(range(len(lengths)))))), rel=1e-12)


def test_costly_calls_make_few_buckets_and_free_ones_one_a_length() -> None:
    lengths = [5, 9, 5, 2, 9, 9]
    assert len(plan(lengths, "buckets", cost=Cost(call=1e9))) == 1
    assert sorted(call.width for call in plan(lengths, "buckets", cost=Cost(call=1e-9))) == [2, 5, 9]


def test_rows_of_equal_prompts_need_no_mask() -> None:
    (call,) = plan([7, 7, 7], "padded_left")
    assert call == Call(3, 7, "causal", call.places)
    assert plan([7, 3], "padded_left")[0].attention == "masked"


def test_no_prompts_have_no_calls() -> None:
    assert all(plan([], method) == () for method in METHODS)
    assert work(()) == least_work([]) == Work(tokens=0, causal_pairs=0)


@pytest.mark.parametrize(
    ("lengths", "method", "budget", "words"),
    [
        ([3, 0], "buckets", None, "lengths: 0 was given, a prompt has 1 token or more"),
        ([3], "magic", None, "method: 'magic' was given .allowed: padded_left"),
        ([3], "prepacking", 100, "budget: 100 was given for prepacking"),
        ([3], "token_stream", 0, "budget: 0 was given"),
    ],
)
def test_a_bad_batch_is_one_line(lengths: list[int], method: Method, budget: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan(lengths, method, budget=budget)


def test_a_negative_cost_is_one_line() -> None:
    with pytest.raises(InputError, match="both are 0 or more"):
        Cost(pair=-1.0)


def test_all_ways_of_dividing_are_tried() -> None:
    """Bell's number of 5."""
    assert len({frozenset(map(frozenset, groups)) for groups in divisions(list(range(5)))}) == 52

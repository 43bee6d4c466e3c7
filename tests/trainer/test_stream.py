import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.stream import Mixture, Shuffled, StepStream, Windows

CONTEXT = 4


def windows(*lengths: int) -> Windows:
    # token ids tell where they stand: domain * 1000 + position
    return Windows([np.arange(length) + 1000 * i for i, length in enumerate(lengths)], CONTEXT)


def stream(cut: Windows, sequences: int, *, seed: int, **devices: int) -> StepStream:
    return StepStream(cut, Shuffled(len(cut), (seed,)), sequences, **devices)


def test_windows_cover_each_domain_once_and_never_cross_from_one_to_the_next() -> None:
    cut = windows(10, 3, 21)
    assert len(cut) == 2 + 0 + 5
    rows = cut.gather(np.arange(len(cut)))
    assert rows.tolist() == [
        [1000 * d + s + i for i in range(5)] for d, s in [(0, 0), (0, 4), *((2, 4 * k) for k in range(5))]
    ]


@given(st.integers(0, 50), st.integers(1, 7), st.integers(0, 2**31))
def test_a_batch_is_a_pure_function_of_seed_and_step(step: int, batch: int, seed: int) -> None:
    fresh = stream(windows(60, 45), batch, seed=seed)
    walked = stream(windows(60, 45), batch, seed=seed)
    for i in range(step):
        walked.batch(i)
    assert torch.equal(fresh.batch(step), walked.batch(step))


@given(st.integers(1, 9), st.integers(0, 100))
def test_an_epoch_visits_every_window_once(batch: int, seed: int) -> None:
    walked = stream(windows(60, 45), batch, seed=seed)
    size = len(walked.windows)
    starts = np.concatenate([walked.batch(step)[:, 0].numpy() for step in range(2 * size)])
    first, second = starts[:size], starts[size : 2 * size]
    assert sorted(first) == sorted(second) == sorted(walked.windows.gather(np.arange(size))[:, 0].tolist())


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    size = len(windows(400))
    orders = [stream(windows(400), size, seed=seed).batch(epoch)[:, 0].tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


@given(st.integers(0, 20), st.sampled_from([1, 2, 3, 6]))
def test_devices_share_one_global_batch(step: int, world_size: int) -> None:
    whole = stream(windows(60, 45), 6, seed=5).batch(step)
    parts = [stream(windows(60, 45), 6, seed=5, rank=r, world_size=world_size).batch(step) for r in range(world_size)]
    rebuilt = torch.stack(parts, dim=1).flatten(0, 1)
    assert torch.equal(rebuilt, whole)


def test_iteration_starts_where_it_is_told() -> None:
    walked = stream(windows(60), 3, seed=0)
    walked.position = 7
    batches = iter(walked)
    assert torch.equal(next(batches), walked.batch(7))
    assert torch.equal(next(batches), walked.batch(8))


@given(st.lists(st.integers(1, 99), min_size=1, max_size=5), st.integers(0, 9), st.integers(1, 4000))
def test_every_domain_of_a_mixture_has_had_its_share_at_every_sample(weights: list[int], seed: int, n: int) -> None:
    shares = {f"d{i}": weight / sum(weights) for i, weight in enumerate(weights)}
    cut = windows(*(37 + 4 * i for i in range(len(shares))))
    numbers = Mixture(cut, shares, seed=seed).numbers(np.arange(n))
    domains, _ = cut.places(numbers)
    had = np.cumsum(domains[:, None] == np.arange(len(shares)), axis=0)
    due = np.outer(np.arange(1, n + 1), list(shares.values()))
    assert np.abs(had - due).max() <= 0.5 + len(shares) / 2
    for i in range(len(shares)):
        mine, size = numbers[domains == i], cut.ends[i] - (cut.ends[i - 1] if i else 0)
        for first in range(0, len(mine) - size + 1, size):  # each epoch of a domain holds each of its windows once
            assert len(set(mine[first : first + size])) == size


def test_a_mixture_does_not_depend_on_how_it_is_asked_nor_a_domains_order_on_the_others() -> None:
    shares = {"a": 0.7, "b": 0.3}
    whole = Mixture(windows(400, 90), shares, seed=1).numbers(np.arange(5000))
    asked = Mixture(windows(400, 90), shares, seed=1)
    assert [asked.numbers(np.arange(i, i + 1)).item() for i in (4321, 3, 1700)] == [whole[i] for i in (4321, 3, 1700)]
    alone = Mixture(windows(400), {"a": 1.0}, seed=1).numbers(np.arange(3500))
    assert whole[whole < 99].tolist() == alone[: int((whole < 99).sum())].tolist()


def test_of_a_domain_with_chosen_windows_no_others_are_there() -> None:
    whole, chosen = windows(41, 61), np.array([7, 2, 11])
    few = Windows(whole.domains, CONTEXT, chosen={1: chosen})
    assert len(few) == 10 + 3
    assert torch.equal(few.gather(np.arange(13)), whole.gather(np.concatenate([np.arange(10), 10 + chosen])))
    numbers = Mixture(few, {"a": 0.5, "b": 0.5}, seed=0).numbers(np.arange(12))
    assert sorted(numbers[numbers >= 10].tolist()) == [10, 10, 11, 11, 12, 12]  # two epochs of three windows


def test_another_order_of_one_seed_has_the_same_shares_and_other_windows() -> None:
    shares, cut = {"a": 0.7, "b": 0.3}, windows(400, 90)
    first, again, other = (Mixture(cut, shares, seed=1, order=order).numbers(np.arange(500)) for order in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert (first < 99).tolist() == (other < 99).tolist()
    assert np.mean(first == other) < 0.2

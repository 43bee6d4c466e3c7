import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.stream import StepStream, Windows

CONTEXT = 4


def windows(*lengths: int) -> Windows:
    # token ids tell where they stand: domain * 1000 + position
    return Windows([np.arange(length) + 1000 * i for i, length in enumerate(lengths)], CONTEXT)


def test_windows_cover_each_domain_once_and_never_cross_from_one_to_the_next() -> None:
    cut = windows(10, 3, 21)
    assert len(cut) == 2 + 0 + 5
    rows = cut.gather(np.arange(len(cut)))
    assert rows.tolist() == [
        [1000 * d + s + i for i in range(5)] for d, s in [(0, 0), (0, 4), *((2, 4 * k) for k in range(5))]
    ]


@given(st.integers(0, 50), st.integers(1, 7), st.integers(0, 2**31))
def test_a_batch_is_a_pure_function_of_seed_and_step(step: int, batch: int, seed: int) -> None:
    fresh = StepStream(windows(60, 45), batch, seed=seed)
    walked = StepStream(windows(60, 45), batch, seed=seed)
    for i in range(step):
        walked.batch(i)
    assert torch.equal(fresh.batch(step), walked.batch(step))


@given(st.integers(1, 9), st.integers(0, 100))
def test_an_epoch_visits_every_window_once(batch: int, seed: int) -> None:
    stream = StepStream(windows(60, 45), batch, seed=seed)
    size = len(stream.windows)
    starts = np.concatenate([stream.batch(step)[:, 0].numpy() for step in range(2 * size)])
    first, second = starts[:size], starts[size : 2 * size]
    assert sorted(first) == sorted(second) == sorted(stream.windows.gather(np.arange(size))[:, 0].tolist())


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    size = len(windows(400))
    orders = [StepStream(windows(400), size, seed=seed).batch(epoch)[:, 0].tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


@given(st.integers(0, 20), st.sampled_from([1, 2, 3, 6]))
def test_devices_share_one_global_batch(step: int, world_size: int) -> None:
    whole = StepStream(windows(60, 45), 6, seed=5).batch(step)
    parts = [StepStream(windows(60, 45), 6, seed=5, rank=r, world_size=world_size).batch(step) for r in range(world_size)]
    rebuilt = torch.stack(parts, dim=1).flatten(0, 1)
    assert torch.equal(rebuilt, whole)


def test_iteration_starts_where_it_is_told() -> None:
    stream = StepStream(windows(60), 3, seed=0)
    stream.step = 7
    batches = iter(stream)
    assert torch.equal(next(batches), stream.batch(7))
    assert torch.equal(next(batches), stream.batch(8))

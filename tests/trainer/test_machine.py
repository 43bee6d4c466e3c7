import itertools
import os

import pytest

from trainer import machine


def test_the_peak_counts_the_products_of_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that moves 0.1 s a look: four products are begun before 0.5 s, and the sixth look ends the count."""
    ticks = (tick / 10 for tick in itertools.count())
    monkeypatch.setattr(machine.time, "monotonic", lambda: next(ticks))
    assert machine.matrix_peak() == pytest.approx(4 * 2 * 2048 * 256 * 1024 / 0.6)


def test_cores_are_those_that_may_be_used() -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


def test_workers_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "matrix_peak", lambda: 3.0)
    assert machine.cores_peak(2) == 6.0

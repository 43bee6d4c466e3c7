"""What every test may rely on: no network, no global random state, no leftovers."""

import random
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("house")

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in this project may need a network."""

    def refuse(self: socket.socket, address: object, *rest: object) -> None:
        if self.family != socket.AF_UNIX:
            raise AssertionError(f"a test tried to reach {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def no_global_random_state():
    """Global generators are neither read nor moved by the code under test."""
    numpy_before, python_before = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    yield
    numpy_after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(numpy_after, numpy_before)
    assert random.getstate() == python_before


@pytest.fixture
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture
def shared(root: Path) -> Path:
    """Folder of published data and corpora beside the checkout; tests that need it skip loudly without it."""
    folder = root.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder.name}/ with published data is absent beside the checkout")
    return folder

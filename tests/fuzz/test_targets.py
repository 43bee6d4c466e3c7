"""Hostile input is done with or refused in one line; ``benchmarks/fuzz.py`` tries the same for hours."""

import math
from pathlib import Path
from typing import Any

import pytest
import rich.style  # noqa: F401  (its import draws from Python's global generator, which no test may do)
import torch
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.attempt import attempt
from tests.fuzz.targets import TARGETS, made_up

CORPUS = Path(__file__).with_name("corpus")
few = settings(max_examples=6, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_read_or_refused_in_one_line(name: str) -> None:
    target = TARGETS[name]

    @few
    @given(target.contents())
    def try_it(content: bytes) -> None:
        attempt(target, content)

    try_it()


@pytest.mark.parametrize(
    "parts", [{"model": {}}, {"probes": torch.zeros(8)}, {"global_step": math.inf}, {"global_step": -1}, {"optimizer": None}]
)
def test_a_state_that_was_made_up_is_read_or_refused(parts: dict[str, Any]) -> None:
    """Its mark changes with the code, so it is no file of the corpus."""
    attempt(TARGETS["checkpoints"], made_up(**parts))


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*/*")), ids=lambda file: f"{file.parent.name}-{file.name}")
def test_what_was_found_once_is_refused(file: Path) -> None:
    attempt(TARGETS[file.parent.name], file.read_bytes())

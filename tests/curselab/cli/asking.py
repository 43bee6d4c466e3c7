"""A tiny grid to ask about, and how a command ended."""

import json
import subprocess
from typing import Any

from tests.sweeps.tiny import tiny

GRID = tiny("""
  scaling:
    run: {size: [6k], training.tokens: [4096, 8192], training.batch_sequences: [2], evaluation.tokens: [1024], seed: [0]}
""")

Done = subprocess.CompletedProcess[str]


def refused(done: Done, *words: str) -> None:
    """One line, the culprit named, a non-zero exit, no traceback."""
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("curselab: ")
    for word in words:
        assert word in lines[0]


def rows(done: Done) -> list[dict[str, Any]]:
    """What a command printed with ``--format json``."""
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rich.style  # noqa: F401  (its import draws from Python's global generator, which no test may do)

from curselab.cli import main
from tests.curselab.cli.asking import GRID, Done


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """A tiny grid in an empty folder."""
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    return path


@pytest.fixture
def command(root: Path, grid: Path) -> Callable[..., Done]:
    """Run the command as a process of its own in the folder of the tiny grid."""

    def run(*words: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "curselab", *words],
            cwd=grid.parent,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def ask(grid: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run the command within this process, for what does not train."""
    monkeypatch.chdir(grid.parent)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["curselab", *words])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(end.value.code or 0), out, err)

    return run

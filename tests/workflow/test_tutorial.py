"""The tutorial "regenerate everything" as a reader walks it, on a grid of seconds."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import blocks
from tests.sweeps.tiny import tiny
from tests.workflow.conftest import Checkout, jobs

PAGE = "docs/tutorials/regenerate.md"
GRID = tiny("""
  scaling:
    run: {size: [6k, 14k], training.tokens: [4096, 8192, 16384], evaluation.tokens: [2048], seed: [0]}
""")


def test_a_report_comes_from_one_command_and_a_second_seed_trains_its_runs_alone(
    checkout: Checkout, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = checkout.folder
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, house)
    (house / ".venv").mkdir()  # what make would install is what runs this test
    (house / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (house / ".venv" / ".installed").touch()
    checkout.grid("config/smoke.yaml", GRID)
    monkeypatch.chdir(house)
    printed, finished, names = [], [], {}
    for language, code, line in blocks(PAGE):
        if language == "python":
            exec(compile("\n" * line + code, PAGE, "exec"), names)
        elif language == "sh":
            run = ("bash", "-ec", code)
            done = subprocess.run(run, env=checkout.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout
            printed.append(done.stdout)
            finished.append(checkout.summaries())
    assert (house / "results" / "report.html").is_file()
    assert names["runs"]["status"].tolist() == ["ok"] * 6
    _, status, planned, _ = printed
    assert "6 of 6 runs done" in status
    assert jobs(planned) == {"train": 1, "collect": 1, "fit": 1, "figure": 1, "overview": 1, "table": 1}
    before, _, _, after = finished
    assert before.items() <= after.items()
    assert (len(before), len(after)) == (6, 12)

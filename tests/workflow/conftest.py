import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

ROOMS = ("analysis", "config", "curselab", "figures", "profiles", "sweeps", "trainer", "workflow")

TEXT = "text: {source: {kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 100000}}"
SWEEPS = """
sweeps:
  scaling:
    run: {size: [6k, 14k], training.tokens: [4096, 8192, 16384], evaluation.tokens: [2048], seed: [0]}
  capacity_gap:
    teacher: {size: [6k, 14k], tokens_per_parameter: [1], evaluation.tokens: [2048], seed: [0]}
    student: {size: [6k], training.tokens: [16384], evaluation.tokens: [2048], seed: [0, 1]}
"""
GRID = f"""
grid: tiny
shards: 2
{TEXT}
problems:
  kernel_toy: {{student_functions: [50], teacher_functions: [25, 50, 100], seed: [0, 1], noise: 0.01}}
  mapping: {{student_width: [4], teacher_width: [4, 8, 16], seed: [0, 1], least_samples: 5120}}
{SWEEPS}"""


class Checkout:
    """A copy of the project that a test may run, edit and kill."""

    def __init__(self, root: Path, folder: Path) -> None:
        for room in ROOMS:
            shutil.copytree(root / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(root / "results" / "published", folder / "results" / "published")
        shutil.copy(root / "results" / "contract.yaml", folder / "results")
        shutil.copy(root / "Snakefile", folder)
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(folder), "HOME": str(folder)}
        self.undisturbed: dict[str, bytes] = {}
        self.grid("config/tiny.yaml", GRID)

    def grid(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def start(
        self, *words: str, config: str = "config/tiny.yaml", output: int | IO[str] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *words, "--configfile", config],
            cwd=self.folder,
            env=self.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, config: str = "config/tiny.yaml") -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end."""
        process = self.start(*words, config=config)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def planned(self) -> dict[str, int]:
        """Jobs of a dry run, by rule."""
        return jobs(self.run("-n").stdout)

    def outputs(self) -> dict[str, bytes]:
        """Tables, fits and LaTeX that must not depend on how often the workflow was interrupted."""
        results = self.folder / "results"
        files = [*results.glob("tables/**/*"), *results.glob("fits/*"), *results.glob("figures/*")]
        kept = [file for file in files if file.is_file() and file.name != "provenance.csv"]
        return {str(file.relative_to(results)): file.read_bytes() for file in kept}

    def summaries(self) -> dict[Path, int]:
        """Finished runs and when they finished."""
        return {path: path.stat().st_mtime_ns for path in self.folder.glob("results/runs/*/*/summary.json")}


def jobs(dry_run: str) -> dict[str, int]:
    """Jobs by rule, from what a dry run printed."""
    if "Nothing to be done" in dry_run:
        return {}
    table = dry_run.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in table if line.split()[0] not in ("all", "total")}


def kill_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to Snakemake and all its jobs at once."""
    os.killpg(process.pid, number)
    process.communicate()


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    """A fresh copy of the project."""
    return Checkout(root, tmp_path / "checkout")


@pytest.fixture(scope="module")
def finished(root_of_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy in which the tiny grid has run to its end, undisturbed."""
    checkout = Checkout(root_of_module, tmp_path_factory.mktemp("workflow") / "checkout")
    done = checkout.run()
    assert done.returncode == 0, done.stdout
    checkout.undisturbed = checkout.outputs()
    return checkout


@pytest.fixture(scope="module")
def root_of_module() -> Path:
    """The project's root folder."""
    return Path(__file__).parents[2]

"""A grid of seconds, and the smoke grid, on a real Slurm of one node, against the same grid on the machine itself."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.conftest import SWEEPS, TEXT, Checkout

SCRIPT = Path(__file__).with_name("slurm_one_node.sh")
SMOKE = Path(__file__).parents[2] / "config/smoke.yaml"
GRIDS = {
    "tiny": f"grid: tiny\nshards: 1\n{TEXT}{SWEEPS}",
    "smoke": SMOKE.read_text().partition("\nbenches:")[0],  # times differ from one run to the next
}
JOBS = ("text", "train", "problem", "fit")  # the others take seconds, where Snakemake runs
# the shipped profile, on a node of any size and without accounting
WORDS = ("--workflow-profile", "profiles/slurm", "--set-threads", "train=1", "--slurm-status-command", "squeue")
SOON = ("--slurm-no-account", "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Slurm of one node, for as long as the tests."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra slurm is not installed")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    try:
        if started.returncode:
            pytest.skip(started.stderr.strip())
        yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("grid", ["tiny", pytest.param("smoke", marks=pytest.mark.timeout(7200))])
def test_slurm_gives_the_runs_tables_and_fits_of_one_machine(root: Path, tmp_path: Path, grid: str) -> None:
    alone, there = Checkout(root, tmp_path / "alone"), Checkout(root, tmp_path / "slurm")
    for checkout in (alone, there):
        checkout.grid("config/tiny.yaml", GRIDS[grid])
    jobs = sum(number for rule, number in there.planned().items() if rule in JOBS)
    for checkout, words in ((alone, ("-c2",)), (there, (*WORDS, *SOON))):
        done = checkout.run(*words)
        assert done.returncode == 0, done.stdout
    assert done.stdout.count("has been submitted with SLURM jobid") >= jobs > 0  # more where one was tried again
    assert there.outputs() == alone.outputs() != {}
    assert kept(there) == kept(alone) != {}
    assert there.planned() == {}


def kept(checkout: Checkout) -> dict[str, bytes]:
    """Files of runs, but for where and when they were made."""
    runs = checkout.folder / "results" / "runs"
    files = [file for file in runs.glob("*/*/*") if file.is_file() and file.name not in ("provenance.json", "lock")]
    return {str(file.relative_to(runs)): file.read_bytes() for file in files}

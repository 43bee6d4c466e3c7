"""A grid of seconds, and the smoke grid, on a real Slurm of one node, against the same grid on the machine itself."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
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
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of one node, for as long as the tests, in a folder of its own."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra slurm is not installed")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    try:
        if started.returncode:
            pytest.skip(started.stderr.strip())
        yield folder
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


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_jobs_and_a_node_that_dies_cost_no_run(root: Path, tmp_path: Path, slurm: Path) -> None:
    """Two jobs that train meet SIGKILL as they run; then the node dies with all on it, and comes up again."""
    alone, there = Checkout(root, tmp_path / "alone"), Checkout(root, tmp_path / "slurm")
    for checkout in (alone, there):
        checkout.grid("config/tiny.yaml", GRIDS["tiny"].replace("16384", "262144"))
    done = alone.run("-c2")
    assert done.returncode == 0, done.stdout
    log = tmp_path / "snakemake.log"
    with log.open("w") as output:
        process = there.start(*WORDS, *SOON, output=output)
    cancelled: set[str] = set()
    while len(cancelled) < 2:
        cancelled |= {job for job in _training(process) - cancelled if _cancelled(job)}
    _training(process)
    _node_dies(slurm)
    assert process.wait() == 0, log.read_text()  # what failed was tried again
    assert there.outputs() == alone.outputs() != {}
    assert kept(there) == kept(alone) != {}


def _training(process: subprocess.Popen[str]) -> set[str]:
    """Wait until a job of Slurm trains a run; those that do."""
    while True:
        assert process.poll() is None, "the grid was done before enough was killed"
        time.sleep(0.5)
        alive = {job for job in map(_job, psutil.process_iter()) if job}
        if alive:
            return alive


def _job(process: psutil.Process) -> str | None:
    """Job of Slurm that a process trains in."""
    try:
        return process.environ().get("SLURM_JOB_ID") if "train" in process.cmdline() else None
    except psutil.Error:
        return None


def _cancelled(job: str) -> bool:
    return subprocess.run(["scancel", "--signal=KILL", "--full", job], capture_output=True).returncode == 0


def _node_dies(folder: Path) -> None:
    """Kill all that runs on the node, and its daemon, at once; then start the daemon again."""
    daemon = psutil.Process(int((folder / "slurmd.pid").read_text()))
    steps = [process for process in psutil.process_iter() if process.name() == "slurmstepd"]
    alive = [daemon, *(one for step in steps for one in (step, *step.children(recursive=True)))]
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)
    subprocess.run([SCRIPT, "start", folder], check=True)


def kept(checkout: Checkout) -> dict[str, bytes]:
    """Files of runs, but for where and when they were made."""
    runs = checkout.folder / "results" / "runs"
    files = [file for file in runs.glob("*/*/*") if file.is_file() and file.name not in ("provenance.json", "lock")]
    return {str(file.relative_to(runs)): file.read_bytes() for file in files}

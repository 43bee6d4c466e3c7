"""Kill the workflow at random moments until it is done: ``python benchmarks/faults.py [--kills 50] [--seed 0] [--help]``.

A grid runs undisturbed in one copy of the project, and in another while SIGKILL meets one of its processes every few seconds:
Snakemake, a shard, a worker of a shard, or another stage, alone or with all that it started, drawn among those alive.
Snakemake is started again as a user would, with nothing unlocked or mended in between; a grid that is done before the kills
are spent is begun once more. Tables, fits, figures and files of runs must then be those of the undisturbed grid, byte for
byte, but for provenance: where and when a run was made. Benches are left out, since they measure time.

Intervals and draws follow from the seed; what a kill meets depends on how fast the machine is.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from ruamel.yaml import YAML

from sweeps.plan import load_plan
from tests.workflow.conftest import Checkout
from tests.workflow.test_slurm import kept

ROOT = Path(__file__).parents[1]
MOST_FAILURES = 3
OUTCOMES = (
    "runs planned",
    "runs lost",
    "runs trained again after they were complete",
    "Snakemake failed though nothing was killed since it was started",
    "files compared",
    "files that differ",
)


def main() -> None:
    """Kill, compare, print, and fail where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, default=ROOT / "config/smoke.yaml")
    parser.add_argument("--seconds", type=float, nargs=2, default=(2, 25), help="least and most between two kills")
    options = parser.parse_args()
    rng, killed, grids = np.random.default_rng(options.seed), Counter[str](), list[Grid]()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as beside:
        undisturbed = Grid(Path(name, "undisturbed"), options.config)
        calm = beside.submit(undisturbed.run, rng, kills=0, seconds=tuple(options.seconds))
        while killed.total() < options.kills:
            grids.append(Grid(Path(name, f"killed-{len(grids)}"), options.config))
            killed += grids[-1].run(rng, kills=options.kills - killed.total(), seconds=tuple(options.seconds))
        calm.result()
        found = sum((grid.against(undisturbed) for grid in grids), Counter[str]())
    print(f"\n{options.config.name}, seed {options.seed}, {killed.total()} kills, {len(grids)} grids that ran to their ends\n")
    for heads, counts in (("killed", dict(sorted(killed.items()))), ("outcome", {what: found[what] for what in OUTCOMES})):
        print(f"| {heads} | number |\n|---|---|")
        print("".join(f"| {what} | {number} |\n" for what, number in counts.items()))
    sys.exit(any(found[what] for what in OUTCOMES[1:] if what != "files compared"))


class Grid:
    """A copy of the project in which a grid runs, without its benches.

    Parameters
    ----------
    folder : Path
        Where the copy goes.
    config : Path
        The grid.
    """

    def __init__(self, folder: Path, config: Path) -> None:
        self.checkout = Checkout(ROOT, folder)
        self.config = folder / "config/faults.yaml"
        yaml = YAML(typ="safe")
        chosen = yaml.load(config)
        chosen.pop("benches", None)
        yaml.dump(chosen, self.config)
        self.complete: dict[Path, int] = {}
        """Runs that were complete at some kill, and when each was finished."""
        self.failed = 0
        """Times that Snakemake failed though nothing had been killed since it was started."""

    def run(self, rng: np.random.Generator, *, kills: int, seconds: tuple[float, float]) -> Counter[str]:
        """Run to the end, killing on the way; how often what was killed."""
        killed: Counter[str] = Counter()
        log = self.checkout.folder / "snakemake.log"
        while True:
            before = killed.total()
            with log.open("w") as output:
                process = self.checkout.start("--cores", "2", config=str(self.config), output=output)
            while process.poll() is None:
                try:
                    process.wait(rng.uniform(*seconds) if killed.total() < kills else None)
                except subprocess.TimeoutExpired:
                    self.complete = self.checkout.summaries() | self.complete
                    with suppress(psutil.NoSuchProcess):
                        killed[self.kill(rng)] += 1
                        print(dict(killed), len(self.complete), "runs complete", file=sys.stderr)
            if process.returncode == 0:
                psutil.wait_procs([process for kind in self.alive().values() for process in kind])
                return killed
            if killed.total() == before:
                print(log.read_text(), file=sys.stderr)
                self.failed += 1
                if self.failed == MOST_FAILURES:
                    raise SystemExit(f"Snakemake does not get to its end in {self.checkout.folder}")

    def kill(self, rng: np.random.Generator) -> str:
        """Kill a process among those alive; what it was."""
        alive = self.alive()
        kind = str(rng.choice(sorted(alive)))
        victim = alive[kind][rng.integers(len(alive[kind]))]
        started = victim.children(recursive=True) if rng.random() < 0.5 else []
        victim.kill()
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return f"{kind} with all that it started" if started else kind

    def alive(self) -> dict[str, list[psutil.Process]]:
        """Processes of the workflow by kind, those that outlived their Snakemake among them."""
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()) == self.checkout.folder and process.cmdline()[:1] == [sys.executable]:
                    found.setdefault(kind_of(process), []).append(process)
        return found

    def against(self, undisturbed: "Grid") -> Counter[str]:
        """What this grid lost or has otherwise than the undisturbed one."""
        planned, after = load_plan(self.config).runs, self.checkout.summaries()
        files, expected = ({**grid.checkout.outputs(), **kept(grid.checkout)} for grid in (self, undisturbed))
        different = sorted(name for name in files.keys() | expected.keys() if files.get(name) != expected.get(name))
        print(*different, sep="\n", file=sys.stderr)
        again = sum(after.get(path) != finished for path, finished in self.complete.items())
        numbers = (len(planned), len(planned) - len(after), again, self.failed, len(expected), len(different))
        return Counter(dict(zip(OUTCOMES, numbers, strict=True)))


def kind_of(process: psutil.Process) -> str:
    """Say what a process of the workflow does."""
    words = process.cmdline()
    if "snakemake" in words:
        return "Snakemake"
    if "train" not in words:
        return "another stage"
    return "a worker" if "train" in process.parent().cmdline() else "a shard"


if __name__ == "__main__":
    main()

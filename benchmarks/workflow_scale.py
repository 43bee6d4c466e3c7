"""What a grid of 10,000 runs costs beside its training: ``python -m benchmarks.workflow_scale [--runs N] [--shards N]``.

- ``plan``: ``curselab sweep expand``, every run by its spec;
- ``dry run``: ``snakemake -n`` where nothing is made: the plan, and the graph of jobs;
- ``no-op``: ``snakemake`` where all is complete;
- ``status``: ``curselab status`` there, which reads the folder of every run.

Nothing is trained: Snakemake takes empty files for outputs, and folders of runs hold the records that the trainer leaves in
them. CPU-seconds and peak memory are those of a command and all that it starts, so other processes hardly matter to them.
Prints a table in Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeps.plan import load_plan
from trainer.provenance import code_hash
from trainer.strict import to_mapping

ROOT = Path(__file__).parents[1]
SIZES, SEEDS = 5, 100
GRID = """
grid: scale
shards: {shards}
text: {{source: {{kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 60000}}}}
sweeps:
  scaling:
    run:
      size: [6k, 14k, 25k, 56k, 101k]
      training.tokens: {tokens}
      compute.backend: [lockstep]
      seed: {seeds}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help=f"a multiple of {SIZES * SEEDS}")
    parser.add_argument("--shards", type=int, default=200, help="at most; a shard is a job")
    options = parser.parse_args()
    tokens = [16_384 * (number + 1) for number in range(options.runs // (SIZES * SEEDS))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "grid.yaml").write_text(GRID.format(shards=options.shards, tokens=tokens, seeds=list(range(SEEDS))))
        curselab = str(Path(sys.executable).with_name("curselab"))
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "grid.yaml"]
        snakemake += ["--cores", "1", "--nolock", "--workflow-profile", "none"]
        print("| step | CPU-seconds | wall (s) | peak memory (MiB) |\n|---|---|---|---|", flush=True)
        measured("plan", folder, curselab, "sweep", "expand", "--config", "grid.yaml")
        measured("dry run", folder, *snakemake, "--dry-run", "--quiet", "all")
        finish(folder, [line.split("\t")[0] for line in output(folder, *snakemake, "--summary").splitlines()[1:]])
        output(folder, *snakemake, "--touch", "--quiet", "all")
        if "Nothing to be done" not in measured("no-op", folder, *snakemake):
            sys.exit("no-op: there was something to be done")
        measured("status", folder, curselab, "status", "--config", "grid.yaml")
        plan = load_plan(folder / "grid.yaml")
        print(f"\n{len(plan.runs):,} runs in {len(plan.shards('scaling'))} shards")


def measured(step: str, folder: Path, *words: str) -> str:
    """Run a command, print the row of what it cost, and return what it said."""
    begun, said = time.perf_counter(), folder / "said"
    with said.open("w") as file:
        process = subprocess.Popen(words, cwd=folder, env=environment(), stdout=file, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{step}: {said.read_text()[-2000:]}")
    cpu, wall = used.ru_utime + used.ru_stime, time.perf_counter() - begun
    print(f"| {step} | {cpu:.1f} | {wall:.1f} | {used.ru_maxrss / 1024:.0f} |", flush=True)
    return said.read_text()


def output(folder: Path, *words: str) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else sys.exit(done.stderr[-2000:])


def environment() -> dict[str, str]:
    """Of a command that uses this checkout."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def finish(folder: Path, outputs: list[str]) -> None:
    """Leave what a finished workflow leaves: the outputs of its rules, empty, and the records of its runs."""
    for file in (folder / name for name in outputs):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.mkdir() if file.parent.name == "text" else file.touch()
    code = code_hash("trainer.run")
    for run in load_plan(folder / "grid.yaml").runs:
        records = {
            "spec.json": to_mapping(run.spec),
            "provenance.json": {"code_sha256": code, "wall_s": 1.0},
            "summary.json": {"status": "ok", "stage": run.stage},
        }
        kept = folder / "results/runs" / run.sweep / run.run_id
        kept.mkdir(parents=True)
        for name, record in records.items():
            (kept / name).write_text(json.dumps(record))


if __name__ == "__main__":
    main()

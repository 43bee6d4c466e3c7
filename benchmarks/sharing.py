"""What runs save by sharing work: ``python benchmarks/sharing.py [--json FILE] [--rounds 3]``. All figures are CPU-seconds.

- ``one shard``: 20 toy trainings as one command, beside the same 20 as one command each;
- ``extra run``: what one more run adds to a shard beside its steps;
- ``lock-step``: four students of one teacher, four times as wide, beside the same four trained one by one;
- ``branches``: budgets of 1, 2, 4 and 8 parts as branches of the longest, beside the same four trained one by one.

Both sides of a ratio are measured back to back in each round; ratios are medians over rounds. Runs that share give the bits of
runs that do not (tests/trainer), so a ratio is of equal results.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainer.allocator import keep_freed_memory
from trainer.model_spec import ModelSpec
from trainer.pieces import pieces
from trainer.run import run_in_folder, run_together
from trainer.spec import EvaluationSpec, ObjectiveSpec, OptimizerSpec, PlannedRun, RunSpec, ScheduleSpec, TrainingSpec
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import LanguagesText, TextSpec

ROOT = Path(__file__).parents[1]
TEXT = TextSpec(source=LanguagesText(families=1, languages_per_family=1, bytes_per_language=2_000_000))
TOYS = 20
GRID = """
grid: toys
shards: 1
text: {{source: {{kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 2000000}}}}
sweeps:
  scaling:
    run: {{size: [6k], training.tokens: [10_240], evaluation.tokens: [1024], evaluation.curve_tokens: [256], seed: {seeds}}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the records to this file")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = prepare_text(TEXT, folder / "results/text" / TEXT.text_id)
        records = [
            *one_shard(folder),
            lock_step(text, folder, options.rounds),
            branches(text, folder, options.rounds),
        ]
    for record in records:
        print(
            "  ".join(
                f"{key}: {value:.3g}" if isinstance(value, float) else f"{key}: {value}" for key, value in record.items()
            )
        )
    if options.json:
        options.json.write_text(json.dumps(records, indent=1) + "\n")


def one_shard(folder: Path) -> list[dict[str, Any]]:
    """20 toy trainings in one command, the same in 20 commands, and the cost of an extra run."""
    seeds = range(TOYS)
    together = command(folder, seeds)
    apart = sum(command(folder, [TOYS + seed]) for seed in seeds)
    alone = command(folder, [3 * TOYS])
    spec = toy()
    steps_alone(spec)  # the first steps of a process cost more
    started = time.process_time()
    for _ in range(TOYS):
        steps_alone(spec)
    training = (time.process_time() - started) / TOYS
    extra = (together - alone) / (TOYS - 1)
    return [
        {"what": "one shard", "runs": TOYS, "apart_cpu_s": apart, "together_cpu_s": together, "ratio": apart / together},
        {"what": "extra run", "cpu_s": extra, "of_which_steps_cpu_s": training, "beside_steps_cpu_s": extra - training},
    ]


def command(folder: Path, seeds: Sequence[int]) -> float:
    """CPU-seconds of ``curselab train`` on toy runs with these seeds."""
    config = folder / "grid.yaml"
    config.write_text(GRID.format(seeds=list(seeds)))
    words = [sys.executable, "-m", "curselab", "train", "scaling", "run-0", "--config", str(config), "--workers", "2"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def toy() -> RunSpec:
    """The toy run that ``GRID`` asks for."""
    return RunSpec(
        model=ModelSpec(width=16, depth=2, heads=1, ffn_width=40),
        training=TrainingSpec(tokens=10_240, batch_sequences=4),
        optimizer=OptimizerSpec(learning_rate=0.0156),
        text=TEXT,
    )


def steps_alone(spec: RunSpec) -> None:
    """The optimiser steps of a run and nothing else."""
    from trainer.losses import text_loss
    from trainer.model import Decoder
    from trainer.optimizer import make_optimizer

    model = Decoder(spec.model, 256, seed=0)
    optimizer, scheduler = make_optimizer(spec, model)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    batch = torch.zeros(spec.training.batch_sequences, spec.model.context + 1, dtype=torch.int64)
    for _ in range(spec.steps):
        optimizer.zero_grad()
        text_loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()


def lock_step(text: PreparedText, folder: Path, rounds: int) -> dict[str, Any]:
    """Four students of one teacher."""
    training = TrainingSpec(tokens=40 * 16 * 128, batch_sequences=16)
    evaluation = EvaluationSpec(tokens=256, curve_tokens=256, factor=1e9)
    shared: dict[str, Any] = {"training": training, "evaluation": evaluation, "text": TEXT}
    teacher = RunSpec(
        model=ModelSpec(width=256, depth=4, heads=8, ffn_width=688),
        training=replace(training, tokens=16 * 128),
        optimizer=OptimizerSpec(learning_rate=1e-3),
        evaluation=evaluation,
        text=TEXT,
        keep_weights=True,
    )
    small = ModelSpec(width=64, depth=4, heads=2, ffn_width=176)
    learns = ObjectiveSpec(kind="distill", teacher=teacher.run_id)
    students = [
        RunSpec(model=small, optimizer=OptimizerSpec(learning_rate=rate), objective=learns, **shared)
        for rate in (5e-4, 1e-3, 2e-3, 4e-3)
    ]

    def prepare(runs: Path) -> None:
        run_in_folder(teacher, sweep="s", stage="teacher", runs=runs, text=text)

    return compare("lock-step", students, text, folder / "lock-step", rounds, prepare)


def branches(text: PreparedText, folder: Path, rounds: int) -> dict[str, Any]:
    """Budgets of one size."""
    budgets = [
        RunSpec(
            model=ModelSpec(width=64, depth=2, heads=2, ffn_width=176),
            training=TrainingSpec(tokens=parts * 64 * 4 * 128, batch_sequences=4),
            optimizer=OptimizerSpec(learning_rate=4e-3),
            schedule=ScheduleSpec(kind="wsd", warmup_tokens=8192),
            evaluation=EvaluationSpec(tokens=8192),
            text=TEXT,
        )
        for parts in (1, 2, 4, 8)
    ]
    return compare("branches", budgets, text, folder / "branches", rounds)


def compare(
    what: str,
    specs: Sequence[RunSpec],
    text: PreparedText,
    folder: Path,
    rounds: int,
    prepare: Callable[[Path], None] = lambda runs: None,
) -> dict[str, Any]:
    """Train runs one by one and as the pieces that a shard makes of them, and check that the losses are the same."""
    planned = [PlannedRun("s", "t", spec) for spec in specs]
    (piece,) = pieces(planned)
    measured, losses = [], set()
    for number in range(rounds):
        apart, together = (folder / f"{number}-{way}" for way in ("apart", "together"))
        for runs in (apart, together):
            prepare(runs)
        snapshots = piece.snapshots(together / "snapshots")
        started = time.process_time()
        for run in planned:
            run_together([run], runs=apart, text=text)
        between = time.process_time()
        for group in piece.groups:
            run_together(group, runs=together, text=text, snapshots=snapshots)
        measured.append((between - started, time.process_time() - between))
        losses |= {
            tuple(json.loads((runs / spec.run_id / "summary.json").read_text())["loss_nats_per_token"] for spec in specs)
            for runs in (apart, together)
        }
    assert len(losses) == 1, f"{what}: runs that share ended elsewhere than runs that do not: {losses}"
    ratios = [alone / shared for alone, shared in measured]
    return {
        "what": what,
        "runs": len(specs),
        "apart_cpu_s": statistics.median(alone for alone, _ in measured),
        "together_cpu_s": statistics.median(shared for _, shared in measured),
        "ratio": statistics.median(ratios),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
    }


if __name__ == "__main__":
    main()

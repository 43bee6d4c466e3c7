"""Three ways to give students their teacher: ``python benchmarks/distillation.py [--config config/full.yaml] [--rounds 3]``.

- ``own pass``: each student alone, its teacher beside it;
- ``lock-step``: all students of a teacher and a seed together, one pass of the teacher for all;
- ``cached``: the teacher's distributions written once to a memory-mapped file in half precision, then read by each student.

For each teacher of a grid, CPU-seconds of a step of all its students of one seed; both sides of a ratio are measured back to
back in each round. Under the table stand the totals of the grid's stage ``student`` at those costs, and with its teachers'
training.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sweeps.plan import load_plan
from trainer.allocator import keep_freed_memory
from trainer.backends.lockstep import Stepper, fit
from trainer.objective import teacher_logits
from trainer.run import run_in_folder
from trainer.spec import EvaluationSpec, RunSpec
from trainer.stream import make_stream
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import LanguagesText, TextSpec
from trainer.training import Training, prepare

TEXT = TextSpec(source=LanguagesText(families=1, languages_per_family=1, bytes_per_language=2_000_000), teacher_share=0.3)
QUIET = EvaluationSpec(tokens=256, curve_tokens=256, factor=1e9)
STEPS = 48
WAYS = ("own pass", "lock-step", "cached")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("config/full.yaml"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    runs = [run.spec for run in load_plan(options.config).runs if run.sweep == "capacity_gap" and run.stage in _STAGES]
    teachers = {spec.run_id: spec for spec in runs if spec.objective.kind == "lm"}
    learners = [spec for spec in runs if spec.objective.kind == "distill"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = prepare_text(TEXT, folder / "text")
        totals = dict.fromkeys((*WAYS, "teachers"), 0.0)
        print(f"{'teacher (parameters)':>20} {'students':>8}  CPU-ms a step: {'  '.join(WAYS)}  | ratios to lock-step (range)")
        for run_id, spec in teachers.items():
            mine = [one for one in learners if one.objective.teacher == run_id]
            one_seed = [one for one in mine if one.seed == mine[0].seed]
            costs, training, size = measure(spec, one_seed, text, folder / run_id, options.rounds)
            middle = {way: statistics.median(costs[way]) for way in WAYS}
            ratios = {way: [a / b for a, b in zip(costs[way], costs["lock-step"], strict=True)] for way in WAYS}
            shown = "  ".join(
                f"{way} {statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})"
                for way, r in ratios.items()
                if way != "lock-step"
            )
            times = "  ".join(f"{1e3 * middle[way]:8.1f}" for way in WAYS)
            print(f"{size:20,} {len(one_seed):8}  {times}  | {shown}", flush=True)
            for way in WAYS:
                totals[way] += middle[way] * one_seed[0].steps * len(mine) / len(one_seed)
            totals["teachers"] += training * spec.steps
    shared = totals["lock-step"]
    for way in WAYS:
        with_teachers = (totals[way] + totals["teachers"]) / (shared + totals["teachers"])
        print(
            f"stage student, {way}: {totals[way]:,.0f} CPU-s, {totals[way] / shared:.2f} times lock-step; "
            f"with the teachers' training ({totals['teachers']:,.0f} CPU-s) {with_teachers:.2f} times"
        )


_STAGES = ("teacher", "student")


def measure(
    teacher: RunSpec, students: Sequence[RunSpec], text: PreparedText, folder: Path, rounds: int
) -> tuple[dict[str, list[float]], float, int]:
    """CPU-seconds of a step of all students each way, of a step of the teacher's own training, and its parameters."""
    tokens = STEPS * teacher.tokens_per_step
    short = {"text": TEXT, "evaluation": QUIET}
    taught = replace(teacher, training=replace(teacher.training, tokens=tokens), **short)
    started = time.process_time()
    summary = run_in_folder(taught, sweep="s", stage="teacher", runs=folder, text=text)
    training = (time.process_time() - started) / STEPS
    specs = [
        replace(
            one,
            training=replace(one.training, tokens=tokens),
            objective=replace(one.objective, teacher=taught.run_id),
            **short,
        )
        for one in students
    ]
    costs: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, train in zip(WAYS, (_own_pass, fit, _cached), strict=True):
            ready = [prepare(spec, text=text, runs=folder) for spec in specs]
            started = time.process_time()
            train(ready)
            costs[way].append((time.process_time() - started) / STEPS)
    return costs, training, summary["params_non_embedding"]


def _own_pass(trainings: Sequence[Training]) -> None:
    for training in trainings:
        fit([training])


def _cached(trainings: Sequence[Training]) -> None:
    first = trainings[0]
    stream = make_stream(first.spec, first.windows)
    shape = (STEPS, first.spec.training.batch_sequences, first.spec.model.context, first.text.vocab_size)
    with tempfile.NamedTemporaryFile() as file:
        written = np.memmap(file.name, dtype=np.float16, mode="w+", shape=shape)
        assert first.teacher is not None
        for number in range(STEPS):
            logits = teacher_logits(first.teacher.model, stream.batch(number))
            assert logits is not None
            written[number] = torch.log_softmax(logits, dim=-1).half().numpy()
        written.flush()
        for training in trainings:
            read = np.memmap(file.name, dtype=np.float16, mode="r", shape=shape)
            stepper = Stepper(training, torch.device("cpu"))
            for number in range(STEPS):
                # a copy, since a tensor of read-only memory is refused
                stepper.learn(number, stream.batch(number), torch.from_numpy(read[number].astype(np.float32)))
                stepper.finish_step()


if __name__ == "__main__":
    main()

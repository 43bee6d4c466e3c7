"""What measuring block by block costs: ``python benchmarks/probes.py [--config config/default.yaml] [--rounds 5]``.

For each shape of the sweep ``depth``: CPU-seconds of an optimiser step of one run in a pack, of one measurement of the
streams, of the ablations after the last step, and of checking and writing the rows. The share is what all measurements of a
run take of all its optimiser steps. Parts are measured back to back in each round; the share is the median over rounds, with
its range.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from sweeps import load_plan
from trainer.backends import backend
from trainer.evaluation import evaluation_steps
from trainer.layer_losses import loss_rows
from trainer.layer_streams import stream_rows
from trainer.records import long_table, write_rows
from trainer.sharing import backend_of, most_together
from trainer.spec import EvaluationSpec, ProbeSpec, RunSpec, TrainingSpec
from trainer.stack import DecoderStack
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import LanguagesText, TextSpec
from trainer.training import prepare

TEXT = TextSpec(source=LanguagesText(families=1, languages_per_family=1, bytes_per_language=2_000_000))
STEPS = 24


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("config/default.yaml"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    long_table("layers", [])  # pyarrow imports pandas for its first table, as a shard does before its first run
    runs = [run.spec for run in load_plan(options.config).runs if run.sweep == "depth"]
    shapes = {(spec.model, spec.probes): spec for spec in runs}
    columns = (
        "scheme",
        "initialisation",
        "depth",
        "step, ms",
        "streams, ms",
        "ablations, ms",
        "rows, ms",
        "share of training",
    )
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    with tempfile.TemporaryDirectory() as folder:
        text = prepare_text(TEXT, Path(folder) / "text")
        for spec in shapes.values():
            rounds = [measure(replace(spec, text=TEXT), text, Path(folder)) for _ in range(options.rounds)]
            times = [1000 * statistics.median(parts) for parts in zip(*(parts for parts, _ in rounds), strict=True)]
            shares = [share for _, share in rounds]
            share = f"{statistics.median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})"
            cells = [spec.model.scheme, spec.model.initialisation, str(spec.model.depth), *(f"{t:.1f}" for t in times), share]
            print("| " + " | ".join(cells) + " |", flush=True)


def measure(spec: RunSpec, text: PreparedText, folder: Path) -> tuple[tuple[float, ...], float]:
    """CPU-seconds of a step, of the streams, of the ablations and of the rows; and the measurements' share of training."""
    few = TrainingSpec(tokens=STEPS * spec.tokens_per_step, batch_sequences=spec.training.batch_sequences)
    blind = EvaluationSpec(tokens=2, curve_tokens=2, factor=1e9)
    plain = replace(spec, training=few, evaluation=blind, probes=ProbeSpec())
    pack = [prepare(replace(plain, seed=seed), text=text, runs=folder) for seed in range(most_together(spec))]
    step = seconds(lambda: backend(backend_of(spec))(pack)) / STEPS / len(pack)
    training = prepare(spec, text=text, runs=folder)
    probe, stack = training.probes.layers, DecoderStack(training.model.eval())
    assert probe is not None
    streams = seconds(lambda: stream_rows(stack, probe.streams))
    losses = 0.0
    if probe.losses is not None:
        ablated = probe.losses
        losses = seconds(lambda: loss_rows(stack, ablated, spec.probes.ablations))
    times = 1 + len(evaluation_steps(spec))
    for _ in range(times):
        probe.begin(training.model)
    rows = training.result(sweep="depth", stage="run").layers
    writing = seconds(lambda: write_rows(folder / "layers.parquet", "layers", rows))
    return (step, streams, losses, writing), (times * streams + losses + writing) / (spec.steps * step)


def seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()

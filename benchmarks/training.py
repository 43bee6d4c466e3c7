"""Training speed beside a plain PyTorch loop: ``python benchmarks/training.py [--json FILE] [--shapes A,B] [--rounds 5]``.

Four variants train the same model (pre-norm GPT, LayerNorm, learned positions, exact GELU, tied head, no biases, heads of 32
features) on the same random tokens:

- ``ours``: :func:`trainer.shard.train_shard` on as many workers as cores, with the backend that it chooses by itself; results
  are written, and what a run costs beside its steps counts;
- ``torch_loop_default_threads``: a loop of nanoGPT's type, one run at a time, PyTorch's own number of threads;
- ``torch_loop_one_thread``: the same with one thread;
- ``lightning_default``: Lightning's Trainer as it comes (progress bar, CSV log, checkpoints), one thread.

Start-up is excluded: every process imports and warms up first, and only one variant runs at a time. A round measures all
variants back to back; ratios are medians over rounds. Wall-clock claims are refused where other processes took more than
5 % of the machine. Shapes that are not measured keep their records in FILE.
"""

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
import warnings
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = {  # width, depth, context, vocabulary, sequences a step
    "E4": (32, 4, 128, 256, 4),
    "S32": (32, 4, 128, 256, 16),
    "A": (64, 4, 128, 256, 16),
    "B": (128, 4, 128, 1024, 16),
    "C": (256, 4, 256, 4096, 8),
    "D": (64, 4, 256, 4096, 8),
}
STEPS = {"E4": 240, "S32": 120, "A": 60, "B": 24, "C": 10, "D": 30}
RUNS = {"E4": 16}  # runs of a shard, as a sweep over seeds gives them; a run for each core elsewhere
VARIANTS = ("ours", "torch_loop_default_threads", "torch_loop_one_thread", "lightning_default")
CORES = len(os.sched_getaffinity(0))
LOAD_LIMIT = 0.05
LEARNING_RATE = 1e-3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the records to this file")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="comma-separated, of " + ", ".join(SHAPES))
    parser.add_argument("--variants", default=",".join(VARIANTS), help="the default; fewer where the machine is busy")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    shapes = options.shapes.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for vocab_size in {SHAPES[shape][3] for shape in shapes}:
            tokens = np.random.default_rng(0).integers(vocab_size, size=2_000_000, dtype=np.uint16)
            for split in ("train", "teacher", "validation"):
                tokens.tofile(folder / f"random-{vocab_size}.{split}.bin")
        workers = {variant: Worker(variant, folder) for variant in options.variants.split(",")}
        peak = max(next(iter(workers.values())).ask("peak") for _ in range(5))
        print(f"{CORES} cores, matrix-product peak {peak / 1e9:.0f} GFLOP/s with all of them busy\n")
        records = [record for shape in shapes for record in measure(shape, workers, options.rounds, peak)]
        for worker in workers.values():
            worker.pipe.send(("end",))
            worker.process.join()
    if options.json:
        if options.json.exists():
            records += [record for record in json.loads(options.json.read_text()) if record["shape"] not in shapes]
        records.sort(key=lambda record: list(SHAPES).index(record["shape"]))
        options.json.write_text(json.dumps(records, indent=1) + "\n")
    report(records)


class Worker:
    """A process of one variant, which does as it is told."""

    def __init__(self, variant: str, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # no daemon: it has children of its own
        self.process = context.Process(target=serve, args=(variant, folder, theirs))
        self.process.start()
        theirs.close()

    def ask(self, *command: Any) -> Any:
        """Tell it, and wait for the answer."""
        self.pipe.send(command)
        return self.pipe.recv()


def measure(shape: str, workers: dict[str, Worker], rounds: int, peak: float) -> list[dict[str, Any]]:
    """Records of all variants of one shape."""
    for worker in workers.values():
        worker.ask("train", shape, 5)
    found: dict[str, list[tuple[float, float, float]]] = {variant: [] for variant in workers}
    for _ in range(rounds):
        for variant, worker in workers.items():
            busy, wall = busy_seconds(), time.monotonic()
            tokens, cpu = worker.ask("train", shape, STEPS[shape])
            wall, busy = time.monotonic() - wall, busy_seconds() - busy
            found[variant].append((tokens / wall, tokens / cpu, max(0.0, busy - cpu) / (wall * CORES)))
    return [record(shape, variant, found, peak) for variant in workers]


def record(shape: str, variant: str, found: dict[str, list[tuple[float, float, float]]], peak: float) -> dict[str, Any]:
    """Medians and ranges over rounds of one variant, and its ratios to the plain loops."""
    wall, cpu, load = (np.array(column) for column in zip(*found[variant], strict=True))
    quiet = float(np.median(load)) <= LOAD_LIMIT
    by_wall = [row[0] for row in found.get("torch_loop_default_threads", [])]
    by_cpu = [row[1] for row in found.get("torch_loop_one_thread", [])]
    # where others used the machine, nothing that rests on the clock is said
    clock = {
        **middle("tokens_per_s", wall),
        "gemm_peak_share": float(np.median(wall)) * flop_per_token(shape) / peak,
        **middle("ratio_to_default_threads", wall / np.array(by_wall) if by_wall else None),
    }
    return {
        "shape": shape,
        "variant": variant,
        **(clock if quiet else dict.fromkeys(clock)),
        **middle("tokens_per_cpu_s", cpu),
        **middle("cpu_ratio_to_one_thread", cpu / np.array(by_cpu) if by_cpu else None),
        "rounds": len(wall),
        "load_of_others": float(np.median(load)),
        "note": "" if quiet else f"wall clock refused: others took more than {LOAD_LIMIT:.0%} of the machine",
    }


def middle(name: str, values: NDArray[np.float64] | None) -> dict[str, Any]:
    """Median and range; None where nothing was measured."""
    if values is None:
        return {name: None, f"{name}_range": None}
    return {name: float(np.median(values)), f"{name}_range": [float(values.min()), float(values.max())]}


def flop_per_token(shape: str) -> float:
    """Training FLOP a token: 6 N + 12 L d T (Chowdhery et al. 2204.02311, appendix B), N the weights in products."""
    width, depth, context, vocab_size, _ = SHAPES[shape]
    return 6 * (12 * depth * width**2 + vocab_size * width) + 12 * depth * width * context


def busy_seconds() -> float:
    """CPU time that all processes have used, idle and waiting for disks excluded."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _wait, irq, softirq, _steal = map(int, fields)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def report(records: list[dict[str, Any]]) -> None:
    """Print a table in Markdown and the geometric mean of the ratios."""
    columns = ("shape", "variant", "tokens/s", "to default", "GEMM peak", "tokens/CPU-s", "to one thread", "load of others")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for found in records:
        wall = [spread(found, "tokens_per_s", ".0f"), spread(found, "ratio_to_default_threads", ".2f")]
        wall.append("" if found["gemm_peak_share"] is None else f"{found['gemm_peak_share']:.0%}")
        cpu = [spread(found, "tokens_per_cpu_s", ".0f"), spread(found, "cpu_ratio_to_one_thread", ".2f")]
        print("| " + " | ".join([found["shape"], found["variant"], *wall, *cpu, f"{found['load_of_others']:.1%}"]) + " |")
    for name, other in (
        ("ratio_to_default_threads", "default loop, by the clock"),
        ("cpu_ratio_to_one_thread", "loop of one thread, CPU"),
    ):
        ratios = [found[name] for found in records if found["variant"] == "ours" and found[name] is not None]
        if ratios:
            print(f"\nours over the {other}, geometric mean of {len(ratios)} shapes: {statistics.geometric_mean(ratios):.2f}")
    for found in records:
        if found["note"]:
            print(f"{found['shape']} {found['variant']}: {found['note']}")


def spread(found: dict[str, Any], name: str, form: str) -> str:
    """A median with its range; empty where it was not measured, or refused."""
    if found[name] is None:
        return ""
    low, high = found[f"{name}_range"]
    return f"{found[name]:{form}} ({low:{form}} to {high:{form}})"


def serve(variant: str, folder: Path, pipe: Connection) -> None:
    """Answer commands in a process of its own: ``peak``, ``train`` and ``end``."""
    import torch

    if variant != "torch_loop_default_threads":
        torch.set_num_threads(1)
    train = {"ours": ours, "lightning_default": lightning_default}.get(variant, torch_loop)
    number = 0
    while True:
        command, *arguments = pipe.recv()
        if command == "end":
            return
        if command == "peak":
            from trainer.machine import cores_peak

            pipe.send(cores_peak(CORES))
            continue
        shape, steps = arguments
        number += 1
        begin = cpu_seconds()
        tokens = train(shape, steps, folder, seed=number)
        pipe.send((tokens, cpu_seconds() - begin))


def cpu_seconds() -> float:
    """CPU time of this process, its threads and its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def model_spec(shape: str) -> Any:
    """Spec of the model that all variants train."""
    from trainer.model_spec import ModelSpec

    width, depth, context, _, _ = SHAPES[shape]
    options = {"norm": "layer", "positions": "learned", "ffn": "gelu"}
    return ModelSpec(width=width, depth=depth, heads=width // 32, ffn_width=4 * width, context=context, **options)  # type: ignore[arg-type]


def ours(shape: str, steps: int, folder: Path, *, seed: int) -> int:
    """Train a shard; return the tokens trained on."""
    from trainer import shard
    from trainer.progress import Progress
    from trainer.spec import EvaluationSpec, OptimizerSpec, PlannedRun, RunSpec, TrainingSpec
    from trainer.text_spec import TextSpec, TokenizerSpec

    _, _, context, vocab_size, sequences = SHAPES[shape]
    base = RunSpec(
        model=model_spec(shape),
        training=TrainingSpec(tokens=steps * sequences * context, batch_sequences=sequences),
        optimizer=OptimizerSpec(learning_rate=LEARNING_RATE),
        text=TextSpec(tokenizer=TokenizerSpec(kind="bpe" if vocab_size > 256 else "bytes", vocab_size=vocab_size)),
        evaluation=EvaluationSpec(tokens=2 * context, curve_tokens=2 * context, factor=1e9),
    )
    seeds = [1000 * seed + number for number in range(RUNS.get(shape, CORES))]
    planned = [PlannedRun("benchmark", "run", replace(base, seed=seed)) for seed in seeds]
    runs = folder / "runs"
    flop = {runs / run.run_id / "summary.json": 1.0 for run in planned}
    progress = Progress(flop=flop, folder=lambda run: runs / run.run_id, label=lambda run: run.run_id, workers=CORES)
    shard.open_text = lambda _: random_text(folder, vocab_size)  # type: ignore[attr-defined,assignment]
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        shard.train_shard(
            planned, name=f"{seed}", texts=folder, runs=runs, out=folder / "shard.json", progress=progress, workers=CORES
        )
    summaries = [json.loads(file.read_text()) for file in flop]
    assert all(summary["status"] == "ok" for summary in summaries), summaries
    return sum(summary["tokens"] for summary in summaries)


def random_text(folder: Path, vocab_size: int) -> Any:
    """A prepared text of random tokens, which no tokenizer made."""
    from trainer.text.prepared import PreparedText

    splits = {split: {"tokens": 2_000_000, "bytes": 2_000_000} for split in ("train", "teacher", "validation")}
    meta = {"sha256": "0" * 64, "dtype": "uint16", "domains": {f"random-{vocab_size}": {"splits": splits}}}
    tokenizer: Any = SimpleNamespace(vocab_size=vocab_size, token_bytes=np.ones(vocab_size, dtype=np.int64), end=0)
    return PreparedText(folder, meta, tokenizer)


def torch_loop(shape: str, steps: int, folder: Path, *, seed: int) -> int:
    """Train as nanoGPT does: a memory map opened for each batch, random offsets, unfused AdamW on a CPU, clipping."""
    import torch
    from torch.nn import functional as F

    from trainer.model import Decoder

    _, _, context, vocab_size, sequences = SHAPES[shape]
    model = Decoder(model_spec(shape), vocab_size, seed=seed)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95))
    for _ in range(steps):
        data = np.memmap(folder / f"random-{vocab_size}.train.bin", dtype=np.uint16, mode="r")
        starts = torch.randint(len(data) - context, (sequences,)).tolist()
        x = torch.stack([torch.from_numpy(data[i : i + context].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + context].astype(np.int64)) for i in starts])
        loss = F.cross_entropy(model(x).view(-1, vocab_size), y.view(-1))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return steps * sequences * context


def lightning_default(shape: str, steps: int, folder: Path, *, seed: int) -> int:
    """Train with Lightning's Trainer as it comes: a data loader, a progress bar, a CSV log and a checkpoint."""
    import lightning as L
    import torch
    from torch.nn import functional as F
    from torch.utils.data import DataLoader, TensorDataset

    from trainer.model import Decoder

    _, _, context, vocab_size, sequences = SHAPES[shape]

    class Plain(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = Decoder(model_spec(shape), vocab_size, seed=seed)

        def training_step(self, batch: Any, _: int) -> Any:
            loss = F.cross_entropy(self.model(batch[0][:, :-1]).view(-1, vocab_size), batch[0][:, 1:].reshape(-1))
            self.log("loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95))

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = np.memmap(folder / f"random-{vocab_size}.train.bin", dtype=np.uint16, mode="r")
    windows = np.stack([data[i * context : i * context + context + 1] for i in range(steps * sequences)]).astype(np.int64)
    loader = DataLoader(TensorDataset(torch.from_numpy(windows)), batch_size=sequences)
    with tempfile.TemporaryDirectory() as root, open(os.devnull, "w") as null, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = os.dup(1)
        os.dup2(null.fileno(), 1)
        try:
            trainer = L.Trainer(
                max_steps=steps, max_epochs=-1, accelerator="cpu", gradient_clip_val=1.0, default_root_dir=root
            )
            trainer.fit(Plain(), loader)
        finally:
            os.dup2(before, 1)
            os.close(before)
    return steps * sequences * context


if __name__ == "__main__":
    main()

"""Training speed beside a plain PyTorch loop: ``python benchmarks/training.py [--json FILE] [--shapes A,B] [--pairs 5]``.

Four variants train the same model (pre-norm GPT, LayerNorm, learned positions, exact GELU, tied head, no biases, heads of 32
features) on the same random tokens:

- ``ours``: this trainer as a shard runs it, one single-threaded process a core, whole runs one after another (or packed);
- ``torch_loop_default_threads``: a loop of nanoGPT's type, one run at a time, PyTorch's own number of threads;
- ``torch_loop_one_thread``: the same with one thread;
- ``lightning_default``: Lightning's Trainer as it comes (progress bar, CSV log, checkpoints), one thread.

Start-up is excluded: every process imports and warms up first, and only one variant runs at a time. A round measures all
variants back to back; ratios are medians over rounds. Wall-clock claims are refused where other processes took more than
5 % of the machine.
"""

import argparse
import json
import logging
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = {  # width, depth, context, vocabulary, sequences a step
    "E4": (32, 4, 128, 256, 4),
    "S32": (32, 4, 128, 256, 16),
    "A": (64, 4, 128, 256, 16),
    "B": (128, 4, 128, 1024, 16),
    "C": (256, 4, 256, 4096, 8),
    "D": (64, 4, 256, 4096, 8),
}
STEPS = {"E4": 240, "S32": 120, "A": 60, "B": 24, "C": 8, "D": 30}
TOGETHER = {"E4": 16}  # runs given to one worker at once, as a sweep over seeds gives them
VARIANTS = ("ours", "torch_loop_default_threads", "torch_loop_one_thread", "lightning_default")
CORES = len(os.sched_getaffinity(0))
LOAD_LIMIT = 0.05
LEARNING_RATE = 1e-3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the records to this file")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="comma-separated, of " + ", ".join(SHAPES))
    parser.add_argument("--pairs", type=int, default=5, help="rounds of all variants")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for vocab_size in {SHAPES[shape][3] for shape in options.shapes.split(",")}:
            tokens = np.random.default_rng(0).integers(vocab_size, size=2_000_000, dtype=np.uint16)
            for split in ("train", "teacher", "validation"):
                tokens.tofile(folder / f"random-{vocab_size}.{split}.bin")
        workers = {
            variant: [Worker(variant, folder) for _ in range(CORES if variant == "ours" else 1)] for variant in VARIANTS
        }
        peak = max(sum(both(workers["ours"], "peak")) for _ in range(5))
        print(f"{CORES} cores, matrix-product peak {peak / 1e9:.0f} GFLOP/s with all of them busy\n")
        records = [record for shape in options.shapes.split(",") for record in measure(shape, workers, options.pairs, peak)]
        for team in workers.values():
            for worker in team:
                worker.pipe.send(("end",))
                worker.process.join()
    if options.json:
        options.json.write_text(json.dumps(records, indent=1) + "\n")
    report(records)


class Worker:
    """A process of one variant, which trains when told to."""

    def __init__(self, variant: str, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(variant, folder, theirs), daemon=True)
        self.process.start()


def both(workers: list[Worker], *command: Any) -> list[Any]:
    """Tell every worker at once, and wait for all answers."""
    for worker in workers:
        worker.pipe.send(command)
    return [worker.pipe.recv() for worker in workers]


def measure(shape: str, workers: dict[str, list[Worker]], rounds: int, peak: float) -> list[dict[str, Any]]:
    """Records of all variants of one shape."""
    for team in workers.values():
        both(team, "warm", shape)
    found: dict[str, list[tuple[float, float, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, team in workers.items():
            busy, wall = busy_seconds(), time.monotonic()
            answers = both(team, "train", shape)
            wall, busy = time.monotonic() - wall, busy_seconds() - busy
            tokens, cpu = (sum(part) for part in zip(*answers, strict=True))
            found[variant].append((tokens / wall, tokens / cpu, max(0.0, busy - cpu) / (wall * CORES)))
    records = []
    for variant, rows in found.items():
        wall_speed, cpu_speed, load = (np.array(column) for column in zip(*rows, strict=True))
        ratio = wall_speed / np.array([row[0] for row in found["torch_loop_default_threads"]])
        quiet = float(np.median(load)) <= LOAD_LIMIT
        speed = float(np.median(wall_speed))
        records.append(
            {
                "shape": shape,
                "variant": variant,
                "tokens_per_s": speed if quiet else None,
                "tokens_per_s_range": [float(wall_speed.min()), float(wall_speed.max())] if quiet else None,
                "tokens_per_cpu_s": float(np.median(cpu_speed)),
                "tokens_per_cpu_s_range": [float(cpu_speed.min()), float(cpu_speed.max())],
                "gemm_peak_share": speed * flop_per_token(shape) / peak if quiet else None,
                "ratio_to_default_threads": float(np.median(ratio)) if quiet else None,
                "ratio_range": [float(ratio.min()), float(ratio.max())] if quiet else None,
                "rounds": rounds,
                "load_of_others": float(np.median(load)),
                "note": "" if quiet else f"wall clock refused: others took more than {LOAD_LIMIT:.0%} of the machine",
            }
        )
    return records


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
    columns = ("shape", "variant", "tokens/s", "range", "ratio", "range", "tokens/CPU-s", "GEMM peak", "load of others")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for r in records:
        wall = ["refused"] * 4
        if r["tokens_per_s"] is not None:
            speeds, ratios = r["tokens_per_s_range"], r["ratio_range"]
            wall = [f"{r['tokens_per_s']:.0f}", f"{speeds[0]:.0f} to {speeds[1]:.0f}"]
            wall += [f"{r['ratio_to_default_threads']:.2f}", f"{ratios[0]:.2f} to {ratios[1]:.2f}"]
        share = "" if r["gemm_peak_share"] is None else f"{r['gemm_peak_share']:.0%}"
        cells = [r["shape"], r["variant"], *wall, f"{r['tokens_per_cpu_s']:.0f}", share, f"{r['load_of_others']:.1%}"]
        print("| " + " | ".join(cells) + " |")
    ratios = [r["ratio_to_default_threads"] for r in records if r["variant"] == "ours"]
    if None in ratios:
        print("\nno geometric mean: wall clock refused")
    else:
        print(f"\nours over the default loop, geometric mean of {len(ratios)} shapes: {statistics.geometric_mean(ratios):.2f}")


def serve(variant: str, folder: Path, pipe: Connection) -> None:
    """Answer commands in a process of its own: ``peak``, ``warm``, ``train`` and ``end``."""
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
            pipe.send(matrix_peak())
            continue
        (shape,) = arguments
        number += 1
        steps = STEPS[shape] if command == "train" else 5
        begin = cpu_seconds()
        tokens = train(shape, steps, folder, seed=number)
        pipe.send((tokens, cpu_seconds() - begin))


def cpu_seconds() -> float:
    """CPU time of this process and its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def matrix_peak() -> float:
    """FLOP/s of products of (2048, 256) by (256, 1024) into memory at hand."""
    import torch

    a, b, out = torch.randn(2048, 256), torch.randn(256, 1024), torch.empty(2048, 1024)
    begin, products = time.monotonic(), 0
    while time.monotonic() - begin < 0.5:
        torch.mm(a, b, out=out)
        products += 1
    return products * 2 * 2048 * 256 * 1024 / (time.monotonic() - begin)


def model_spec(shape: str) -> Any:
    """Spec of the model that all variants train."""
    from trainer.spec import ModelSpec

    width, depth, context, _, _ = SHAPES[shape]
    options = {"norm": "layer", "positions": "learned", "ffn": "gelu"}
    return ModelSpec(width=width, depth=depth, heads=width // 32, ffn_width=4 * width, context=context, **options)  # type: ignore[arg-type]


def ours(shape: str, steps: int, folder: Path, *, seed: int) -> int:
    """Train whole runs as a worker of a shard does; return the tokens trained on."""
    from trainer.allocator import keep_freed_memory
    from trainer.run import run_together
    from trainer.spec import EvaluationSpec, OptimizerSpec, PlannedRun, RunSpec, TextSpec, TokenizerSpec, TrainingSpec
    from trainer.text.prepared import PreparedText
    from trainer.text.tokenizers import Tokenizer

    keep_freed_memory()
    _, _, context, vocab_size, sequences = SHAPES[shape]
    bpe = vocab_size > 256
    splits = {split: {"tokens": 2_000_000, "bytes": 2_000_000} for split in ("train", "teacher", "validation")}
    meta = {"sha256": "0" * 64, "dtype": "uint16", "domains": {f"random-{vocab_size}": {"splits": splits}}}

    class RandomTokens:
        """Stands for a tokenizer whose tokens are one byte each."""

        def __init__(self) -> None:
            self.vocab_size = vocab_size
            self.token_bytes = np.ones(vocab_size, dtype=np.int64)

    tokenizer: Tokenizer = RandomTokens()  # type: ignore[assignment]
    planned = [
        PlannedRun(
            "benchmark",
            "run",
            RunSpec(
                model=model_spec(shape),
                training=TrainingSpec(tokens=steps * sequences * context, batch_sequences=sequences),
                optimizer=OptimizerSpec(learning_rate=LEARNING_RATE),
                text=TextSpec(tokenizer=TokenizerSpec(kind="bpe" if bpe else "bytes", vocab_size=vocab_size)),
                evaluation=EvaluationSpec(tokens=2 * context),
                seed=1000 * os.getpid() + 100 * seed + i,
            ),
        )
        for i in range(TOGETHER.get(shape, 1))
    ]
    outcomes = run_together(planned, runs=folder / "runs", text=PreparedText(folder, meta, tokenizer))
    summaries = [outcome.summary or {"status": outcome.error} for outcome in outcomes.values()]
    assert all(summary["status"] == "ok" for summary in summaries), summaries
    return sum(summary["tokens"] for summary in summaries)


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
        loss.backward()
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

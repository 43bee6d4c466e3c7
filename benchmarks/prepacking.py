"""Methods of prefill beside padding and the limit: ``python benchmarks/prepacking.py [--json FILE] [--help]``.

The bench of ``curselab bench prepacking`` with the sizes of the command line: every method in turn within one process, one run
for warmth, medians of repeats, a Llama of random weights in float32. The limit is the time of the same real tokens with no pad
and no attention across prompts. Memory is the most that tensors held at once beyond what was held before.

Nothing else may run on the machine meanwhile: the load of others is printed, and times are not to be trusted where it is far
from 0. Ratios to left padding contain what fetching large activations from the kernel costs; ``--keep-memory`` tells the C
library not to give freed memory back, which takes that part out.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import pandas as pd

from trainer.allocator import keep_freed_memory
from trainer.prefill_bench import bench
from trainer.prefill_bench_spec import PrefillBenchSpec

COLUMNS = ("method", "seconds", "time_over_limit", "speedup", "speedup_over_micro", "peak_bytes")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the records to this file")
    parser.add_argument("--distributions", default="lognormal,uniform")
    parser.add_argument("--batches", default="32,64,128")
    parser.add_argument("--widths", default="256")
    parser.add_argument("--draws", default="0,1,2", help="seeds of the lengths")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--longest", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--keep-memory", action="store_true", help="do not give freed memory back to the kernel")
    options = parser.parse_args()
    if options.keep_memory:
        keep_freed_memory()
    spec = PrefillBenchSpec(
        width=numbers(options.widths),
        depth=options.depth,
        distribution=tuple(options.distributions.split(",")),
        batch=numbers(options.batches),
        draw=numbers(options.draws),
        longest=options.longest,
        repeats=options.repeats,
        threads=options.threads,
    )
    wall, cpu, busy = time.perf_counter(), time.process_time(), busy_seconds()
    records = [record | {"kept_memory": options.keep_memory} for record in bench(spec, say=print)]
    others = busy_seconds() - busy - (time.process_time() - cpu)
    share = max(0.0, others) / ((time.perf_counter() - wall) * (os.cpu_count() or 1))
    report(records, share)
    if options.json:
        load = {"load_of_others": share}
        options.json.write_text(json.dumps([record | load for record in records], indent=1) + "\n")


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers between commas."""
    return tuple(int(word) for word in text.split(","))


def busy_seconds() -> float:
    """CPU-seconds that all processes of the machine have used."""
    user, nice, system = (int(word) for word in Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def report(records: list[dict[str, Any]], share: float) -> None:
    """Print a table in Markdown for each distribution and number of prompts: medians over draws."""
    table = pd.DataFrame(records)
    for (model, distribution, batch), part in table.groupby(["model", "distribution", "batch"], sort=False):
        padded = part[part["method"] == "padded_left"]
        ratios = ", ".join(f"{ratio:.2f}" for ratio in padded["tokens"] / padded["real_tokens"])
        print(f"\n{model}, {distribution}, {batch} prompts: medians of {len(padded)} draws, of padding ratios {ratios}\n")
        print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
        for method, row in part.groupby("method", sort=False)[list(COLUMNS[1:])].median().iterrows():
            over = " | ".join(f"{row[name]:.2f}" for name in COLUMNS[2:5])
            print(f"| {method} | {row['seconds']:.4f} | {over} | {row['peak_bytes']:,.0f} |")
    print(f"\nother processes took {share:.1%} of the machine")


if __name__ == "__main__":
    main()

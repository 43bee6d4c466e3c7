"""Times and memory of every method of prefill on the same batches, in one process.

The limit of a batch is what its real tokens take without pads and without attention across prompts: the time a prompt in
batches of equal lengths under one causal kernel, the better of small and of large ones, interpolated between lengths and added
up. Its batches are those of the lengths at hand, so it is measured once a batch of prompts.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.prefill import prefill, runner_of
from trainer.prefill_bench_spec import PrefillBenchSpec
from trainer.prefill_plan import METHODS, Method, activations, plan, work
from trainer.prompt_lengths import draw_lengths

VOCABULARY = 8192
_LIMIT_SLOTS = (1024, 4096)
_LIMIT_LENGTHS = 6


@dataclass(frozen=True, slots=True)
class Timed:
    """What a method took, seconds: medians over repeats."""

    wall: float
    cpu: float


def bench(spec: PrefillBenchSpec, *, say: Callable[[str], object]) -> Iterator[dict[str, Any]]:
    """Measure every batch of a spec and yield a row of the table ``prepacking`` for each of its methods.

    Parameters
    ----------
    spec : PrefillBenchSpec
    say : callable
        Told of each batch.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    try:
        for name, shape in spec.shapes.items():
            model = Decoder(shape, VOCABULARY, seed=0).eval()
            for distribution in spec.distribution:
                for batch in spec.batch:
                    for draw in spec.draw:
                        say(f"prepacking {name} {distribution} batch {batch} draw {draw}")
                        cell = {"model": name, "distribution": distribution, "batch": batch, "draw": draw}
                        lengths = lengths_of(spec, distribution, batch, draw)
                        for row in _measure(model, lengths, spec):
                            yield cell | _shape(shape) | {"threads": spec.threads} | row
    finally:
        torch.set_num_threads(before)


def lengths_of(spec: PrefillBenchSpec, distribution: str, batch: int, draw: int) -> list[int]:
    """Lengths of a batch, which follow from its own cell alone: a larger bench adds batches and changes none."""
    rng = np.random.default_rng([draw, batch, *distribution.encode()])
    return draw_lengths(distribution, batch, longest=spec.longest, rng=rng)


def _measure(model: Decoder, lengths: list[int], spec: PrefillBenchSpec) -> Iterator[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(VOCABULARY, (length,), generator=generator) for length in lengths]
    runs = {method: _run(model, prompts, method) for method in METHODS}
    times = in_turn(runs, spec.repeats)
    limit, shape = _limit(model, lengths, spec.repeats), model.spec
    features = activations(shape.width, shape.ffn_width, 3 * shape.width)
    for method, run in runs.items():
        counted = work(plan(lengths, method, cost=runner_of(model).cost), features=features)
        yield {
            "method": method,
            "longest": max(lengths),
            "real_tokens": sum(lengths),
            **asdict(counted),
            "seconds": times[method].wall,
            "cpu_seconds": times[method].cpu,
            "limit_seconds": limit,
            "repeats": spec.repeats,
            "tokens_per_second": sum(lengths) / times[method].wall,
            "time_over_limit": times[method].wall / limit,
            "speedup": times["padded_left"].wall / times[method].wall,
            "speedup_over_micro": times["padded_micro"].wall / times[method].wall,
            "peak_bytes": peak_bytes(run),
        }


def in_turn(runs: Mapping[Method, Callable[[], object]], repeats: int) -> dict[Method, Timed]:
    """Run all once for warmth, then all in turn for each repeat: what disturbs one repeat disturbs all methods alike."""
    for run in runs.values():
        run()
    taken: dict[Method, list[Timed]] = {method: [] for method in runs}
    for _ in range(repeats):
        for method, run in runs.items():
            taken[method].append(_timed(run))
    return {
        method: Timed(statistics.median(t.wall for t in found), statistics.median(t.cpu for t in found))
        for method, found in taken.items()
    }


def peak_bytes(run: Callable[[], object]) -> int:
    """Most memory that tensors held at once beyond what they held before, by the allocator's own events.

    Unlike the process's resident memory it does not depend on what ran before; kernels' scratch space counts.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler tells of its start and stop on stderr otherwise
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    results = profiled.profiler.kineto_results if profiled.profiler is not None else None
    assert results is not None
    events = sorted((event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]")
    return max(0, int(np.cumsum([size for _, size in events]).max(initial=0)))


def _run(model: Decoder, prompts: Sequence[Tensor], method: Method) -> Callable[[], object]:
    return lambda: prefill(model, prompts, method=method)


def _timed(run: Callable[[], object]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    kept = run()  # its memory is given back after the clock has stopped
    took = Timed(time.perf_counter() - wall, time.process_time() - cpu)
    del kept
    return took


def _limit(model: Decoder, lengths: list[int], repeats: int) -> float:
    """Seconds of the limit."""
    chosen = sorted({int(length) for length in np.quantile(lengths, np.linspace(0, 1, _LIMIT_LENGTHS), method="nearest")})
    a_prompt = []
    for length in chosen:
        rows = {slots: max(1, slots // length) for slots in _LIMIT_SLOTS}
        runs = {slots: _run(model, [torch.zeros(length, dtype=torch.long)] * n, "padded_right") for slots, n in rows.items()}
        for run in runs.values():
            run()
        best = [statistics.median(_timed(runs[slots]).wall for _ in range(repeats)) / rows[slots] for slots in _LIMIT_SLOTS]
        a_prompt.append(min(best))
    return float(np.interp(lengths, chosen, a_prompt).sum())


def _shape(model: ModelSpec) -> dict[str, int]:
    return {"width": model.width, "depth": model.depth, "ffn_width": model.ffn_width}

"""How fast this machine multiplies matrices: the roof of any training on it."""

import os
import time

import torch

from trainer.pool import Send, run_pieces

_SECONDS = 0.5


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def matrix_peak(device: str = "cpu") -> float:
    """FLOP/s of matrix products: (2048, 256) by (256, 1024) into memory at hand on a CPU, large ones in bfloat16 on a GPU."""
    n, k, m = (2048, 256, 1024) if device == "cpu" else (8192, 8192, 8192)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    a, b, out = (torch.ones(shape, device=device, dtype=dtype) for shape in ((n, k), (k, m), (n, m)))
    torch.mm(a, b, out=out)  # the first loads its kernel
    begin, products = time.monotonic(), 0
    while time.monotonic() - begin < _SECONDS:
        torch.mm(a, b, out=out)
        if device != "cpu":
            torch.cuda.synchronize(device)
        products += 1
    return products * 2.0 * n * k * m / (time.monotonic() - begin)


def cores_peak(workers: int) -> float:
    """FLOP/s of so many processes at once, each with one thread, as a shard trains."""
    found: list[float] = []
    run_pieces(range(workers), _measure, workers=workers, receive=found.append)
    return sum(found)


def _measure(_: int, send: Send) -> None:
    torch.set_num_threads(1)
    send(matrix_peak())

"""The mapping problem: a small synthetic task on which large teachers make worse students.

An input is a context of numbers and a query that points at one of its places. Where the number there is 0, the answer is the
place itself, which is easy; where it is another number, the answer is the other place that holds the same one, which is hard.
Source: Busbridge et al. (2025), Distillation Scaling Laws, arXiv:2502.08606, appendix C.2.

All inputs are few (3,360 for the paper's eight places), so a network's score is its exact expected loss, and a teacher passes
over each input once: its students look their soft targets up.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from curselab.contract import check_record
from curselab.errors import InputError
from curselab.files import write_json
from trainer.allocator import keep_freed_memory
from trainer.mapping_spec import MappingSpec
from trainer.pool import Send, run_pieces
from trainer.provenance import code_hash, git_state, versions
from trainer.schedule import learning_rate_factor
from trainer.spec import ScheduleSpec
from trainer.strict import short_hash

_TEACHER, _STUDENT = 0, 1  # a student of its teacher's width must not start from its weights


@dataclass(frozen=True, slots=True)
class Cell:
    """One teacher with all its students: what one process trains, and what is kept when it is stopped."""

    teacher_width: int
    seed: int

    def __str__(self) -> str:
        return f"mapping teacher_width {self.teacher_width} seed {self.seed}"


def questions(values: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Every input, context beside one-hot query, (inputs, 2 x places), and its answer, (inputs,).

    Parameters
    ----------
    values : tuple of int
        What a context holds, in any order.
    """
    places = len(values)
    contexts = torch.tensor(sorted(set(itertools.permutations(values))))
    context, query = contexts.repeat_interleave(places, 0), torch.arange(places).repeat(len(contexts))
    pointer = F.one_hot(query, places)
    value = (context * pointer).sum(1)
    partner = ((context == value[:, None]) & (pointer == 0)).int().argmax(1)
    return torch.cat([context, pointer], 1).float(), torch.where(value == 0, query, partner)


def network(places: int, width: int, generator: torch.Generator) -> nn.Sequential:
    """Two hidden layers of one width, with torch's own initial distribution drawn from ``generator``."""
    sizes = (2 * places, width, width, places)
    layers = [skip_init(nn.Linear, *ends) for ends in itertools.pairwise(sizes)]
    for layer in layers:
        bound = layer.in_features**-0.5
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def train(spec: MappingSpec, width: int, inputs: Tensor, targets: Tensor, *, seed: int, role: int) -> Tensor:
    """Train one network and return its logits on every input, (inputs, places).

    Parameters
    ----------
    spec : MappingSpec
        How it is trained.
    width : int
        Of its hidden layers.
    inputs, targets : Tensor
        Every input, and its answer (inputs,) or its soft target (inputs, places). Cross-entropy with soft targets differs
        from the divergence from the teacher by the teacher's entropy alone, so the gradient is that of distillation.
    seed, role : int
        With the width, these decide initial weights and samples, and nothing else does.
    """
    state = np.random.SeedSequence([seed, width, role]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
    model, steps = network(spec.places, width, generator), spec.steps(width)
    schedule = ScheduleSpec(kind="cosine", warmup_share=spec.warmup_share, final_share=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=spec.learning_rate, fused=True)
    for step in range(steps):
        factor = learning_rate_factor(schedule, step, steps=steps, tokens_per_step=spec.batch)
        optimizer.param_groups[0]["lr"] = spec.learning_rate * factor
        drawn = torch.randint(len(inputs), (spec.batch,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[drawn]), targets[drawn]).backward()
        optimizer.step()
    with torch.inference_mode():
        return model(inputs)


def train_cell(spec: MappingSpec, cell: Cell) -> list[dict[str, Any]]:
    """Train a teacher and all its students; rows of the table ``mapping``."""
    inputs, answers = questions(spec.values)

    def score(logits: Tensor) -> float | None:
        """Expected loss against the answers, nats/label; None once it is not finite, which Adam never leaves."""
        loss = F.cross_entropy(logits.double(), answers).item()
        return loss if np.isfinite(loss) else None

    logits = train(spec, cell.teacher_width, inputs, answers, seed=cell.seed, role=_TEACHER)
    teacher_loss, rows = score(logits), []
    for width in spec.student_width:
        loss, status = None, "no_teacher"
        if teacher_loss is not None:
            loss = score(train(spec, width, inputs, logits.softmax(1), seed=cell.seed, role=_STUDENT))
            status = "diverged" if loss is None else "ok"
        row = {
            "student_width": width,
            "teacher_width": cell.teacher_width,
            "seed": cell.seed,
            "teacher_seed": cell.seed,
            "status": status,
            "student_params": spec.parameters(width),
            "teacher_params": spec.parameters(cell.teacher_width),
            "student_samples": spec.steps(width) * spec.batch,
            "teacher_samples": spec.steps(cell.teacher_width) * spec.batch,
            "teacher_loss_nats_per_label": teacher_loss,
            "loss_nats_per_label": loss,
        }
        check_record("mapping", row)
        rows.append(row)
    return rows


def run_mapping(
    spec: MappingSpec, *, runs: Path, workers: int, say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train what is not complete yet.

    Parameters
    ----------
    spec : MappingSpec
        The problem.
    runs : Path
        Folder of complete cells, one JSON file each.
    workers : int
        Processes that train at once, one thread each.
    say : callable
        Told a line for each cell that ends.

    Returns
    -------
    tuple of two lists
        Rows of the table ``mapping``, and one row of provenance a cell.

    Raises
    ------
    InputError
        Some cells could not be trained; each was said in a line of its own, and the others are complete.
    """
    keep_freed_memory()
    torch.set_num_threads(1)
    code = code_hash("trainer.mapping")
    cells = [Cell(width, seed) for width in sorted(spec.teacher_width, reverse=True) for seed in spec.seed]
    files = {cell: runs / f"{_cell_id(spec, cell, code)}.json" for cell in cells}
    git_state()  # before the fork, so that a long run names the code that it was started with

    def work(cell: Cell, send: Send) -> None:
        write_json(files[cell], _trained(spec, cell, code))
        send(cell)

    def receive(cell: Cell) -> None:
        done = sum(file.exists() for file in files.values())
        say(f"{done}/{len(cells)} teachers | {cell}")

    missing = [cell for cell in cells if not files[cell].exists()]
    failures = run_pieces(missing, work, workers=workers, receive=receive, fork=sys.platform == "linux")
    for failure in failures:
        say(f"curselab: {failure.piece}: {failure.reason}")
    if failures:
        raise InputError(f"mapping: {len(failures)} of {len(cells)} teachers could not be trained")
    kept = [_read(files[cell]) for cell in cells]
    return [row for each in kept for row in each["rows"]], [each["provenance"] for each in kept]


def _trained(spec: MappingSpec, cell: Cell, code: str) -> dict[str, Any]:
    """Train a cell; its rows and where they come from."""
    started, cpu_started = time.monotonic(), time.process_time()
    rows = train_cell(spec, cell)
    costs = {"wall_s": round(time.monotonic() - started, 3), "cpu_s": round(time.process_time() - cpu_started, 3)}
    facts = {**git_state(), "code_sha256": code, **versions(), "device": "cpu", "threads": torch.get_num_threads()}
    return {"rows": rows, "rows_hash": short_hash(rows), "provenance": {**asdict(cell), **facts, **costs}}


def _read(file: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(file.read_bytes())
        if kept["rows_hash"] != short_hash(kept["rows"]):
            raise ValueError("wrong hash")
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file}: damaged; delete it and start again") from None
    return kept


def _cell_id(spec: MappingSpec, cell: Cell, code: str) -> str:
    """Name a cell by all that decides its rows."""
    return short_hash([asdict(replace(spec, teacher_width=(cell.teacher_width,), seed=(cell.seed,))), code])

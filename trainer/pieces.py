"""The pieces into which the runs of a shard are cut, and the first steps that runs of different length share.

With a schedule whose warm-up is counted in tokens, runs that differ in their number of tokens alone are one and the same run
until the shorter begins to decay: batches are a pure function of (seed, step). So the longest run, the trunk, leaves a
snapshot where a shorter one, a branch, goes its own way, and the branch starts there (Haegele et al. 2405.18392, section 3).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trainer.evaluation import evaluation_steps
from trainer.schedule import factor_at
from trainer.sharing import most_together, share_key, trunk_key
from trainer.spec import PlannedRun, RunSpec
from trainer.strict import short_hash, to_mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """Work of one process: groups of runs, one group after another; the runs of a group share their steps."""

    groups: tuple[tuple[PlannedRun, ...], ...]
    snapshot_steps: Mapping[str, tuple[int, ...]]
    """Run id -> steps at which the run leaves a snapshot (a trunk), or starts from one (a branch)."""

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """All runs of the piece."""
        return tuple(run for group in self.groups for run in group)

    def snapshots(self, folder: Path) -> dict[str, dict[int, Path]]:
        """Run id -> step -> snapshot file in ``folder``, named by what decides the state that it holds."""
        specs = {run.run_id: run.spec for run in self.runs}
        return {
            run_id: {step: folder / f"{prefix_id(specs[run_id], step)}.ckpt" for step in steps}
            for run_id, steps in self.snapshot_steps.items()
        }


def pieces(runs: Iterable[PlannedRun], *, workers: int = 1) -> list[Piece]:
    """Cut runs into pieces that can be trained in any order and at the same time.

    Parameters
    ----------
    runs : iterable of PlannedRun
    workers : int
        Runs that could all share their steps are cut into as many pieces, so that no worker waits for another.
    """
    sharing: dict[str, dict[str, list[PlannedRun]]] = {}
    for run in sorted(runs, key=lambda run: (-run.spec.steps, run.run_id)):
        sharing.setdefault(share_key(run.spec), {}).setdefault(trunk_key(run.spec), []).append(run)
    cut = []
    for families in sharing.values():
        most = min(most_together(next(iter(families.values()))[0].spec), math.ceil(len(families) / workers))
        for chosen in _chunks(list(families.values()), most):
            trunks = tuple(family[0] for family in chosen)
            branches = sorted((run for family in chosen for run in family[1:]), key=lambda run: -run.spec.steps)
            cut.append(Piece((trunks, *map(tuple, _chunks(branches, most))), _snapshot_steps(chosen)))
    return cut


def shared_steps(trunk: RunSpec, branch: RunSpec) -> int:
    """Steps after which two runs that differ in their number of tokens alone are in the same state.

    Up to there learning rates are the same, the next one included since the scheduler has set it, and so are evaluations.
    """
    steps = min(trunk.steps, branch.steps)
    for step in range(steps + 1):
        if factor_at(trunk, step) != factor_at(branch, step):
            break
    last = step - 1
    evaluated = [{done for done in evaluation_steps(spec) if done <= last} for spec in (trunk, branch)]
    return min(evaluated[0] ^ evaluated[1], default=last + 1) - 1


def prefix_id(spec: RunSpec, step: int) -> str:
    """12 hex digits that name the state after ``step`` steps: equal for all runs that lead to it."""
    decides = to_mapping(spec)
    del decides["schedule"], decides["keep_weights"], decides["keep_optimizer"], decides["training"]["tokens"]
    decides["learning_rate_factors"] = [factor_at(spec, done) for done in range(step + 1)]
    decides["evaluated"] = [done for done in evaluation_steps(spec) if done <= step]
    return short_hash(decides)


def _snapshot_steps(families: Sequence[Sequence[PlannedRun]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for trunk, *branches in families:
        for branch in branches:
            step = shared_steps(trunk.spec, branch.spec)
            if step > 0:
                found[branch.run_id] = (step,)
                found[trunk.run_id] = (*found.get(trunk.run_id, ()), step)
    return found


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    starts = range(0, len(items), size)
    return [items[start : start + size] for start in starts]

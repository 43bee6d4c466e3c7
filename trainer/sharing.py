"""Which runs share work: the backend of a run, and the pieces into which the runs of a shard are cut.

Everything here follows from the specs alone, so the same grid is always trained in the same way.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from trainer.spec import PlannedRun, RunSpec


@dataclass(frozen=True, slots=True)
class Piece:
    """Work of one process: groups of runs, one group after another; the runs of a group share their steps."""

    groups: tuple[tuple[PlannedRun, ...], ...]

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """All runs of the piece."""
        return tuple(run for group in self.groups for run in group)


def backend_of(spec: RunSpec) -> str:
    """Backend that carries out a run."""
    return "lightning" if spec.compute.backend == "auto" else spec.compute.backend


def pieces(runs: Iterable[PlannedRun]) -> list[Piece]:
    """Cut runs into pieces that can be trained in any order and at the same time."""
    return [Piece(((run,),)) for run in runs]

"""How far a plan is: runs done of all, which one, how long still."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from trainer.spec import PlannedRun


@dataclass(slots=True)
class Progress:
    """One line a finished run, over all shards of a plan.

    Other shards are seen through their ``summary.json`` files; time left is the expected FLOP of what is missing over
    this process's own speed, shared among ``workers``.
    """

    flop: Mapping[Path, float]
    """Summary file of every run of the plan -> its expected FLOP."""
    folder: Callable[[PlannedRun], Path]
    """Where a run's folder is."""
    label: Callable[[PlannedRun], str]
    """What to call a run."""
    workers: int = 1
    log: TextIO | None = None
    clock: Callable[[], float] = time.monotonic
    _done_flop: float = 0.0
    _spent_s: float = 0.0
    _started: float = field(default=0.0)
    _was_complete: bool = False

    def expected_flop(self, run: PlannedRun) -> float:
        """FLOP that the plan expects of a run."""
        return self.flop[self.folder(run) / "summary.json"]

    def starts(self, run: PlannedRun) -> None:
        """Remember when a run began."""
        self._was_complete = (self.folder(run) / "summary.json").exists()
        self._started = self.clock()

    def ends(self, run: PlannedRun, summary: Mapping[str, Any]) -> None:
        """Say how a run ended and how far the plan is."""
        seconds = self.clock() - self._started
        if not self._was_complete:
            self._done_flop += self.expected_flop(run)
            self._spent_s += seconds
        loss = summary["loss_nats_per_token"]
        outcome = summary["status"] if loss is None else f"{loss:.4f} nats/token"
        done = sum(path.exists() for path in self.flop)
        self._say(f"{done}/{len(self.flop)} runs | {self.label(run)} | {outcome} | {seconds:.0f} s | {self._left()}")

    def _left(self) -> str:
        missing = sum(flop for path, flop in self.flop.items() if not path.exists())
        if missing == 0:
            return "all trained"
        if self._spent_s == 0:
            return "time left unknown"
        seconds = missing * self._spent_s / self._done_flop / self.workers
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _say(self, line: str) -> None:
        for stream in (sys.stderr, self.log):
            if stream is not None:
                print(line, file=stream, flush=True)

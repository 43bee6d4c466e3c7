"""How far a plan is: runs done of all, which one, how long still."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from trainer.spec import PlannedRun


@dataclass(slots=True)
class Progress:
    """One line a finished run, over all shards of a plan.

    Other shards are seen through their ``summary.json`` files; time left is the expected FLOP of what is missing over
    the speed of one worker, shared among ``workers``.
    """

    flop: Mapping[Path, float]
    """Summary file of every run of the plan -> its expected FLOP."""
    folder: Callable[[PlannedRun], Path]
    """Where a run's folder is."""
    label: Callable[[PlannedRun], str]
    """What to call a run."""
    workers: int = 1
    log: TextIO | None = None
    _done_flop: float = 0.0
    _spent_s: float = 0.0

    def expected_flop(self, run: PlannedRun) -> float:
        """FLOP that the plan expects of a run."""
        return self.flop[self.folder(run) / "summary.json"]

    def ends(self, run: PlannedRun, summary: Mapping[str, Any], seconds: float) -> None:
        """Say how a run ended, after how many seconds of one worker (0: it was complete), and how far the plan is."""
        if seconds > 0:
            self._done_flop += self.expected_flop(run)
            self._spent_s += seconds
        loss = summary["loss_nats_per_token"]
        outcome = summary["status"] if loss is None else f"{loss:.4f} nats/token"
        done = sum(path.exists() for path in self.flop)
        self._say(f"{done}/{len(self.flop)} runs | {self.label(run)} | {outcome} | {seconds:.0f} s | {self._left()}")

    def fails(self, run: PlannedRun, reason: str) -> None:
        """Say that a run could not be trained, and why."""
        self._say(f"curselab: {self.label(run)}: {reason}")

    def _left(self) -> str:
        missing = sum(flop for path, flop in self.flop.items() if not path.exists())
        if missing == 0:
            return "all trained"
        if self._spent_s == 0:
            return "time left unknown"
        return time_left(missing * self._spent_s / self._done_flop / self.workers)

    def _say(self, line: str) -> None:
        for stream in (sys.stderr, self.log):
            if stream is not None:
                print(line, file=stream, flush=True)


def time_left(seconds: float) -> str:
    """Time left in words, no finer than it is known."""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"

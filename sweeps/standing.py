"""Where a grid stands: what the folder of each planned run says of it. Nothing is written, and torch is not loaded."""

import fcntl
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sweeps.plan import Plan
from trainer.provenance import code_hash
from trainer.spec import PlannedRun

State = Literal["complete", "diverged", "left_out", "running", "begun", "stale", "missing"]
STATES: tuple[State, ...] = get_args(State)
DONE = frozenset[State]({"complete", "diverged", "left_out"})
_OF_STATUS: dict[str, State] = {"ok": "complete", "diverged": "diverged", "no_teacher": "left_out", "no_base": "left_out"}
_WINDOW_S = 1800.0
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one run stands.

    ``left_out``: its teacher or the run that it starts from diverged. ``running``: a process holds its lock. ``begun``: it was
    stopped or failed. ``stale``: complete, but of other code, text or stage, so it would be trained again.
    """

    run: PlannedRun
    state: State
    flop: float
    """That the plan expects."""
    seconds: float | None = None
    """Of one worker; None where no finished run says so."""
    finished: float | None = None
    """When, in seconds of the system's clock."""

    @property
    def done(self) -> bool:
        """Nothing is left to train."""
        return self.state in DONE

    @property
    def tokens(self) -> int:
        """Training tokens, repeats counted."""
        return self.run.spec.steps * self.run.spec.tokens_per_step


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast all workers together are."""

    tokens_per_s: float
    seconds_left: float


def standings(plan: Plan, results: Path) -> list[Standing]:
    """Read where every run of a plan stands.

    Parameters
    ----------
    plan : Plan
    results : Path
        Folder with ``runs`` and ``text``. A text that is not prepared there makes no run stale.
    """
    code, texts = code_hash("trainer.run"), {text_id: _text_hash(results / "text" / text_id) for text_id in plan.texts}
    found = []
    for run in plan.runs:
        folder, text = results / "runs" / run.sweep / run.run_id, texts[run.spec.text.text_id]
        marks = {"code_sha256": code} | ({} if text is None else {"text_sha256": text})
        found.append(_read(run, folder, marks, flop=plan.flop(run)))
    return found


def pace(found: Sequence[Standing], *, now: float) -> Pace | None:
    """Speed of the runs that ended in the last half hour, from the first of them on; None where that says nothing.

    Parameters
    ----------
    found : sequence of Standing
    now : float
        Seconds of the system's clock.
    """
    ended = sorted((s for s in found if s.finished and 0 <= now - s.finished <= _WINDOW_S), key=lambda s: s.finished or 0.0)
    if len(ended) < 2 or not any(s.state == "running" for s in found):
        return None
    seconds = now - (ended[0].finished or 0.0)  # the first only starts the clock
    flop, tokens = sum(s.flop for s in ended[1:]), sum(s.tokens for s in ended[1:])
    left = sum(s.flop for s in found if not s.done)
    return Pace(tokens / seconds, left * seconds / flop)


def strangers(plan: Plan, results: Path) -> list[Path]:
    """Folders of runs that the plan does not name: of another grid, or of this one before it was changed."""
    named = {(run.sweep, run.run_id) for run in plan.runs}
    folders = sorted(spec.parent for spec in (results / "runs").glob("*/*/spec.json"))
    return [folder for folder in folders if (folder.parent.name, folder.name) not in named]


def _read(run: PlannedRun, folder: Path, marks: dict[str, str], *, flop: float) -> Standing:
    """Read one run's folder; a damaged one was begun."""
    summary_file = folder / "summary.json"
    try:
        summary, facts = json.loads(summary_file.read_text()), json.loads((folder / "provenance.json").read_text())
        state = _OF_STATUS[summary["status"]]
        if summary["stage"] != run.stage or any(facts.get(name) != value for name, value in marks.items()):
            state = "stale"
        return Standing(run, state, flop, float(facts["wall_s"]), summary_file.stat().st_mtime)
    except _UNREADABLE:
        # written once the lock is held, so a run that is about to start is not disturbed
        if not (folder / "spec.json").exists():
            return Standing(run, "missing", flop)
        return Standing(run, "running" if _is_locked(folder / "lock") else "begun", flop)


def _is_locked(lock: Path) -> bool:
    """Tell whether a process holds a run's lock, as the trainer would see it, on this machine or another."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or no locks here
        return False
    return False


def _text_hash(folder: Path) -> str | None:
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        return str(meta["sha256"])
    except _UNREADABLE:
        return None

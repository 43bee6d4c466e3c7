"""A pool of forked processes: one child a piece of work, so that a crash costs its piece and nothing else.

The parent has imported torch and the trainer with one thread and never computes with them: a fork then takes milliseconds,
where a new interpreter takes seconds of imports. A process that has used CUDA must not fork.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from curselab.errors import InputError

P = TypeVar("P")
Send = Callable[[Any], None]
PR_SET_PDEATHSIG = 1  # sys/prctl.h


@dataclass(frozen=True, slots=True)
class Failure(Generic[P]):
    """A piece that was not finished, and why, in one line."""

    piece: P
    reason: str


@dataclass(frozen=True, slots=True)
class _Ended:
    """A child's last word: why it failed, or nothing."""

    reason: str


def run_pieces(
    pieces: Sequence[P], work: Callable[[P, Send], None], *, workers: int, receive: Callable[[Any], None], fork: bool = True
) -> list[Failure[P]]:
    """Do every piece, in the order given; one that fails does not keep the others from being done.

    Parameters
    ----------
    pieces : sequence
        Longest first, so that no worker idles at the end.
    work : callable
        Called with a piece and a function that sends a value to the parent.
    workers : int
        Children at a time.
    receive : callable
        Called in the parent with each value sent.
    fork : bool
        Whether each piece has a child of its own; otherwise this process does all of them.

    Returns
    -------
    list of Failure
        Pieces whose work raised or whose child was killed.
    """
    if fork:
        return _run_forked(pieces, work, workers, receive)
    failures: list[Failure[P]] = []
    for piece in pieces:
        try:
            work(piece, receive)
        except Exception as error:
            failures.append(Failure(piece, one_line(error)))
    return failures


def _run_forked(
    pieces: Sequence[P], work: Callable[[P, Send], None], workers: int, receive: Callable[[Any], None]
) -> list[Failure[P]]:
    waiting = list(reversed(pieces))
    running: dict[Connection, tuple[ForkProcess, P]] = {}
    failures: list[Failure[P]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                connection, child = _start(work, waiting[-1])
                running[connection] = child, waiting.pop()
            for connection in cast(list[Connection], wait(list(running))):
                child, piece = running[connection]
                try:
                    message = connection.recv()
                except EOFError:  # closed with nothing left in it: the child is at its end
                    message = _reap(child)
                    del running[connection]
                    connection.close()
                if isinstance(message, _Ended):
                    failures.extend([Failure(piece, message.reason)] if message.reason else [])
                else:
                    receive(message)
    finally:
        _stop([child for child, _ in running.values()])
    return failures


def one_line(error: BaseException) -> str:
    """Say in one line what went wrong; what is no InputError also says where."""
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, InputError):
        return first
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {first}{place}"


def _start(work: Callable[[P, Send], None], piece: P) -> tuple[Connection, ForkProcess]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, piece, sender, receiver, os.getpid()))
    process.start()
    sender.close()
    return receiver, process


def _child(work: Callable[[P, Send], None], piece: P, sender: Connection, receiver: Connection, parent: int) -> None:
    receiver.close()
    # the parent answers Ctrl-C, by SIGTERM, which must not reach a handler of the parent's
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with(parent)
    try:
        work(piece, sender.send)
    except Exception as error:
        sender.send(_Ended(one_line(error)))


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent is killed, so that no orphan holds the lock of a run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was killed before it could be asked for
        os._exit(1)


def _reap(child: ForkProcess) -> _Ended:
    child.join()
    code = child.exitcode or 0
    if code >= 0:
        return _Ended(f"its process ended with status {code}" if code else "")
    why = " (out of memory?)" if code == -signal.SIGKILL else ""
    return _Ended(f"its process was killed by {signal.Signals(-code).name}{why}")


def _stop(children: Sequence[ForkProcess]) -> None:
    """Ask children to stop and wait until they have: they may be writing a checkpoint."""
    for child in children:
        child.terminate()
    for child in children:
        child.join()

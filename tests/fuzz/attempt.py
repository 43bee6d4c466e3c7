"""One try with hostile input: done or refused in one line is well; whatever else happens is raised."""

import contextlib
import io
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from unittest import mock

from hypothesis.strategies import SearchStrategy

from curselab.cli import main
from curselab.errors import InputError

Contents = SearchStrategy[bytes]

HANG_S = 20
"""Of CPU time, since other work may take the machine."""
MOST_BYTES = 3 * 2**30
"""Of address space, beside what the process has when a try begins."""
_CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.link": 1, "os.symlink": 1, "os.truncate": 0}
"""What changes a file or folder -> which of its arguments names it."""
_inside: list[str] = []


class Hang(BaseException):
    """The input was not done with in time."""


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of input, and what of ours reads it."""

    contents: Callable[[], Contents]
    read: Callable[[bytes], None]
    """Called in an empty working directory."""
    prepare: Callable[[], object] = lambda: None
    """Called before, where anything may be written."""


def attempt(target: Target, content: bytes) -> None:
    """Let what of ours reads such content read it, in an empty working directory.

    Raises
    ------
    BaseException
        What a person would have seen as a traceback; also a warning, a hang, too much memory, or a file written elsewhere.
    """
    target.prepare()
    with TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings(), _confined(folder), _limited():
        warnings.simplefilter("error")
        # meant for people: this choice of two settings is legal, but not what was published
        warnings.filterwarnings("ignore", message="scheme lns")
        with contextlib.suppress(InputError):
            target.read(content)


def command(*words: str) -> None:
    """Run the command line in this process; asserts that it is done, or refuses in one line."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors) for errors in ("strict", "backslashreplace"))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(signal, "signal"):
        with mock.patch.object(sys, "argv", ["curselab", *words]):
            try:
                main()
            except SystemExit as end:
                status = end.code
        out.flush()
        err.seek(0)
        said = err.read()
    assert status in (0, 1, 2), status
    if status == 1:
        line = said.removesuffix("\n")
        assert line.startswith("curselab: "), said
        assert line.isprintable(), said


@contextlib.contextmanager
def _confined(folder: str) -> Iterator[None]:
    _inside.append(os.path.realpath(folder))
    try:
        yield
    finally:
        _inside.clear()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _inside:
        return
    if event == "open":
        path, _, flags = arguments
        changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    else:
        path, changes = arguments[_CHANGES[event]] if event in _CHANGES else None, event in _CHANGES
    if changes and isinstance(path, str | Path) and not _is_inside(str(path)):
        raise AssertionError(f"{event} of {path}, outside of {_inside[0]}")


def _is_inside(path: str) -> bool:
    return path == os.devnull or os.path.realpath(path).startswith(_inside[0])


sys.addaudithook(_watch)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Time and memory."""

    def stop(number: int, frame: object) -> NoReturn:
        raise Hang(f"more than {HANG_S} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    there = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (there + MOST_BYTES, before[1]))
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)

"""Signals that ask a process to stop, held back until the training state is on disk."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ASKING = (signal.SIGTERM, signal.SIGINT)


class HeldSignals:
    """Whether this process was asked to stop; the signal is delivered when the training loop is ready for it."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._received: int | None = None

    @property
    def asked(self) -> bool:
        """A signal is waiting."""
        return self._received is not None

    def deliver(self) -> None:
        """Let the waiting signal do what it would have done at once; nothing where none is waiting."""
        number, self._received = self._received, None
        if number is not None:
            signal.signal(number, self._handlers[number])
            os.kill(os.getpid(), number)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        impatient = self.asked
        self._received = number
        if impatient:
            self.deliver()


@contextmanager
def held_signals() -> Iterator[HeldSignals]:
    """Hold back SIGTERM and SIGINT; a second one is not held. Signals that the process ignores stay ignored."""
    held = HeldSignals()
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield held
        return
    for asking in ASKING:
        if signal.getsignal(asking) not in (signal.SIG_IGN, None):
            held._handlers[asking] = signal.signal(asking, held._hold)
    try:
        yield held
    finally:
        for number, handler in held._handlers.items():
            signal.signal(number, handler)
        held.deliver()

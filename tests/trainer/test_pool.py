import os
import signal
import time

import pytest

from curselab.errors import InputError
from trainer.pool import run_pieces


def work(piece: str, send) -> None:
    send(f"{piece} begins")
    if piece == "raises":
        raise RuntimeError("boom\nsecond line")
    if piece == "refuses":
        raise InputError("bad spec")
    if piece == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == "leaves":
        os._exit(3)
    send(f"{piece} ends")


def test_a_child_that_fails_costs_its_piece_and_no_other() -> None:
    pieces = ["a", "raises", "b", "is killed", "refuses", "leaves", "c"]
    heard: list[str] = []
    failures = run_pieces(pieces, work, workers=2, receive=heard.append)
    assert sorted(heard) == sorted([f"{p} begins" for p in pieces] + [f"{p} ends" for p in "abc"])
    reasons = {failure.piece: failure.reason for failure in failures}
    assert reasons.keys() == {"raises", "is killed", "refuses", "leaves"}
    assert reasons["raises"].startswith("RuntimeError: boom (test_pool.py:")
    assert reasons["refuses"] == "bad spec"
    assert reasons["is killed"] == "its process was killed by SIGKILL (out of memory?)"
    assert reasons["leaves"] == "its process ended with status 3"


def test_without_forks_a_failure_costs_its_piece_too() -> None:
    heard: list[str] = []
    failures = run_pieces(["a", "refuses", "b"], work, workers=1, receive=heard.append, fork=False)
    assert heard == ["a begins", "a ends", "refuses begins", "b begins", "b ends"]
    assert [(failure.piece, failure.reason) for failure in failures] == [("refuses", "bad spec")]


@pytest.mark.parametrize("workers", [1, 3])
def test_never_more_children_than_workers_and_pieces_start_in_order(workers: int) -> None:
    running, most, started = set(), 0, []

    def receive(message: tuple[str, int]) -> None:
        nonlocal most
        what, piece = message
        (running.add if what == "begins" else running.discard)(piece)
        most = max(most, len(running))
        if what == "begins":
            started.append(piece)

    def slow(piece: int, send) -> None:
        send(("begins", piece))
        time.sleep(0.1)
        send(("ends", piece))

    assert run_pieces(range(6), slow, workers=workers, receive=receive) == []
    assert most <= workers
    assert sorted(started) == list(range(6))
    assert workers > 1 or started == list(range(6))


def test_when_the_parent_stops_its_children_stop_too() -> None:
    class Stop(BaseException):
        pass

    children: list[int] = []

    def receive(pid: int) -> None:
        children.append(pid)
        if len(children) == 2:
            raise Stop

    def endless(piece: int, send) -> None:
        send(os.getpid())
        time.sleep(600)

    with pytest.raises(Stop):
        run_pieces([0, 1, 2], endless, workers=2, receive=receive)
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_whose_parent_is_gone_before_it_begins_does_nothing(monkeypatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)  # init's, as after the death of the parent
    heard: list[str] = []
    (failure,) = run_pieces(["a"], work, workers=1, receive=heard.append)
    assert (failure.reason, heard) == ("its process ended with status 1", [])

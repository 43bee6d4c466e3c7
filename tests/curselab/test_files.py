import os
import subprocess
import sys
from pathlib import Path

import pytest

from curselab.files import write_bytes, write_folder, write_json, write_text, write_with


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_content_arrives_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "naïve\n")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "naïve\n".encode()
    assert names(tmp_path / "deep") == {"a.txt"}


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    write_bytes(file, b"old")

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_with(file, fail)
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == {"a.bin"}


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    write_bytes(file, b"old")

    def slowly(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            for _ in range(3):
                stream.write(b"new")
                stream.flush()
                assert file.read_bytes() == b"old"

    write_with(file, slowly)
    assert file.read_bytes() == b"newnewnew"


def test_a_full_disk_is_an_os_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    # a limit on file size stands for a full disk: both fail in the middle of a write
    code = """
import errno, resource, signal, sys
from pathlib import Path
from curselab.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), b"x" * 5000)
except OSError as error:
    sys.exit(7 if error.errno == errno.EFBIG else 8)
"""
    file = tmp_path / "a.bin"
    write_bytes(file, b"old")
    done = subprocess.run([sys.executable, "-c", code, str(file)], check=False)
    assert done.returncode == 7
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == {"a.bin"}


def test_json_refuses_what_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert names(tmp_path) == set()


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "part").write_text("x")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_folder(tmp_path / "f", fail)
    assert names(tmp_path) == set()

    write_folder(tmp_path / "f", lambda folder: (folder / "first").write_text("1"))
    write_folder(tmp_path / "f", lambda folder: (folder / "second").write_text("2"))
    assert names(tmp_path / "f") == {"first"}
    assert names(tmp_path) == {"f"}


def test_content_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), real_fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), real_replace(a, b)))
    write_text(tmp_path / "a", "x")
    assert events == ["sync", "rename", "sync"]

"""Files that are either whole or absent.

Everything is written to a temporary file in the same folder, flushed, synced and renamed over its name, so a reader sees the
old content or the new, and a crash or a full disk leaves the old file intact.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from curselab.errors import InputError


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path`` once it is safely on disk.

    Parameters
    ----------
    path : Path
        The file to make or replace; its folder is made if missing.
    write : callable
        Called with the temporary path; it must leave a complete file there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # the ending is kept: libraries choose a format by it
    temporary = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        write(temporary)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _name(error, path)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    write_with(path, lambda temporary: temporary.write_bytes(content))


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, whole or not at all; infinities and NaN are refused, since JSON has none."""
    write_text(path, as_json(content))


def as_json(content: Any) -> str:
    """What ``write_json`` writes."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Read JSON that ``write_json`` wrote.

    Raises
    ------
    InputError
        The file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing, so the run or shard is not complete; start it again") from None
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path}: cannot be read as JSON, {error}") from None


def write_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Let ``fill`` make a folder beside ``path``, then rename it to ``path``; a folder already there is kept.

    Two processes may do this at once: one rename wins, the other folder is dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        fill(temporary)
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        try:
            os.rename(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
        _sync(path.parent)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name(error: BaseException, path: Path) -> None:
    """Say which file an OSError is about: a full disk does not."""
    if isinstance(error, OSError):
        error.filename = str(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

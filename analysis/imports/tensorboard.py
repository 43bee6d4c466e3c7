"""Event files of TensorBoard, by its own readers: the optional dependency ``curselab[tensorboard]``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from analysis.imports.evaluations import How, Names, content_id, to_metrics
from curselab.errors import InputError

_FRAME = 16  # bytes of a record beside its content: its length and two checksums


def read_tensorboard(path: str | Path, names: Names, **how: Unpack[How]) -> pd.DataFrame:
    """Read the scalars of one run from its event files.

    Parameters
    ----------
    path : str or Path
        Folder of the run, or one event file.
    names : mapping
        What was logged by tag, such as ``{"eval/loss": "loss_nats_per_token"}``.
    **how
        ``tokens`` of a step, or the tag that counts them; see :class:`analysis.imports.evaluations.How`. Where a run was
        started again, ``repeated="last"`` takes the later file.

    Returns
    -------
    pandas.DataFrame
        The contract's table ``metrics``. Event files hold floats of 32 bits.

    Raises
    ------
    InputError
        TensorBoard is not installed, no event file is there, one is cut short or damaged, or see
        :func:`analysis.imports.evaluations.to_metrics`.
    """
    path = Path(path)
    # their names begin with the time at which they were opened
    files = [path] if path.is_file() else sorted(path.glob("*tfevents*"))
    if not files:
        inside = sorted({file.parent.name for file in path.glob("*/*tfevents*")})
        hint = f"there are some in {', '.join(inside[:5])}: name one run" if inside else "the folder of one run is needed"
        raise InputError(f"{path}: no event file (*tfevents*) is there, {hint}")
    points = [point for file in files for point in _scalars(file)]
    content = b"".join(file.read_bytes() for file in files)
    return to_metrics(points, names, known={p[1] for p in points}, run_id=content_id(content), where=path, **how)


def _scalars(file: Path) -> Iterator[tuple[int, str, Any]]:
    """Steps, tags and values."""
    try:
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    except ImportError:
        raise InputError(f"{file}: the package tensorboard is needed; run: pip install 'curselab[tensorboard]'") from None
    end = 0
    for record in RawEventFileLoader(str(file)).Load():
        try:
            yield from _of_record(record)
        except (DecodeError, KeyError, TypeError, ValueError):  # its checksums are right, so it was written so
            raise InputError(f"{file}: the record at byte {end} is no event of TensorBoard with single numbers") from None
        end += len(record) + _FRAME
    # its reader stops at the first record that it cannot read, and says nothing
    if end < file.stat().st_size:
        raise InputError(
            f"{file}: nothing can be read from byte {end} on, the run was killed as it wrote or the file is damaged;"
            f" 'truncate -s {end}' of a copy leaves what can be read"
        )


def _of_record(record: bytes) -> list[tuple[int, str, Any]]:
    """Scalars of a record, of summaries of both kinds: plain numbers, and tensors of the plugin for scalars."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util.tensor_util import make_ndarray

    event = Event.FromString(record)
    found: list[tuple[int, str, Any]] = []
    for value in event.summary.value:
        if value.HasField("simple_value"):
            found.append((event.step, value.tag, value.simple_value))
        elif value.metadata.plugin_data.plugin_name == "scalars":
            # before room is made for all that it says to hold
            if any(dim.size != 1 for dim in value.tensor.tensor_shape.dim):
                raise ValueError("not one number")
            found.append((event.step, value.tag, make_ndarray(value.tensor).item()))
    return found

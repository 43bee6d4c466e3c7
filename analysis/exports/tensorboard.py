"""Event files of TensorBoard: the optional dependency ``curselab[tensorboard]``."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from analysis.exports.tracked_runs import TrackedRun, write_folders


def write(runs: Iterable[TrackedRun], out: Path) -> int:
    """Write a folder a run, ``out/SWEEP/RUN_ID``, and return how many were not there before.

    Settings go to the page HParams. Values are floats of 64 bits, and no clock time is written, so the same runs give the same
    bytes.
    """
    import numpy as np
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.scalar.metadata import create_summary_metadata
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    scalar = create_summary_metadata("", "")

    def events(run: TrackedRun) -> Iterator[Any]:
        yield Event(file_version="brain.Event:2")
        yield Event(summary=hparams_pb(run.settings, trial_id=run.run_id, start_time_secs=0))
        for step, values in run.points:
            for tag, value in values.items():
                tensor = make_tensor_proto(np.float64(value))
                yield Event(step=step, summary=Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=scalar)]))

    def write_run(run: TrackedRun, folder: Path) -> None:
        with (folder / "events.out.tfevents.0.curselab").open("wb") as file:
            records = RecordWriter(file)
            for event in events(run):
                records.write(event.SerializeToString(deterministic=True))

    return write_folders(runs, out, write_run)

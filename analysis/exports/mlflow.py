"""Runs of MLflow in one SQLite file: the optional dependency ``curselab[mlflow]``."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from analysis.exports.tracked_runs import TrackedRun
from curselab.errors import InputError

_BATCH = 1000  # values that MLflow takes at once


def write(runs: Iterable[TrackedRun], out: Path) -> int:
    """Write all runs to ``out/mlflow.db``, an experiment a sweep, and return how many were not there before.

    A run that an interrupted export left behind is written again.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient, MlflowException
    from mlflow.entities import Metric, Param
    from sqlalchemy.exc import SQLAlchemyError

    store = out.resolve() / "mlflow.db"

    def experiment(sweep: str) -> str:
        known = client.get_experiment_by_name(sweep)
        files = store.with_name("artifacts").joinpath(sweep).as_uri()
        return str(client.create_experiment(sweep, artifact_location=files) if known is None else known.experiment_id)

    def is_there(place: str, run: TrackedRun) -> bool:
        found = client.search_runs([place], f"tags.run_id = '{run.run_id}'")
        for begun in (one for one in found if one.info.status == "RUNNING"):
            client.delete_run(begun.info.run_id)
        return any(one.info.status != "RUNNING" for one in found)

    def write_run(place: str, run: TrackedRun) -> None:
        made = client.create_run(place, run_name=run.run_id, tags={"run_id": run.run_id}).info.run_id
        client.log_batch(made, params=[Param(name, str(value)) for name, value in run.settings.items()])
        points = [Metric(_key(tag), value, 0, step) for step, values in run.points for tag, value in values.items()]
        points += [Metric(name, value, 0, 0) for name, value in run.results.items()]
        for start in range(0, len(points), _BATCH):
            client.log_batch(made, metrics=points[start : start + _BATCH])
        client.set_terminated(made, "FINISHED" if run.ok else "FAILED")

    written = 0
    out.mkdir(parents=True, exist_ok=True)
    try:
        client = MlflowClient(tracking_uri=f"sqlite:///{store}")
        for run in runs:
            place = experiment(run.sweep)
            if not is_there(place, run):
                write_run(place, run)
                written += 1
    except (MlflowException, SQLAlchemyError) as error:
        raise InputError(f"{store}: {str(error).splitlines()[0]}") from None
    return written


def _key(tag: str) -> str:
    """A tag in the letters that MLflow takes."""
    return re.sub(r"[^\w./ -]", "_", tag)

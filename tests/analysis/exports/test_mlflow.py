import pytest

from analysis.exports.mlflow import write
from analysis.exports.tracked_runs import tracked_runs
from curselab.errors import InputError
from tests.analysis.exports.sweep import METRICS, RUNS

mlflow = pytest.importorskip("mlflow", reason="extra mlflow")
pytest.importorskip("alembic", reason="extra mlflow")
FIRST, DIVERGED = RUNS["run_id"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with one run of two, the other of which an export left half-done."""
    folder = tmp_path_factory.mktemp("mlflow")
    assert write(tracked_runs(RUNS[:1], METRICS), folder) == 1
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    client.create_run(client.get_experiment_by_name("scaling").experiment_id, tags={"run_id": DIVERGED})
    return folder, client


def found(client, sweep="scaling"):
    place = client.get_experiment_by_name(sweep).experiment_id
    return {run.data.tags["run_id"]: run for run in client.search_runs([place])}


def test_what_is_there_is_kept_and_what_was_interrupted_is_written_again(store):
    folder, client = store
    kept = found(client)[FIRST].info
    assert write(tracked_runs(RUNS, METRICS), folder) == 1
    assert write(tracked_runs(RUNS, METRICS), folder) == 0
    assert len(client.search_runs([kept.experiment_id])) == 2
    assert found(client)[FIRST].info.run_id == kept.run_id
    diverged = found(client)[DIVERGED]
    assert (kept.status, diverged.info.status) == ("FINISHED", "FAILED")
    assert diverged.data.metrics == {"diverged_step": 50}


def test_a_run_has_its_settings_its_results_and_its_values(store):
    _, client = store
    run = found(client)[FIRST]
    assert run.data.params["width"] == "32"
    assert run.data.metrics["loss_bits_per_byte"] == 3.6
    history = client.get_metric_history(run.info.run_id, "validation/loss_nats_per_token")
    assert sorted((point.step, point.value) for point in history) == [(0, 5.5), (100, 2.5)]
    (old,) = client.get_metric_history(run.info.run_id, "validation/loss_nats_per_token/old")
    assert old.value == 0.1 + 0.2


def test_letters_that_it_does_not_take_are_replaced(store):
    folder, client = store
    runs, metrics = (frame.assign(sweep="other") for frame in (RUNS, METRICS))
    write(tracked_runs(runs, metrics.assign(domain=metrics["domain"].replace("old", "c++"))), folder)
    assert found(client, "other")[FIRST].data.metrics["validation/loss_nats_per_token/c__"] == 0.1 + 0.2


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, and long enough to be seen as one " * 99)
    with pytest.raises(InputError, match=r"mlflow.db: .*not a database"):
        write(tracked_runs(RUNS, METRICS), tmp_path)

import pandas as pd
import pytest

from analysis.collect import write_frame
from analysis.exports.tracked_runs import read_tables, tracked_runs
from curselab.contract import check_frame
from curselab.errors import InputError
from tests.analysis.exports.sweep import METRICS, RUNS


def test_a_run_has_its_settings_its_results_and_its_values_by_step():
    first, diverged = tracked_runs(RUNS, METRICS)
    assert (first.sweep, first.run_id, first.ok) == ("scaling", "0" * 12, True)
    assert (first.settings["width"], first.settings["scheme"], first.settings["learning_rate"]) == (32, "pre", 1e-3)
    assert first.results == {"loss_nats_per_token": 2.5, "loss_se_nats_per_token": 0.01, "loss_bits_per_byte": 3.6}
    assert "teacher_id" not in first.settings
    assert [step for step, _ in first.points] == [0, 100]
    assert first.points[1][1] == {
        "tokens": 100_000,
        "train/learning_rate": 1e-3,
        "validation/loss_nats_per_token": 2.5,
        "validation/loss_nats_per_token/old": 0.1 + 0.2,
    }
    assert not diverged.ok
    assert diverged.results == {"diverged_step": 50}
    assert diverged.points == ()


def test_tables_are_read_from_a_folder_of_them(tmp_path):
    write_frame(tmp_path / "runs.parquet", "runs", RUNS)
    write_frame(tmp_path / "metrics.parquet", "metrics", METRICS)
    runs, metrics = read_tables(tmp_path)
    pd.testing.assert_frame_equal(runs, RUNS)
    pd.testing.assert_frame_equal(metrics, METRICS)
    (tmp_path / "runs.parquet").unlink()
    with pytest.raises(InputError, match="or folders of complete runs, are needed"):
        read_tables(tmp_path)


def test_a_table_without_metrics_has_runs_without_values():
    none = check_frame("metrics", METRICS[:0], where="x")
    assert [run.points for run in tracked_runs(RUNS, none)] == [(), ()]

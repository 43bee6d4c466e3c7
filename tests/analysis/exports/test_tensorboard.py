import pandas as pd
import pytest

from analysis import read_tensorboard
from analysis.exports.tensorboard import write
from analysis.exports.tracked_runs import tracked_runs
from tests.analysis.exports.sweep import METRICS, RUNS

pytest.importorskip("tensorboard", reason="extra tensorboard")
NAMES = {
    "validation/loss_nats_per_token": "loss_nats_per_token",
    "validation/loss_nats_per_token/old": ("loss_nats_per_token", "old"),
    "train/learning_rate": "learning_rate",
}


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    assert write(tracked_runs(RUNS, METRICS), tmp_path) == 2
    back = read_tensorboard(tmp_path / "scaling" / ("0" * 12), NAMES, tokens="tokens", sweep="scaling")
    pd.testing.assert_frame_equal(back.drop(columns="run_id"), METRICS.drop(columns="run_id"), check_exact=True)


def test_runs_that_are_there_are_kept_and_bytes_repeat(tmp_path):
    write(tracked_runs(RUNS[:1], METRICS), tmp_path / "a")
    assert write(tracked_runs(RUNS, METRICS), tmp_path / "a") == 1
    write(tracked_runs(RUNS, METRICS), tmp_path / "b")
    files = [{p.relative_to(tmp_path / x): p.read_bytes() for p in (tmp_path / x).rglob("*tfevents*")} for x in "ab"]
    assert len(files[0]) == 2
    assert files[0] == files[1]


def test_its_own_reader_finds_scalars_and_settings(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    write(tracked_runs(RUNS, METRICS), tmp_path)
    events = EventAccumulator(str(tmp_path / "scaling" / ("0" * 12))).Reload()
    assert set(events.Tags()["tensors"]) >= {"tokens", *NAMES}
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["width"].number_value == 32
    assert settings["scheme"].string_value == "pre"

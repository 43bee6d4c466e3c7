import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.exports.tracked_runs import tracked_runs
from analysis.exports.wandb import write
from curselab.errors import InputError
from tests.analysis.exports.sweep import METRICS, RUNS

pytest.importorskip("wandb", reason="extra wandb")
FIRST, DIVERGED = RUNS["run_id"]


def records(folder: Path) -> Iterator[object]:
    """What an offline run holds: after 7 bytes, a log in the format of LevelDB (blocks of 32 KiB, records in parts)."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, part = struct.unpack_from("<IHB", data, at)  # checksum, length; 1 whole, 2 first, 3 middle, 4 last
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if part in (1, 4):
            yield Record.FromString(parts)
            parts = b""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folders of two runs, the second of which is written by a second call."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)
        assert write(tracked_runs(RUNS[:1], METRICS), folder) == 1
        assert write(tracked_runs(RUNS, METRICS), folder) == 1
    return folder / "scaling"


def test_a_run_has_its_settings_its_results_and_its_values(written):
    config, summary, history, ends = {}, {}, [], []
    for record in records(written / FIRST):
        config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        summary |= {item.key: json.loads(item.value_json) for item in record.summary.update if item.key}
        if record.history.item:
            history.append({item.nested_key[0]: json.loads(item.value_json) for item in record.history.item})
        ends += [record.exit.exit_code] if record.HasField("exit") else []
    assert (config["width"], config["scheme"], config["status"]) == (32, "pre", "ok")
    assert summary["loss_bits_per_byte"] == 3.6
    assert [(row["_step"], row["tokens"], row["validation/loss_nats_per_token"]) for row in history] == [
        (0, 0, 5.5),
        (100, 100_000, 2.5),
    ]
    assert history[1]["validation/loss_nats_per_token/old"] == 0.1 + 0.2
    assert ends == [0]


def test_a_diverged_run_ends_as_failed(written):
    (end,) = (record.exit for record in records(written / DIVERGED) if record.HasField("exit"))
    assert end.exit_code == 1


def test_what_it_refuses_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "sideways")
    with pytest.raises(InputError, match="^wandb: .*'offline'.*sideways"):
        write(tracked_runs(RUNS, METRICS), tmp_path)
    assert not list(tmp_path.glob("scaling/*"))

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.collect import collect, collect_complete, read_runs, write_tables
from curselab.errors import InputError
from curselab.integrity import digests
from tests.analysis.factories import record

FACTS = {"git": {"revision": "abc", "dirty": False}, "packages": {"torch": "2.10", "numpy": "2.4"}, "wall_s": 1.5, "seed": 3}


@pytest.fixture
def finished(tmp_path):
    """Three finished runs in two shards: the list of shards and the folder of runs."""
    runs, ids = tmp_path / "runs", []
    for number in (3, 1, 2):
        row = record(number, status="diverged" if number == 2 else "ok", teacher_seed=2**60 + 1)
        folder = runs / row["run_id"]
        folder.mkdir(parents=True)
        ids.append(row["run_id"])
        (folder / "summary.json").write_text(json.dumps(row))
        (folder / "provenance.json").write_text(json.dumps(FACTS))
        metrics = {"sweep": "scaling", "run_id": row["run_id"], "step": [10, 0], "tokens": [640, 0], "split": "validation"}
        pd.DataFrame(metrics | {"metric": "loss_nats_per_token", "value": [3.0, 5.5]}).to_parquet(folder / "metrics.parquet")
    shards = []
    for name, members in (("run-0", ids[:2]), ("run-1", ids[2:])):
        shards.append(tmp_path / f"{name}.json")
        content = {"sweep": "scaling", "shard": name, "runs": [{"run_id": i, "stage": "run"} for i in members]}
        shards[-1].write_text(json.dumps(content))
    return shards, runs


def test_runs_metrics_and_provenance_are_gathered(finished):
    tables = collect(*finished)
    runs, metrics, provenance = tables.runs, tables.metrics, tables.provenance
    assert runs["run_id"].tolist() == [f"{n:012x}" for n in (1, 2, 3)]
    assert runs["status"].tolist() == ["ok", "diverged", "ok"]
    assert len(metrics) == 6
    assert metrics["step"].tolist() == [0, 10] * 3
    first = provenance.iloc[0]
    assert (first["git_revision"], first["torch"], first["wall_s"]) == ("abc", "2.10", 1.5)
    assert provenance["device"].isna().all()
    assert "seed" not in provenance


def test_tables_have_the_same_bytes_and_both_faces_read_the_same(finished, tmp_path):
    shards, runs = finished
    write_tables(tmp_path / "a", collect(shards, runs))
    write_tables(tmp_path / "b", collect(shards[::-1], runs))
    names = ["layers.parquet", "metrics.parquet", "provenance.csv", "runs.csv", "runs.parquet"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    pd.testing.assert_frame_equal(read_runs(tmp_path / "a/runs.csv"), read_runs(tmp_path / "a/runs.parquet"))
    assert read_runs(tmp_path / "a/runs.csv")["teacher_seed"].tolist() == [2**60 + 1] * 3
    assert pq.read_schema(tmp_path / "a/runs.parquet").metadata is None


def test_complete_runs_are_gathered_while_others_are_trained(finished):
    shards, runs = finished
    whole, some = collect(shards, runs), collect_complete(runs)
    pd.testing.assert_frame_equal(some.metrics, whole.metrics)
    (runs / f"{1:012x}" / "summary.json").unlink()  # written last
    assert collect_complete(runs).runs["run_id"].tolist() == [f"{n:012x}" for n in (2, 3)]


def test_no_shards_make_empty_tables(tmp_path):
    tables = collect([], tmp_path)
    assert [len(table) for table in (tables.runs, tables.metrics, tables.layers, tables.provenance)] == [0, 0, 0, 0]


def test_layers_are_gathered_where_a_run_has_them(finished, tmp_path):
    shards, runs = finished
    row = {"sweep": "scaling", "run_id": f"{1:012x}", "step": 0, "tokens": 0, "layer": [2, 1], "part": "block"}
    file = runs / f"{1:012x}" / "layers.parquet"
    pd.DataFrame(row | {"metric": "residual_variance", "value": [2.0, 1.0]}).to_parquet(file)
    write_tables(tmp_path, collect(shards, runs))
    assert pq.read_table(tmp_path / "layers.parquet").to_pydict()["layer"] == [1, 2]
    pd.DataFrame(row | {"part": "head", "metric": "residual_variance", "value": 1.0}).to_parquet(file)
    with pytest.raises(InputError, match=r"layers.parquet, row 0: part is 'head'"):
        collect(shards, runs)


def _edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "summary.json").unlink(), "summary.json: missing"),
        (lambda f: (f / "summary.json").write_text("{"), "summary.json: cannot be read as JSON"),
        (lambda f: (f / "summary.json").write_text("[]"), "summary.json: one record"),
        (lambda f: _edit(f / "summary.json", run_id="f" * 12), "its folder is 000000000001"),
        (lambda f: _edit(f / "summary.json", seed="zero"), "summary.json: runs.seed"),
        (lambda f: (f / "metrics.parquet").unlink(), "metrics.parquet: missing"),
        (lambda f: (f / "metrics.parquet").write_bytes((f / "metrics.parquet").read_bytes()[:-40]), "damaged or cut short"),
        (lambda f: (f / "metrics.parquet").write_bytes(b""), "damaged or cut short"),
        (lambda f: (f / "provenance.json").unlink(), "provenance.json: missing"),
    ],
)
def test_a_damaged_run_is_refused_with_its_file(finished, damage, message):
    shards, runs = finished
    damage(runs / "000000000001")
    with pytest.raises(InputError, match=message) as error:
        collect(shards, runs)
    assert "000000000001" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["metrics.parquet", "summary.json"])
def test_a_run_with_a_turned_bit_is_refused(finished, name):
    shards, runs = finished
    folder = runs / "000000000001"
    _edit(folder / "provenance.json", sha256=digests(folder))
    collect(shards, runs)
    content = bytearray((folder / name).read_bytes())
    content[content.index(b"loss_nats") - 5] ^= 0x10
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: missing, damaged or cut short; 'snakemake --forcerun train'"):
        collect(shards, runs)


def test_a_run_in_two_shards_is_refused(finished):
    (first, second), runs = finished
    second.write_text(first.read_text())
    with pytest.raises(InputError, match=r"run-1.json: run 000000000003 is in .*run-0.json too"):
        collect([first, second], runs)


def test_a_shard_that_is_none_is_refused(tmp_path):
    (tmp_path / "s.json").write_text("[1]")
    with pytest.raises(InputError, match="not a shard"):
        collect([tmp_path / "s.json"], tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("runs.csv", None, "no such file"),
        ("runs.txt", "x", r"\.csv or \.parquet"),
        ("runs.csv", "sweep,run_id\na,b\n", "is missing"),
        ("runs.csv", "seed\nzero\n", "not a table of runs"),
        ("runs.parquet", "x", "damaged"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_runs(tmp_path / name)
    assert "\n" not in str(error.value)

import json
import os
import signal
from pathlib import Path

import pytest

import trainer.shard
from curselab.errors import InputError
from trainer.model_spec import ModelSpec
from trainer.progress import Progress
from trainer.shard import train_shard
from trainer.spec import ObjectiveSpec, PlannedRun


@pytest.fixture
def train(tmp_path: Path, text):
    """Train a shard of these specs in ``tmp_path``."""

    def go(specs, *, workers: int = 2, runs: Path = tmp_path / "runs") -> Path:
        planned = [PlannedRun("s", "t", chosen) for chosen in specs]

        def folder(run: PlannedRun) -> Path:
            return runs / run.run_id

        flop = {folder(run) / "summary.json": float(run.spec.training.tokens) for run in planned}
        progress = Progress(flop=flop, folder=folder, label=lambda run: f"seed {run.spec.seed}", workers=workers)
        out = tmp_path / "shard.json"
        train_shard(planned, name="t-0", texts=text.folder.parent, runs=runs, out=out, progress=progress, workers=workers)
        return out

    return go


def test_a_shard_leaves_the_same_bytes_whatever_its_workers(train, spec, tmp_path: Path) -> None:
    specs = [spec(seed=seed, keep_weights=True) for seed in range(3)]
    first, second = tmp_path / "one", tmp_path / "three"
    train(specs, workers=1, runs=first)
    listed = json.loads(train(specs, workers=3, runs=second).read_text())
    assert [run["run_id"] for run in listed["runs"]] == sorted(chosen.run_id for chosen in specs)
    for chosen in specs:
        for name in ("weights.safetensors", "metrics.parquet", "summary.json"):
            assert (first / chosen.run_id / name).read_bytes() == (second / chosen.run_id / name).read_bytes()


def test_a_run_that_cannot_be_trained_is_one_line_and_the_others_go_on(train, spec, tmp_path: Path, capsys) -> None:
    orphan = spec(seed=1, objective=ObjectiveSpec(kind="distill", teacher="0123456789ab"))
    giant = spec(seed=2, model=ModelSpec(width=65536, depth=100, heads=512, ffn_width=174_760, context=32))
    good = spec(seed=3)
    with pytest.raises(InputError, match="shard t-0 of s: 2 of 3 runs could not be trained"):
        train([orphan, giant, good])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("curselab: ")]
    assert len(lines) == 2
    assert any("teacher 0123456789ab is not trained" in line for line in lines)
    assert any("GB of memory" in line for line in lines)
    assert (tmp_path / "runs" / good.run_id / "summary.json").exists()
    assert not (tmp_path / "shard.json").exists()


def test_a_killed_child_is_one_line_and_the_next_try_goes_on(train, spec, tmp_path: Path, capsys, monkeypatch) -> None:
    victim, other = spec(seed=1), spec(seed=2)
    original = trainer.shard.run_together

    def dies(group, **named):
        if group[0].spec == victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(group, **named)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.shard, "run_together", dies)
        with pytest.raises(InputError, match="1 of 2 runs"):
            train([victim, other])
    assert "curselab: seed 1: its process was killed by SIGKILL (out of memory?)" in capsys.readouterr().err
    done = tmp_path / "runs" / other.run_id / "summary.json"
    before = done.stat().st_mtime_ns
    train([victim, other])
    assert (tmp_path / "runs" / victim.run_id / "summary.json").exists()
    assert done.stat().st_mtime_ns == before

"""Measured block by block: the same rows under every backend and interruption, and a training that does not notice."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from curselab.contract import check_record
from curselab.errors import InputError
from trainer.backends import backend
from trainer.backends.lockstep import Stepper
from trainer.evaluation import evaluation_steps
from trainer.run import run_in_folder
from trainer.spec import ComputeSpec, ProbeSpec
from trainer.training import RunResult, prepare

PROBES = ProbeSpec(tokens=320, loss_tokens=640)


def train(name: str, chosen, text, runs: Path) -> RunResult:
    training = prepare(chosen, text=text, runs=runs)
    backend(name)([training])
    return training.result(sweep="s", stage="t")


def test_backends_measure_the_same_and_training_does_not_notice(spec, text, tmp_path: Path) -> None:
    chosen = spec(probes=PROBES)
    results = [train(name, chosen, text, tmp_path) for name in ("lightning", "lockstep", "packed")]
    assert results[0].layers == results[1].layers == results[2].layers
    without = train("lockstep", spec(), text, tmp_path)
    assert without.layers == []
    assert without.metrics == [row | {"run_id": spec().run_id} for row in results[1].metrics]
    for one, other in zip(without.model.parameters(), results[1].model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_streams_are_measured_from_the_start_and_ablations_at_the_end(spec, text, tmp_path: Path) -> None:
    chosen = spec(probes=PROBES)
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    rows = pq.read_table(tmp_path / chosen.run_id / "layers.parquet").to_pylist()
    for row in rows:
        check_record("layers", row)
    assert {row["step"] for row in rows} == {0, *evaluation_steps(chosen)}
    assert {row["step"] for row in rows if row["metric"].startswith("loss")} == {chosen.steps}
    assert all(row["tokens"] == row["step"] * chosen.tokens_per_step for row in rows)
    keys = [(row["step"], row["layer"], row["part"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)
    run_in_folder(replace(chosen, probes=ProbeSpec()), sweep="s", stage="t", runs=tmp_path, text=text)
    assert not (tmp_path / replace(chosen, probes=ProbeSpec()).run_id / "layers.parquet").exists()


def test_an_interrupted_run_leaves_the_same_rows(spec, text, tmp_path: Path, monkeypatch) -> None:
    chosen = spec(probes=PROBES)
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "undisturbed", text=text)

    def fails_at_nine(stepper: Stepper, finish=Stepper.finish_step) -> None:
        finish(stepper)
        if stepper.step == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(Stepper, "finish_step", fails_at_nine)
    disturbed = tmp_path / "disturbed"
    with pytest.raises(KeyboardInterrupt):
        run_in_folder(chosen, sweep="s", stage="t", runs=disturbed, text=text, checkpoint_every_s=0.0)
    monkeypatch.undo()
    run_in_folder(chosen, sweep="s", stage="t", runs=disturbed, text=text)
    one, other = (folder / chosen.run_id / "layers.parquet" for folder in (tmp_path / "undisturbed", disturbed))
    assert one.read_bytes() == other.read_bytes()


def test_probes_need_one_device_and_streams_beside_ablations(spec) -> None:
    with pytest.raises(InputError, match=r"probes.tokens: 320 was given, 0 \(compute.devices is above 1\)"):
        spec(probes=PROBES, compute=ComputeSpec(devices=2))
    with pytest.raises(InputError, match="loss_tokens: 64 was given"):
        ProbeSpec(loss_tokens=64)

"""Several processes that train one run together, against one that trains it alone."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from curselab.errors import InputError
from trainer.devices import is_leader
from trainer.model_spec import ModelSpec
from trainer.run import run_in_folder
from trainer.spec import ComputeSpec, RunSpec, TrainingSpec
from trainer.strict import to_mapping

SCRIPT = """
import json, sys
from pathlib import Path
from trainer.run import run_in_folder
from trainer.spec import RunSpec
from trainer.text import open_text
if __name__ == "__main__":
    spec = RunSpec.from_mapping(json.loads(Path(sys.argv[1]).read_text()))
    text, runs = open_text(Path(sys.argv[2])), Path(sys.argv[3])
    run_in_folder(spec, sweep="s", stage="t", runs=runs, text=text, checkpoint_every_s=0.0)
"""


@pytest.fixture
def alone(spec):
    """A run that one process trains."""
    return spec(
        model=ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32),
        training=TrainingSpec(tokens=10 * 8 * 32, batch_sequences=8, accumulate=2),
        compute=ComputeSpec(backend="lightning"),
        keep_weights=True,
    )


def started(spec: RunSpec, text, folder: Path, root: Path, *launchers: Sequence[str]) -> None:
    """Train a run by a script that each launcher starts, all at once."""
    script, file = folder / "train.py", folder / "spec.json"
    script.write_text(SCRIPT)
    file.write_text(json.dumps(to_mapping(spec)))
    words = [script, file, text.folder, folder]
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    begun = [
        subprocess.Popen(
            [sys.executable, *launcher, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for launcher in launchers
    ]
    said = [process.communicate(timeout=300)[0] for process in begun]
    assert [process.returncode for process in begun] == [0] * len(begun), "\n".join(said)


def assert_trained_alike(alone: RunSpec, several: RunSpec, text, folder: Path) -> None:
    """Train the first, and compare the second with it."""
    expected = run_in_folder(alone, sweep="s", stage="t", runs=folder, text=text)
    summary = json.loads((folder / several.run_id / "summary.json").read_text())
    assert summary["loss_nats_per_token"] == pytest.approx(expected["loss_nats_per_token"], rel=1e-5)
    first, second = (load_file(folder / chosen.run_id / "weights.safetensors") for chosen in (alone, several))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-4)
    assert not list((folder / several.run_id).glob("checkpoint*"))


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_devices_train_the_run_that_one_trains(alone: RunSpec, text, tmp_path: Path, root: Path, strategy: str) -> None:
    both = replace(alone, compute=replace(alone.compute, devices=2, strategy=strategy))
    started(both, text, tmp_path, root, [])
    assert_trained_alike(alone, both, text, tmp_path)


def test_two_nodes_train_the_run_that_one_trains(alone: RunSpec, text, tmp_path: Path, root: Path) -> None:
    both = replace(alone, compute=replace(alone.compute, nodes=2, strategy="ddp"))
    assert both.run_id != alone.run_id
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1"]
    started(both, text, tmp_path, root, *([*torchrun, f"--master-port={port}", f"--node-rank={node}"] for node in (0, 1)))
    assert_trained_alike(alone, both, text, tmp_path)


def test_several_nodes_that_nobody_starts_are_one_line(alone: RunSpec, text, tmp_path: Path) -> None:
    lonely = replace(alone, compute=replace(alone.compute, nodes=2))
    with pytest.raises(InputError, match="compute.nodes: 2 was given, 1 unless srun or torchrun starts it"):
        run_in_folder(lonely, sweep="s", stage="t", runs=tmp_path, text=text)


def test_a_spec_of_one_node_keeps_the_name_that_it_had() -> None:
    assert "nodes" not in to_mapping(ComputeSpec())
    assert ComputeSpec(nodes=2, devices=4).processes == 8


def test_the_first_process_of_a_run_on_several_devices_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, apart = ComputeSpec(), ComputeSpec(devices=2), ComputeSpec(nodes=2)
    assert is_leader(two)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_leader(two)
    assert is_leader(one)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("RANK", "1")  # the first device of a second node
    assert not is_leader(apart)

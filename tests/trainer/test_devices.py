"""Two processes that train one run together, against one that trains it alone."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trainer.devices import is_leader
from trainer.model_spec import ModelSpec
from trainer.run import run_in_folder
from trainer.spec import ComputeSpec, TrainingSpec
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


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_devices_train_the_run_that_one_trains(spec, text, tmp_path: Path, root: Path, strategy: str) -> None:
    alone = spec(
        model=ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32),
        training=TrainingSpec(tokens=10 * 8 * 32, batch_sequences=8, accumulate=2),
        compute=ComputeSpec(backend="lightning"),
        keep_weights=True,
    )
    both = replace(alone, compute=replace(alone.compute, devices=2, strategy=strategy))
    script, file = tmp_path / "train.py", tmp_path / "spec.json"
    script.write_text(SCRIPT)
    file.write_text(json.dumps(to_mapping(both)))
    done = subprocess.run(
        [sys.executable, script, file, text.folder, tmp_path],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    expected = run_in_folder(alone, sweep="s", stage="t", runs=tmp_path, text=text)
    summary = json.loads((tmp_path / both.run_id / "summary.json").read_text())
    assert summary["loss_nats_per_token"] == pytest.approx(expected["loss_nats_per_token"], rel=1e-5)
    first, second = (load_file(tmp_path / chosen.run_id / "weights.safetensors") for chosen in (alone, both))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-4)
    assert not list((tmp_path / both.run_id).glob("checkpoint*"))


def test_the_first_process_of_a_run_on_several_devices_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = ComputeSpec(), ComputeSpec(devices=2)
    assert is_leader(two)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_leader(two)
    assert is_leader(one)

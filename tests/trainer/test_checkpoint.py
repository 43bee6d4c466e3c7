import os
import subprocess
import sys
from pathlib import Path

import pytest

from curselab.errors import InputError
from trainer.checkpoint import load_trained, save_weights
from trainer.model import Decoder
from trainer.spec import ModelSpec

SPEC = ModelSpec(width=64, depth=2, heads=2, ffn_width=176)

# a limit on file size stands for a full disk: both fail in the middle of a write
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from curselab.errors import InputError
from trainer.checkpoint import save_state, save_weights
from trainer.model import Decoder
from trainer.spec import ModelSpec
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
model = Decoder(ModelSpec(width=64, depth=2, heads=2, ffn_width=176), 256, seed=0)
def state(path): torch.save(model.state_dict(), path)
write = {"weights": lambda p: save_weights(model, p), "state": lambda p: save_state(state, p)}[sys.argv[1]]
try:
    write(Path(sys.argv[2]))
except (InputError, OSError) as error:
    print(str(error).replace(chr(10), "LINE BREAK"))
    sys.exit(7)
"""


@pytest.mark.parametrize("what", ["weights", "state"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(root: Path, tmp_path: Path, what: str) -> None:
    file = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, what, str(file)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7, done.stderr
    assert str(file) in done.stdout
    assert "LINE BREAK" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_weights_without_a_finished_run_are_not_loaded(tmp_path: Path) -> None:
    save_weights(Decoder(SPEC, 256, seed=0), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="no trained weights"):
        load_trained(tmp_path)

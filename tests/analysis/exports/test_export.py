import subprocess
import sys

import pytest

from analysis import export_runs
from analysis.collect import write_frame
from curselab.errors import InputError
from tests.analysis.exports.sweep import METRICS, RUNS


@pytest.fixture
def tables(tmp_path):
    """Folder of tables."""
    write_frame(tmp_path / "tables" / "runs.parquet", "runs", RUNS)
    write_frame(tmp_path / "tables" / "metrics.parquet", "metrics", METRICS)
    return tmp_path / "tables"


def test_a_tracker_that_is_not_known_is_refused(tables, tmp_path):
    with pytest.raises(InputError, match="'aim' was given .allowed: tensorboard, wandb, mlflow"):
        export_runs(tables, tmp_path / "out", to="aim")


@pytest.mark.parametrize(
    ("to", "module"), [("tensorboard", "tensorboard.compat.proto.event_pb2"), ("wandb", None), ("mlflow", None)]
)
def test_without_its_package_it_says_what_to_install_and_writes_nothing(tables, tmp_path, monkeypatch, to, module):
    monkeypatch.setitem(sys.modules, module or to, None)
    with pytest.raises(InputError, match=rf"package {to} is needed .*pip install 'curselab\[{to}\]'"):
        export_runs(tables, tmp_path / "out", to=to)
    assert not (tmp_path / "out").exists()


def test_no_tracker_is_loaded_before_it_is_used(root):
    code = (
        "import sys, analysis.exports.export; sys.exit(bool({'tensorboard', 'wandb', 'mlflow', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

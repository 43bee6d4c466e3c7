"""The distribution: what is installed under which name."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGES = ("analysis", "curselab", "figures", "sweeps", "trainer")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_name_is_ours(root: Path, name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert Path(str(spec.origin)).is_relative_to(root)


def test_the_wheel_holds_the_rooms_and_their_data(root: Path, tmp_path: Path) -> None:
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=True, capture_output=True, text=True)
    names = zipfile.ZipFile(tmp_path / done.stdout.strip().splitlines()[-1]).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {*PACKAGES, "results"}
    for needed in ("results/contract.yaml", "sweeps/sizes.yaml", "sweeps/scaling.yaml", "figures/paper.mplstyle"):
        assert needed in names
    assert all(f"{package}/py.typed" in names for package in PACKAGES)
    assert {name for name in names if name.startswith("results/")} <= {
        "results/contract.yaml", "results/published/README.md", "results/published/capacity_gap.csv",
        "results/published/multilinguality.csv", "results/published/stability_gap.csv",
        "results/published/stability_gap_tables.csv", "results/published/depth.csv", "results/published/prepacking.csv",
    }  # fmt: skip


def test_one_version_everywhere(root: Path) -> None:
    import curselab

    assert curselab.__version__ == importlib.metadata.version("curselab")
    assert f"version: {curselab.__version__}" in (root / "CITATION.cff").read_text()


def test_importing_the_analysis_costs_little_and_no_torch(root: Path) -> None:
    # counted in modules, which do not depend on how busy the machine is
    code = (
        "import sys, scipy.optimize, scipy.stats, pandas;"
        "before = set(sys.modules); import analysis;"
        "from analysis import fit_scaling_law, fit_capacity_gap, read_runs;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "heavy = {'torch', 'lightning', 'statsmodels', 'matplotlib', 'seaborn', 'snakemake', 'trainer', 'sweeps'};"
        "print(*sorted(new & heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""

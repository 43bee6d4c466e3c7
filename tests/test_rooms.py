"""The house itself: every law has its rooms, and nothing forbidden is in any of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from analysis.laws.registry import LAWS, PROBLEMS
from sweeps import load_plan, registry
from sweeps.registry import BENCHES, SWEEPS

ROOMS = (
    "sweeps/{law}.yaml",
    "analysis/laws/{law}.py",
    "figures/{law}.py",
    "docs/laws/{law}.md",
    "workflow/report/{law}.rst",
    "tests/analysis/laws/test_{law}.py",
    "tests/figures/test_{law}.py",
)
CODE = ("analysis", "curselab", "figures", "sweeps", "trainer")


def sources(root: Path, *folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]


def test_the_registries_name_the_same_laws() -> None:
    assert set(LAWS) == {*SWEEPS, *BENCHES}


@pytest.mark.parametrize("law", SWEEPS + BENCHES)
@pytest.mark.parametrize("room", ROOMS)
def test_every_law_has_a_room_in_every_folder(root: Path, law: str, room: str) -> None:
    assert (root / room.format(law=law)).is_file()


@pytest.mark.parametrize("law", SWEEPS)
def test_every_law_is_in_the_schema_and_in_every_grid(root: Path, law: str) -> None:
    schema = YAML(typ="safe").load(root / "workflow/schemas/config.schema.yaml")
    assert law in schema["properties"]["sweeps"]["properties"]
    for grid in ("smoke", "default", "full", "paper"):
        assert law in YAML(typ="safe").load(root / "config" / f"{grid}.yaml")["sweeps"]


@pytest.mark.parametrize("bench", BENCHES)
def test_every_bench_is_in_the_schema_the_contract_and_every_grid(root: Path, bench: str) -> None:
    schema = YAML(typ="safe").load(root / "workflow/schemas/config.schema.yaml")
    assert bench in schema["properties"]["benches"]["properties"]
    assert bench in YAML(typ="safe").load(root / "results/contract.yaml")["tables"]
    for grid in ("smoke", "default", "full", "paper"):
        assert bench in YAML(typ="safe").load(root / "config" / f"{grid}.yaml")["benches"]


def test_every_controlled_truth_has_a_room(root: Path) -> None:
    assert set(PROBLEMS) == set(registry.PROBLEMS)
    schema = YAML(typ="safe").load(root / "workflow/schemas/config.schema.yaml")
    assert set(schema["properties"]["problems"]["properties"]) == set(PROBLEMS)
    contract = YAML(typ="safe").load(root / "results/contract.yaml")["tables"]
    for name in PROBLEMS:
        assert name in contract
        for room in ("sweeps/{}.yaml", "workflow/report/{}.rst"):
            assert (root / room.format(name)).is_file(), room.format(name)
        for grid in ("smoke", "default", "full", "paper"):
            assert name in YAML(typ="safe").load(root / "config" / f"{grid}.yaml")["problems"]


def test_tests_mirror_the_tree(root: Path) -> None:
    for test in sources(root, *(f"tests/{room}" for room in CODE)):
        if test.name.startswith("test_"):
            module = root / test.relative_to(root / "tests").with_name(test.name.removeprefix("test_"))
            assert module.is_file(), f"{test.relative_to(root)} tests no module"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\bpickle\b|\bdill\b|\bjoblib\b|read_pickle|allow_pickle=True", "results are never pickled"),
        (r"torch\.load\((?![^)]*weights_only=True)", "torch.load runs code without weights_only=True"),
        (r"yaml\.load\(|YAML\(\)", "YAML is read in safe mode"),
        (r"(?<![\w.])(eval|exec)\(", "nothing in a file is evaluated"),
        (r"shell=True", "no shell strings"),
        (r"np\.random\.(seed|rand|randn|normal|choice|shuffle)\(", "no global random state"),
        (r"import \*", "names are imported by name"),
        (r"/(home|root|tmp|mnt|opt)/", "no path of one machine"),
    ],
)
def test_what_is_forbidden_is_absent(root: Path, pattern: str, why: str) -> None:
    for path in sources(root, *CODE):
        found = re.search(pattern, path.read_text())
        assert found is None, f"{path.relative_to(root)}: {found.group()} ({why})"


def test_no_file_is_called_utils_and_package_files_only_re_export(root: Path) -> None:
    for path in sources(root, *CODE):
        assert path.stem not in ("utils", "helpers", "misc")
        if path.name == "__init__.py":
            assert not re.search(r"^(class|def) (?!__getattr__|__dir__)", path.read_text(), re.M), path


def test_every_version_is_pinned(root: Path) -> None:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!_-]+", line) for line in lines)
    assert "torch==2.13.0" in lines


def test_each_law_fits_without_torch(root: Path) -> None:
    code = (
        "import sys, importlib; from analysis.laws.registry import LAWS\n"
        "[(law.load_fit(), importlib.import_module(f'figures.{law.name}')) for law in LAWS.values()]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_readme_starts_with_the_two_commands_and_maps_every_folder(root: Path) -> None:
    readme = (root / "README.md").read_text()
    first_screen = "\n".join(readme.splitlines()[:24])
    assert "make results" in first_screen
    assert "make test" in first_screen
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout, so its folders are unknown")
    folders = {name.split("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    for folder in folders:
        assert f"{folder}/" in readme, f"{folder}/ is not in the README's map"
    for law in LAWS.values():
        assert f"[`{law.room}`](docs/laws/{law.room}.md)" in readme, f"{law.room} is not among the README's laws"
    trained = re.search(r"trains (\d+) small language models", readme)
    assert trained is not None
    assert int(trained[1]) == len(load_plan(root / "config" / "default.yaml").runs)
    for image in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert (root / image).is_file(), image


def test_every_command_that_the_readme_shows_exists(root: Path) -> None:
    targets = re.findall(r"^(\w+):", (root / "Makefile").read_text(), re.M)
    for target in re.findall(r"`?make (\w+)", (root / "README.md").read_text()):
        assert target in targets

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.plan import load_plan

GRID = """
grid: tiny
shards: 1
text: {source: {kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 60000}}
sweeps:
  scaling:
    run: {size: [6k], training.tokens: [4096, 8192], training.batch_sequences: [2], evaluation.tokens: [1024], seed: [0]}
"""


@pytest.fixture
def command(root: Path, tmp_path: Path):
    """Run the command in an empty folder with a tiny grid."""
    (tmp_path / "grid.yaml").write_text(GRID)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "curselab", *words],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line, the culprit named, a non-zero exit, no traceback."""
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("curselab: ")
    for word in words:
        assert word in lines[0]


def test_every_command_has_help(command) -> None:
    verbs = ("text", "train", "problem", "collect", "fit", "figure", "table", "sweep")
    for words in ([], *([verb] for verb in verbs), ["sweep", "expand"]):
        done = command(*words, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout


def test_sweep_list_expand_and_show_agree(command) -> None:
    assert "capacity_gap" in command("sweep", "list").stdout
    lines = command("sweep", "expand", "--config", "grid.yaml").stdout.splitlines()
    assert len(lines) == 2
    run_id = lines[0].split()[0]
    spec = json.loads(command("sweep", "show", run_id, "--config", "grid.yaml").stdout)
    assert spec["training"]["tokens"] == 4096
    refused(command("sweep", "show", "0123456789ab", "--config", "grid.yaml"), "0123456789ab", "grid.yaml")


def test_a_problem_gives_its_table_and_nothing_for_a_name_that_the_grid_lacks(command, tmp_path: Path) -> None:
    toy = "kernel_toy: {student_functions: [50], teacher_functions: [25, 50], seed: [0], noise: 0.0}"
    (tmp_path / "grid.yaml").write_text(GRID + f"problems:\n  {toy}\n")
    assert command("problem", "kernel_toy", "--config", "grid.yaml", "--out", "toy").returncode == 0
    rows = (tmp_path / "toy" / "runs.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["50", "25"], ["50", "50"]]
    assert "kernel_toy" in command("sweep", "list").stdout
    refused(command("problem", "mapping", "--config", "grid.yaml", "--out", "x"), "'mapping'", "grid.yaml", "kernel_toy")
    (tmp_path / "grid.yaml").write_text(GRID + "problems: {maze: {seed: [0]}}\n")
    refused(command("problem", "maze", "--config", "grid.yaml", "--out", "x"), "problems.maze", "allowed: kernel_toy, mapping")
    assert not (tmp_path / "x").exists()


def test_a_bench_gives_its_table_and_nothing_for_a_name_that_the_grid_lacks(command, tmp_path: Path) -> None:
    axes = "width: [64], depth: 1, distribution: [uniform], batch: [3], draw: [0], longest: 8, repeats: 1, threads: 1"
    (tmp_path / "grid.yaml").write_text(GRID + f"benches:\n  prepacking: {{{axes}}}\n")
    assert command("bench", "prepacking", "--config", "grid.yaml", "--out", "times").returncode == 0
    rows = (tmp_path / "times" / "runs.csv").read_text().splitlines()
    assert [row.split(",")[:4] for row in rows[1:]] == [["w64", "uniform", "3", "0"]] * 7
    assert "prepacking" in command("sweep", "list").stdout
    refused(command("bench", "maze", "--config", "grid.yaml", "--out", "x"), "'maze'", "grid.yaml", "prepacking")
    assert not (tmp_path / "x").exists()


def test_planning_and_help_do_not_load_torch(root: Path) -> None:
    code = (
        "import sys; import curselab.cli, sweeps.plan, trainer.spec, trainer.text, analysis; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_shard_is_trained_then_kept(command, tmp_path: Path) -> None:
    text_id = json.loads(
        subprocess.run(
            [sys.executable, "-c", "import json; from pathlib import Path; from sweeps import load_plan;"
             "print(json.dumps(list(load_plan(Path('grid.yaml')).texts)))"],
            cwd=tmp_path, check=True, capture_output=True, text=True,
        ).stdout
    )[0]  # fmt: skip
    refused(command("train", "scaling", "run-0", "--config", "grid.yaml"), "results/text", "prepared")
    assert command("text", text_id, "--config", "grid.yaml", "--out", f"results/text/{text_id}").returncode == 0
    done = command("train", "scaling", "run-0", "--config", "grid.yaml", "--log", "log.txt")
    assert done.returncode == 0, done.stderr
    assert "2/2 runs" in done.stderr
    assert "all trained" in (tmp_path / "log.txt").read_text()
    summaries = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/runs/scaling/*/summary.json")}
    assert len(summaries) == 2
    assert command("train", "scaling", "run-0", "--config", "grid.yaml").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in summaries} == summaries
    refused(command("train", "scaling", "run-0", "--config", "grid.yaml", "--digest", "x"), "run-0", "grid.yaml")
    refused(command("train", "scaling", "run-9", "--config", "grid.yaml"), "run-9", "run-0")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("shards: 1", "shards: one", ["shards", "'one'"]),
        ("shards: 1", "shards: 0", ["shards", "0"]),
        ("grid: tiny", "grid: tiny\nspeed: 3", ["speed", "unknown key", "allowed: grid"]),
        ("scaling:", "scalling:", ["sweeps.scalling", "unknown key", "scaling, capacity_gap"]),
        ("run: {", "walk: {", ["scaling.walk", "unknown stage", "run"]),
        ("size: [6k]", "size: [7k]", ["size", "'7k'", "6k, 14k"]),
        ("size: [6k]", "size: 6k", ["size", "'6k'", "array"]),
        ("size: [6k]", "size: [6k], model.width: [0]", ["model.width", "0", "1 or more"]),
        ("size: [6k]", "size: [6k], optimizer.learning_rate: ['3e-4']", ["learning_rate", "'3e-4'", "number"]),
        ("size: [6k]", "size: [6k], optimiser.learning_rate: [3e-4]", ["optimiser", "did you mean 'optimizer'"]),
        ("size: [6k]", "size: [6k], seed.x: [1]", ["seed", "unknown axis"]),
        ("seed: [0]", "seed: [0, 0]", ["there twice"]),
        ("kind: languages, families: 1", "kind: files, path: nowhere, families: 1", ["families", "unknown key"]),
        ("grid: tiny", "grid: [tiny", ["grid.yaml", "line"]),
    ],
)
def test_a_bad_grid_is_one_line(command, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    grid = tmp_path / "grid.yaml"
    assert old in GRID
    grid.write_text(GRID.replace(old, new))
    refused(command("sweep", "expand", "--config", "grid.yaml"), "grid.yaml", *words)


def test_a_missing_grid_is_one_line(command) -> None:
    refused(command("sweep", "expand", "--config", "nowhere.yaml"), "nowhere.yaml", "no such file")


def test_a_researcher_s_table_is_fitted_written_and_drawn(command, tmp_path: Path) -> None:
    from analysis.fit import read_fit
    from tests.analysis.factories import scaling_runs

    runs = scaling_runs(noise=0.005, seeds=2)[["params_total", "tokens", "loss_nats_per_token"]]
    runs.set_axis(["N", "D", "loss"], axis=1).to_csv(tmp_path / "mine.csv", index=False)
    names = ("--params", "N", "--tokens", "D", "--bootstrap", "50")
    done = command("fit", "mine.csv", "--law", "chinchilla", *names, "--out", "fit.json", "--figure", "drawn")
    assert done.returncode == 0, done.stderr
    assert "L = E + A/N^alpha + B/D^beta" in done.stdout
    assert read_fit(tmp_path / "fit.json").summary() == done.stdout.rstrip("\n")
    assert {"drawn.pdf", "drawn.png"} <= {path.name for path in tmp_path.iterdir()}
    refused(command("fit", "mine.csv", "--law", "chinchilla"), "'params'", "missing")
    refused(command("fit", "none.csv", "--law", "chinchilla"), "none.csv: no such file")
    refused(command("fit", "mine.csv", "--law", "gravity"), "'gravity'", "chinchilla")
    refused(command("fit", "mine.csv", "--law", "scaling"), "--out")


def test_a_text_without_a_teacher_split_is_prepared(command, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID.replace("60000}", "60000}, teacher_share: 0.0"))
    (text_id,) = load_plan(tmp_path / "grid.yaml").texts
    done = command("text", text_id, "--config", "grid.yaml", "--out", "text")
    assert done.returncode == 0, done.stderr
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["train", "validation"]

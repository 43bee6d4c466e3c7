import json
from pathlib import Path

import pytest

from tests.curselab.cli.asking import GRID, refused, rows
from trainer.provenance import code_hash


def test_sweep_list_expand_and_show_agree(ask) -> None:
    assert "capacity_gap" in ask("sweep", "list").stdout
    lines = ask("sweep", "expand", "--config", "grid.yaml").stdout.splitlines()
    assert len(lines) == 2
    run_id = lines[0].split()[0]
    spec = json.loads(ask("sweep", "show", run_id, "--config", "grid.yaml").stdout)
    assert spec["training"]["tokens"] == 4096
    refused(ask("sweep", "show", "0123456789ab", "--config", "grid.yaml"), "0123456789ab", "grid.yaml")


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
def test_a_bad_grid_is_one_line(ask, grid: Path, old: str, new: str, words: list[str]) -> None:
    assert old in GRID
    grid.write_text(GRID.replace(old, new))
    refused(ask("sweep", "expand", "--config", "grid.yaml"), "grid.yaml", *words)


def test_a_missing_grid_is_one_line(ask) -> None:
    refused(ask("sweep", "expand", "--config", "nowhere.yaml"), "nowhere.yaml", "no such file")


def test_status_counts_runs_and_names_those_that_are_not_of_the_grid(ask, grid: Path) -> None:
    (before,) = rows(ask("status", "--config", "grid.yaml", "--format", "json"))
    assert (before["sweep"], before["runs"], before["missing"]) == ("scaling", 2, 2)
    stopped = ask("sweep", "expand", "--config", "grid.yaml").stdout.split()[0]
    for run_id in (stopped, "0123456789ab"):
        folder = grid.parent / "results" / "runs" / "scaling" / run_id
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text("{}")
    told = ask("status", "--config", "grid.yaml").stdout
    assert "0 of 2 runs done" in told
    assert "not of this grid: 1 in results/runs" in told
    assert "0123456789ab" in told
    begun = [row["run_id"] for row in rows(ask("status", "--config", "grid.yaml", "--runs", "--format", "json"))]
    assert stopped in begun
    assert len(begun) == 2
    refused(ask("status", "--config", "grid.yaml", "--sweep", "depth"), "'depth'", "allowed: scaling")


def test_the_live_view_ends_with_the_last_run(ask, grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are finished between two looks, on a terminal; in a pipe there is one look."""
    ids = [line.split()[0] for line in ask("sweep", "expand", "--config", "grid.yaml").stdout.splitlines()]
    looks = []

    def finish(seconds: float) -> None:
        looks.append(seconds)
        folder = grid.parent / "results" / "runs" / "scaling" / ids[len(looks) - 1]
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps({"status": "diverged", "stage": "run"}))
        (folder / "provenance.json").write_text(json.dumps({"wall_s": 1.0, "code_sha256": code_hash("trainer.run")}))

    monkeypatch.setattr("time.sleep", finish)
    assert "0 of 2 runs done" in ask("status", "--config", "grid.yaml", "--live").stdout
    assert looks == []
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    assert "2 of 2 runs done" in ask("status", "--config", "grid.yaml", "--live").stdout
    assert len(looks) == 2

"""The road as a user walks it: Snakemake on a copy of the project, killed and edited on the way."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pages import blocks
from tests.workflow.conftest import GRID, Checkout, jobs, kill_group


@pytest.mark.parametrize("grid", ["smoke", "default", "full", "paper"])
def test_every_grid_can_be_planned(checkout: Checkout, grid: str) -> None:
    done = checkout.run("-n", config=f"config/{grid}.yaml")
    assert done.returncode == 0, done.stdout
    assert "train" in done.stdout


def test_the_whole_road_ends_with_figures_and_nothing_left_to_do(finished: Checkout) -> None:
    results = finished.folder / "results"
    for law in ("scaling", "capacity_gap", "kernel_toy", "mapping"):
        assert (results / "figures" / f"{law}.pdf").read_bytes().startswith(b"%PDF")
        assert (results / "figures" / f"{law}.png").read_bytes().startswith(b"\x89PNG")
        assert r"\toprule" in (results / "tables" / f"{law}.tex").read_text()
    assert finished.planned() == {}


@pytest.mark.parametrize(("part", "hours"), [("text", 24), ("shards", -24), ("tables", 24)])
def test_a_clock_that_jumps_makes_nothing_again(finished: Checkout, part: str, hours: int) -> None:
    """What was made under the wrong clock is compared by its content."""
    files = [file for file in finished.folder.glob(f"results/{part}/**/*.*") if file.is_file()]
    when = time.time() + 3600 * hours
    for file in files:
        os.utime(file, (when, when))
    try:
        assert files
        assert finished.planned() == {}
    finally:
        for file in files:
            os.utime(file)


def test_the_report_is_one_offline_file_with_every_figure_and_caption(finished: Checkout) -> None:
    done = finished.run("--report", "results/report.html")
    assert done.returncode == 0, done.stdout
    report = (finished.folder / "results/report.html").read_text()
    for needed in (
        "capacity_gap.png",
        "mapping.png",
        "overview.png",
        "scaling.png",
        "scaling.tex",
        "scaling.html",
        "Law of capacity gap (Zhang",
        "Plain scaling, L(N, D)",
    ):
        assert needed in report
    assert not re.search(r"""<(script|link)[^>]+(src|href)=["']https?://""", report)


def test_editing_a_law_makes_its_fit_figure_and_table_stale_and_nothing_else(finished: Checkout) -> None:
    law = finished.folder / "analysis/laws/capacity_gap.py"
    before = law.read_text()
    try:
        law.write_text(before + "\nEDITED = 1\n")
        # two controlled truths are read by this law
        assert finished.planned() == {"fit": 3, "figure": 3, "overview": 1, "record": 3, "table": 3}
        assert (
            "results/fits/capacity_gap.json"
            in finished.run("-n", "--quiet", "progress").stdout + finished.run("-n", "--summary").stdout
        )
        law.write_text(before + "\n# a remark\n")
        assert finished.planned() == {}
    finally:
        law.write_text(before)


def test_a_new_teacher_of_a_problem_is_trained_alone(finished: Checkout) -> None:
    kept = finished.folder / "results/runs/mapping"
    before = {path: path.stat().st_mtime_ns for path in kept.glob("[0-9a-f]*.json")}
    try:
        finished.grid("config/tiny.yaml", GRID.replace("[4, 8, 16]", "[4, 8, 16, 24]", 1))
        assert finished.planned() == {"problem": 1, "fit": 1, "figure": 1, "record": 1, "table": 1}
        assert finished.run("results/tables/mapping/runs.csv").returncode == 0
        after = {path: path.stat().st_mtime_ns for path in kept.glob("[0-9a-f]*.json")}
        assert before.items() <= after.items()
        assert len(after) == len(before) + 2
    finally:
        finished.grid("config/tiny.yaml", GRID)
        assert finished.run().returncode == 0


def test_the_tutorial_makes_a_report_and_a_second_seed_trains_its_runs_alone(
    finished: Checkout, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/tutorials/regenerate.md with the tiny grid in place of the smoke grid, and this environment in place of make's."""
    house, page, before = finished.folder, "docs/tutorials/regenerate.md", finished.summaries()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, house)
    (house / ".venv").mkdir()
    (house / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (house / ".venv" / ".installed").touch()
    monkeypatch.chdir(house)
    printed, names = [], {}
    try:
        for language, code, line in blocks(page):
            if language == "python":
                exec(compile("\n" * line + code, page, "exec"), names)
            elif language == "sh":
                run = ("bash", "-ec", code.replace("config/smoke.yaml", "config/tiny.yaml"))
                done = subprocess.run(run, env=finished.environment, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
                printed.append(done.stdout + done.stderr)
    finally:
        finished.grid("config/tiny.yaml", GRID)
    assert (house / "results" / "report.html").is_file()
    assert names["runs"]["status"].tolist() == ["ok"] * 6
    _, status, planned, _ = printed
    assert f"{len(before)} of {len(before)} runs done" in status
    again = jobs(planned)
    assert again.pop("train") <= 2  # two sizes, each in the shard of its id
    assert again == dict.fromkeys(("collect", "fit", "figure", "overview", "record", "table"), 1)
    after = finished.summaries()
    assert before.items() <= after.items()
    assert len(after) == len(before) + 6


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_workflow_goes_on_and_ends_with_the_same_bytes(
    checkout: Checkout, finished: Checkout, number: signal.Signals
) -> None:
    process = checkout.start()
    deadline = time.monotonic() + 300
    while len(checkout.summaries()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_group(process, number)
    assert process.returncode != 0
    survived = checkout.summaries()
    assert len(survived) >= 3
    done = checkout.run()
    assert done.returncode == 0, done.stdout
    assert survived.items() <= checkout.summaries().items()
    assert len(finished.undisturbed) == 35
    assert checkout.outputs() == finished.undisturbed


def test_a_bad_grid_stops_the_workflow_with_one_line(checkout: Checkout) -> None:
    checkout.grid("config/tiny.yaml", GRID.replace("size: [6k, 14k]", "size: [6k, 14]", 1))
    done = checkout.run("-n")
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if "curselab:" in line]
    assert len(lines) == 1
    assert "config/tiny.yaml: sweeps.scaling.run.size: 14 was given" in lines[0]
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda corpus: None, "no such folder"),
        (lambda corpus: (corpus.mkdir(), (corpus / "est.txt").write_bytes(b"")), "est.txt"),
        (lambda corpus: (corpus.mkdir(), (corpus / "est.txt").write_bytes(b"abc\xff\n" * 99)), "not UTF-8"),
    ],
)
def test_a_bad_corpus_is_one_line_that_names_it(checkout: Checkout, spoil, words: str) -> None:
    spoil(checkout.folder / "corpus")
    source = "{kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 100000}"
    checkout.grid("config/tiny.yaml", GRID.replace(source, "{kind: files, path: corpus}"))
    done = checkout.run()
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("curselab:")]
    assert len(lines) == 1, done.stdout
    assert words in lines[0]
    assert "corpus" in lines[0]


def test_a_folder_of_real_languages_is_one_line_of_configuration(checkout: Checkout, shared: Path) -> None:
    source = "{kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 100000}"
    corpus = shared / "corpora" / "bible_nt"
    grid = GRID.split("  capacity_gap:")[0].replace(source, f"{{kind: files, path: {corpus}}}")
    checkout.grid("config/tiny.yaml", grid)
    done = checkout.run("results/tables/scaling/runs.csv")
    assert done.returncode == 0, done.stdout
    (meta,) = checkout.folder.glob("results/text/*/meta.json")
    assert len(json.loads(meta.read_text())["domains"]) == 24
    rows = (checkout.folder / "results/tables/scaling/runs.csv").read_text().splitlines()
    assert len(rows) == 7
    assert all(",files," in row and ",ok," in row for row in rows[1:])


def test_a_truncated_metrics_file_is_named(finished: Checkout) -> None:
    assert finished.run().returncode == 0  # other tests leave runs behind that are not of the grid
    (shard, *_) = sorted(finished.folder.glob("results/shards/scaling/*.json"))
    run_id = json.loads(shard.read_text())["runs"][0]["run_id"]
    victim = finished.folder / "results/runs/scaling" / run_id / "metrics.parquet"
    before = victim.read_bytes()
    try:
        victim.write_bytes(before[: len(before) // 2])
        done = finished.run("--forcerun", "collect")
        assert done.returncode != 0
        assert any(line.startswith("curselab:") and victim.name in line for line in done.stdout.splitlines())
    finally:
        victim.write_bytes(before)
        assert finished.run().returncode == 0

import json
from pathlib import Path

from analysis.fit import read_fit
from sweeps.plan import load_plan
from tests.analysis.factories import scaling_runs
from tests.analysis.test_record import put_results
from tests.curselab.cli.asking import GRID, refused


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
    assert [row.split(",")[:4] for row in rows[1:]] == [["w64", "uniform", "3", "0"]] * 8
    assert "prepacking" in command("sweep", "list").stdout
    refused(command("bench", "maze", "--config", "grid.yaml", "--out", "x"), "'maze'", "grid.yaml", "prepacking")
    assert not (tmp_path / "x").exists()


def test_a_shard_is_trained_then_kept(command, ask, tmp_path: Path) -> None:
    (text_id,) = load_plan(tmp_path / "grid.yaml").texts
    refused(command("train", "scaling", "run-0", "--config", "grid.yaml"), "results/text", "prepared")
    assert ask("text", text_id, "--config", "grid.yaml", "--out", f"results/text/{text_id}").returncode == 0
    done = command("train", "scaling", "run-0", "--config", "grid.yaml", "--log", "log.txt")
    assert done.returncode == 0, done.stderr
    assert "2/2 runs" in done.stderr
    assert "all trained" in (tmp_path / "log.txt").read_text()
    summaries = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/runs/scaling/*/summary.json")}
    assert len(summaries) == 2
    assert command("train", "scaling", "run-0", "--config", "grid.yaml").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in summaries} == summaries
    place = ("--runs", "results/runs/scaling", "--out", "tables")
    assert ask("collect", "results/shards/scaling/run-0.json", *place).returncode == 0
    assert len((tmp_path / "tables" / "runs.csv").read_text().splitlines()) == 3
    refused(ask("collect", "results/shards/scaling/run-1.json", *place), "run-1.json", "start it again")
    standing = json.loads(ask("status", "--config", "grid.yaml", "--format", "json").stdout)
    assert [standing[0][name] for name in ("runs", "complete", "missing")] == [2, 2, 0]


def test_a_shard_that_is_not_of_the_grid_is_refused(ask) -> None:
    refused(ask("train", "scaling", "run-0", "--config", "grid.yaml", "--digest", "x"), "run-0", "grid.yaml")
    refused(ask("train", "scaling", "run-9", "--config", "grid.yaml"), "run-9", "run-0")


def test_a_researcher_s_table_is_fitted_written_and_drawn(ask, tmp_path: Path) -> None:
    runs = scaling_runs(noise=0.005, seeds=2)[["params_total", "tokens", "loss_nats_per_token"]]
    runs.set_axis(["N", "D", "loss"], axis=1).to_csv(tmp_path / "mine.csv", index=False)
    names = ("--params", "N", "--tokens", "D", "--bootstrap", "50")
    done = ask("fit", "mine.csv", "--law", "chinchilla", *names, "--out", "fit.json", "--figure", "drawn")
    assert done.returncode == 0, done.stderr
    assert "L = E + A/N^alpha + B/D^beta" in done.stdout
    assert read_fit(tmp_path / "fit.json").summary() == done.stdout.rstrip("\n")
    assert {"drawn.pdf", "drawn.png", "drawn.svg"} <= {path.name for path in tmp_path.iterdir()}
    refused(ask("fit", "mine.csv", "--law", "chinchilla"), "'params'", "missing")
    refused(ask("fit", "none.csv", "--law", "chinchilla"), "none.csv: no such file")
    refused(ask("fit", "mine.csv", "--law", "gravity"), "'gravity'", "chinchilla")
    refused(ask("fit", "mine.csv", "--law", "scaling"), "--out")


def test_a_fit_of_the_workflow_is_drawn_and_laid_out(ask, tmp_path: Path) -> None:
    scaling_runs(noise=0.005, seeds=2).to_csv(tmp_path / "runs.csv", index=False)
    assert ask("fit", "runs.csv", "--law", "scaling", "--out", "fit.json").returncode == 0
    assert ask("figure", "scaling", "--fit", "fit.json", "--runs", "runs.csv", "--stem", "drawn").returncode == 0
    assert (tmp_path / "drawn.pdf").read_bytes().startswith(b"%PDF")
    assert ask("table", "fit.json", "--out", "fit.tex").returncode == 0
    assert "\\toprule" in (tmp_path / "fit.tex").read_text()
    refused(
        ask("figure", "gravity", "--fit", "fit.json", "--runs", "runs.csv", "--stem", "x"), "'gravity'", "allowed: scaling"
    )
    refused(ask("table", "runs.csv", "--out", "x.tex"), "runs.csv", "not a fit file")
    assert not (tmp_path / "x.tex").exists()


def test_all_there_is_about_a_law_is_one_page(ask, tmp_path: Path) -> None:
    results = put_results(tmp_path)
    words = ("--config", "grid.yaml", "--out", "page.html")
    assert ask("record", "scaling", *words, "--caption", "Loss by size.").returncode == 0
    page = (tmp_path / "page.html").read_text()
    assert "Loss by size." in page
    assert "training.tokens: [4096, 8192]" in page  # as in the grid
    refused(ask("record", "depth", *words), "'depth'", "grid.yaml", "allowed: scaling")
    (results / "figures" / "scaling.png").unlink()
    refused(ask("record", "scaling", *words), "results/figures/scaling.png")


def test_the_fits_of_a_folder_are_drawn_on_one_page(ask, tmp_path: Path) -> None:
    refused(ask("overview", "--stem", "all"), "results/fits: no fit of scaling")
    table = tmp_path / "results" / "tables" / "scaling" / "runs.parquet"
    table.parent.mkdir(parents=True)
    scaling_runs(noise=0.005).to_parquet(table)
    assert ask("fit", str(table), "--law", "scaling", "--out", "results/fits/scaling.json").returncode == 0
    assert ask("overview", "--stem", "all").returncode == 0
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")
    refused(ask("overview", "gravity", "--stem", "x"), "'gravity'", "allowed: scaling")


def test_a_text_without_a_teacher_split_is_prepared(ask, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID.replace("60000}", "60000}, teacher_share: 0.0"))
    (text_id,) = load_plan(tmp_path / "grid.yaml").texts
    done = ask("text", text_id, "--config", "grid.yaml", "--out", "text")
    assert done.returncode == 0, done.stderr
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["train", "validation"]
    refused(ask("text", "0123456789ab", "--config", "grid.yaml", "--out", "x"), "0123456789ab", f"allowed: {text_id}")

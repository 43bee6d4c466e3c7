from pathlib import Path

import pandas as pd
import pytest

from analysis import fit_scaling_law
from analysis.collect import write_frame
from analysis.fit import write_fit
from analysis.laws.registry import LAWS, PROBLEMS
from analysis.laws.scaling_fit import ScalingFit
from tests.analysis.exports.sweep import METRICS, RUNS
from tests.analysis.factories import scaling_runs
from tests.curselab.cli.asking import refused, rows

TRUTH = (1.7, 60.0, 120.0, 0.35, 0.3)


@pytest.fixture
def fit_file(grid: Path):
    """Write a fit to runs with a known truth into the folder of the tiny grid."""

    def write(name: str, **runs: float) -> str:
        table = scaling_runs(TRUTH, noise=0.001, seeds=2, **runs)
        path = grid.parent / name
        table.to_csv(path.with_suffix(".csv"), index=False)
        fit = fit_scaling_law(table, params="params_total", loss="loss_nats_per_token", bootstrap=60)
        write_fit(path, "scaling", fit, {"runs": path.with_suffix(".csv")})
        return name

    return write


def test_laws_are_listed_with_their_questions(ask) -> None:
    listed = {row["name"]: row for row in rows(ask("laws", "list", "--format", "json"))}
    assert set(LAWS) | set(PROBLEMS) <= set(listed)
    assert listed["chinchilla"]["about"] == "L = E + A/N^alpha + B/D^beta"
    assert listed["depth"]["about"].endswith("?")


@pytest.mark.parametrize("name", [*LAWS, *PROBLEMS])
def test_every_law_shows_its_page_and_what_it_reads(ask, name: str) -> None:
    page = ask("laws", "show", name).stdout
    assert page.startswith(f"{name}: ")
    assert "Known failures" in page
    assert "Reads: table " in page
    assert ":math:" not in page


def test_a_form_and_a_published_set_show_their_constants(ask) -> None:
    # Hoffmann et al. 2022, Eq. 10
    alpha = next(row for row in rows(ask("laws", "show", "chinchilla", "--format", "json")) if row["symbol"] == "alpha")
    assert alpha["Hoffmann et al. 2022"] == 0.34
    assert "arXiv:2203.15556" in ask("laws", "show", "chinchilla").stdout
    assert "zhang_2023" in ask("laws", "show", "capacity_gap").stdout
    shown = ask("laws", "show", "zhang_2023").stdout
    assert "secondary" in shown
    assert "2.498" in shown
    in_law = rows(ask("laws", "show", "kernel_toy", "--format", "json"))
    assert {"zhang_2023", "busbridge_2025_supervised"} <= {row["set"] for row in in_law}
    refused(ask("laws", "show", "gravity"), "'gravity'", "allowed: scaling")


def test_a_prediction_is_near_the_truth_and_says_where_it_extrapolates(ask, fit_file) -> None:
    fit_file("fit.json")
    E, A, B, alpha, beta = TRUTH
    inside = ask("predict", "fit.json", "params=1e5,3e5", "tokens=2e6", "--format", "json")
    assert inside.stderr == ""
    for row in rows(inside):
        assert row["loss"] == pytest.approx(E + A * row["params"] ** -alpha + B * 2e6**-beta, rel=0.002)
        assert row["lower"] < row["loss"] < row["upper"]
    beyond = ask("predict", "fit.json", "params=1e9", "tokens=2e10")
    assert len(beyond.stderr.splitlines()) == 1
    assert "1 of 1 settings lie outside the runs (params 1e+04 to 1e+06" in beyond.stderr
    assert "6.0 decades" in beyond.stderr  # 1.2e20 FLOP against 6 x 1e6 x 2e7
    widths = [
        row["upper"] - row["lower"]
        for kind in ("mean", "new_run")
        for row in rows(ask("predict", "fit.json", "params=1e5", "tokens=2e6", "--kind", kind, "--format", "json"))
    ]
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["params=1e5"], ["params was given", "chinchilla needs params, tokens"]),
        (["params=1e5", "tokens=x"], ["tokens x", "positive numbers"]),
        (["params=1e5", "tokens=-1"], ["tokens -1", "positive numbers"]),
        (["params", "tokens=1"], ["'params'", "NAME=VALUE"]),
        (["params=1", "params=2"], ["'params=2'", "once"]),
        (["params=1e5", "tokens=1e6", "--kind", "wide"], ["'wide'", "allowed: mean, new_run, calibrated"]),
    ],
)
def test_wrong_inputs_of_a_prediction_are_one_line(ask, fit_file, inputs: list[str], words: list[str]) -> None:
    fit_file("fit.json")
    refused(ask("predict", "fit.json", *inputs), *words)


def test_fits_are_compared_side_by_side_and_in_pairs(ask, fit_file) -> None:
    fit_file("a.json", seed=0)
    fit_file("b.json", seed=1)
    table = rows(ask("compare", "a.json", "b.json", "--format", "json"))
    assert [row["fit"] for row in table] == ["a.json", "b.json"] * 5
    assert [row["symbol"] for row in table[::2]] == ["E", "A", "B", "alpha", "beta"]
    assert "at params 1e+06, tokens 2e+07" in ask("compare", "a.json", "b.json").stdout
    refused(ask("compare", "a.json"), "one fit", "--law")
    refused(ask("compare", "a.json", "nowhere.json"), "nowhere.json", "no such file")


def test_published_numbers_stand_beside_a_fit(ask, fit_file, grid: Path) -> None:
    fit_file("a.json", seed=0)
    assert "$" not in ask("compare", "a.json", "--published").stdout  # mathematics is for files
    found = rows(ask("compare", "a.json", "--published", "--format", "json"))
    assert {row["Quantity"] for row in found} == {"E", "A", "B", "alpha", "beta"}
    assert ask("compare", "a.json", "--published", "--out", "beside.md").returncode == 0
    assert (grid.parent / "beside.md").read_text().count("not comparable: hangs on text and tokenizer") == 3 * len(found) / 5
    refused(ask("compare", "a.json", "a.json", "b.json", "--published"), "b.json", "no such file")
    refused(ask("compare", "a.json", "--published", "--out", "beside.doc"), "'.doc'", ".tex, .md")


def test_rival_forms_are_held_against_the_form_of_the_fit(ask, fit_file, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_file("fit.json")
    refused(ask("compare", "fit.json", "--law", "power"), "power", "compute")
    refused(ask("compare", "fit.json", "other.json", "--law", "kaplan"), "other.json")

    def ranked(fit: ScalingFit, laws: list[str], *, by: str) -> pd.DataFrame:
        return pd.DataFrame({"law": laws, "runs": fit.nobs, "by": by})

    monkeypatch.setattr("analysis.decisions.compare.compare_laws", ranked)
    found = rows(ask("compare", "fit.json", "--law", "kaplan", "--law", "outer", "--by", "tokens", "--format", "json"))
    assert [row["law"] for row in found] == ["chinchilla", "kaplan", "outer"]
    assert {(row["runs"], row["by"]) for row in found} == {(50, "tokens")}


def test_a_log_of_another_trainer_becomes_a_table(ask, root: Path, tmp_path: Path) -> None:
    log = str(root / "tests" / "analysis" / "imports" / "trainer_state.json")
    how = ("--tokens", "num_input_tokens_seen", "--out", "metrics.csv")
    done = ask("import", log, "eval_new_loss=loss_nats_per_token:new", *how)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert done.stderr.strip() == f"metrics.csv: {len(table)} values of 1 metrics"
    assert set(table["domain"]) == {"new"}
    refused(ask("import", log, "eval_new_loss=nats:new", *how), "eval_new_loss", "nats", "loss_nats_per_token")


def test_the_runs_of_a_sweep_are_written_for_a_tracker(ask, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    write_frame(tmp_path / "tables" / "runs.parquet", "runs", RUNS)
    write_frame(tmp_path / "tables" / "metrics.parquet", "metrics", METRICS)
    to = ("--to", "tensorboard", "--out", "tracked")
    assert ask("export", "tables", *to).stderr.strip() == "tracked: 2 runs written"
    assert ask("export", "tables", *to).stderr.strip() == "tracked: 0 runs written"
    assert len(list(tmp_path.glob("tracked/scaling/*/*tfevents*"))) == 2
    refused(ask("export", "nowhere", *to), "nowhere: runs.parquet with metrics.parquet")
    assert ask("export", "tables", "--to", "aim", "--out", "x").returncode == 2

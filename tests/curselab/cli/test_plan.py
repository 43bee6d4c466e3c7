from pathlib import Path

import pytest

from sweeps.plan import load_plan
from tests.curselab.cli.asking import refused, rows

PLAN_GRID = ("plan", "grid", "--config", "grid.yaml", "--format", "json")


def test_a_grid_s_hours_follow_from_the_speed(ask, grid: Path) -> None:
    plan = load_plan(grid)
    flop = sum(map(plan.flop, plan.runs))
    (row,) = rows(ask(*PLAN_GRID, "--flop-per-s", "1e6", "--workers", "2"))
    assert (row["runs"], row["left"], row["seeds"]) == (2, 2, 1)
    assert row["flop_left"] == pytest.approx(flop)
    assert row["hours_left"] == pytest.approx(flop / 1e6 / 2 / 3600)
    (unknown,) = rows(ask(*PLAN_GRID))
    assert unknown["hours_left"] is None
    assert unknown["gpu_hours_left"] is None
    told = ask("plan", "grid", "--config", "grid.yaml")
    assert "2 runs left in 1 job," in told.stdout
    assert "time unknown" in told.stdout
    assert "storage: 0 GB of weights that are kept" in told.stdout
    assert "--flop-per-s" in told.stderr
    refused(ask("plan", "grid", "--config", "nowhere.yaml"), "nowhere.yaml")
    refused(ask(*PLAN_GRID, "--gpu", "h100", "--flop-per-s", "1e6"), "--gpu", "--flop-per-s")


def test_next_runs_are_chosen_among_those_that_could_be_run(ask, grid: Path) -> None:
    from analysis import fit_scaling_law
    from analysis.fit import write_fit
    from tests.analysis.factories import scaling_runs

    runs = scaling_runs(noise=0.002, seeds=2)
    (grid.parent / "runs.csv").write_text("")
    fit = fit_scaling_law(runs, params="params_total", loss="loss_nats_per_token", bootstrap=60)
    write_fit(grid.parent / "fit.json", "scaling", fit, {"runs": grid.parent / "runs.csv"})
    at = ("params=1e4,1e8", "tokens=2e5,1e9", "--quantity", "E", "--runs", "2", "--format", "json")
    chosen = rows(ask("plan", "scaling", "fit.json", *at))
    assert len(chosen) == 2
    assert chosen[0]["params"] == 1e8  # the floor is seen where both other terms are small
    assert chosen[0]["tokens"] == 1e9
    assert 0 < chosen[1]["width"] < chosen[0]["width"] < 1
    refused(ask("plan", "scaling", "fit.json", "params=1e4", "tokens=x"), "tokens=x", "numbers")
    refused(ask("plan", "scaling", "fit.json", "params=1e4"), "1 inputs were given", "params, tokens")


def test_a_sweep_of_teachers_is_simulated(ask) -> None:
    options = ("--noise", "0.003", "--tables", "2", "--flop-per-s", "1e15")
    told = ask("plan", "capacity_gap", "3e8", "--ratio", "1", "--ratio", "4", "--ratio", "16", "--seeds", "2", *options)
    assert told.returncode == 0, told.stderr
    assert "1 students, 3 teachers each, 2 seeds" in told.stdout
    refused(ask("plan", "capacity_gap", "3e8", "--noise", "-1"), "noise", "positive")


def test_a_cadence_is_planned(ask) -> None:
    given = ("--steps", "1000", "--minimum", "50", "--noise", "0.01")
    told = ask("plan", "stability_gap", "0.05", *given)
    assert told.returncode == 0, told.stderr
    assert "enough: " in told.stdout
    assert "no cadence is enough" in ask("plan", "stability_gap", "0.0005", *given).stdout
    refused(ask("plan", "stability_gap", "0.05", "--steps", "10", "--minimum", "50", "--noise", "0.01"), "minimum", "50")

import fcntl
import json
import os
from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.plan import Plan, load_plan
from sweeps.standing import Standing, pace, standings, strangers
from tests.sweeps.tiny import tiny
from trainer.provenance import code_hash
from trainer.spec import PlannedRun

GRID = tiny("""
  scaling:
    run: {size: [6k], training.tokens: [4096], training.batch_sequences: [2], evaluation.tokens: [1024], seed: [0, 1, 2, 3]}
""")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "grid.yaml").write_text(GRID)
    return load_plan(tmp_path / "grid.yaml")


def finish(results: Path, run: PlannedRun, *, status: str = "ok", at: float | None = None, **facts: object) -> Path:
    folder = results / "runs" / run.sweep / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text("{}")
    (folder / "summary.json").write_text(json.dumps({"status": status, "stage": run.stage}))
    known = {"code_sha256": code_hash("trainer.run"), "text_sha256": "a" * 64, "wall_s": 10.0}
    (folder / "provenance.json").write_text(json.dumps(known | facts))
    if at is not None:
        os.utime(folder / "summary.json", (at, at))
    return folder


def states(plan: Plan, results: Path) -> list[str]:
    return [standing.state for standing in standings(plan, results)]


def test_a_finished_run_is_what_its_summary_says(plan: Plan, tmp_path: Path) -> None:
    assert states(plan, tmp_path) == ["missing"] * 4
    for run, status in zip(plan.runs, ("ok", "diverged", "no_teacher", "no_base"), strict=True):
        finish(tmp_path, run, status=status)
    assert states(plan, tmp_path) == ["complete", "diverged", "left_out", "left_out"]
    assert all(standing.done for standing in standings(plan, tmp_path))


def test_other_code_text_or_stage_makes_a_run_stale(plan: Plan, tmp_path: Path) -> None:
    finish(tmp_path, plan.runs[0], code_sha256="0" * 64)
    finish(tmp_path, plan.runs[1], text_sha256="b" * 64)
    finish(tmp_path, PlannedRun("scaling", "teacher", plan.runs[2].spec))
    finish(tmp_path, plan.runs[3])
    assert states(plan, tmp_path) == ["stale", "complete", "stale", "complete"]  # the text is not there
    (text_id,) = plan.texts
    (tmp_path / "text" / text_id).mkdir(parents=True)
    (tmp_path / "text" / text_id / "meta.json").write_text(json.dumps({"sha256": "a" * 64}))
    assert states(plan, tmp_path) == ["stale", "stale", "stale", "complete"]


def test_a_run_is_running_while_its_lock_is_held(plan: Plan, tmp_path: Path) -> None:
    folder = finish(tmp_path, plan.runs[0])
    (folder / "summary.json").unlink()
    assert states(plan, tmp_path)[0] == "begun"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert states(plan, tmp_path)[0] == "running"
    assert states(plan, tmp_path)[0] == "begun"
    (folder / "summary.json").write_text('{"status": "o')
    assert states(plan, tmp_path)[0] == "begun"  # cut short
    (folder / "spec.json").unlink()
    assert states(plan, tmp_path)[0] == "missing"


def test_a_run_that_the_trainer_made_is_complete_for_both(tmp_path: Path, plan: Plan) -> None:
    """The trainer's own test of a complete run agrees, on a folder that it made."""
    import lightning  # noqa: F401  (its import draws from Python's global generator, which no test may do)

    from trainer.run import fingerprint, is_complete, run_in_folder
    from trainer.text import prepare_text

    run, (text_id,) = plan.runs[0], plan.texts
    text = prepare_text(plan.texts[text_id], tmp_path / "text" / text_id)
    where = tmp_path / "runs" / run.sweep
    run_in_folder(run.spec, sweep=run.sweep, stage=run.stage, runs=where, text=text)
    assert is_complete(where / run.run_id, stage=run.stage, marks=fingerprint(text))
    assert states(plan, tmp_path) == ["complete", "missing", "missing", "missing"]


def test_pace_counts_from_the_first_run_that_ended(plan: Plan, tmp_path: Path) -> None:
    """Runs of 4096 tokens end at 100, 110 and 120 s, one is running: at 125 s, two in 25 s, and one is left."""
    for run, at in zip(plan.runs, (100.0, 110.0, 120.0), strict=False):
        finish(tmp_path, run, at=at)
    *ended, last = standings(plan, tmp_path)
    assert pace([*ended, last], now=125.0) is None  # nobody trains
    training = Standing(last.run, "running", last.flop)
    now = pace([*ended, training], now=125.0)
    assert now is not None
    assert now.tokens_per_s == pytest.approx(2 * 4096 / 25)
    assert now.seconds_left == pytest.approx(12.5)
    assert pace([*ended[:1], training], now=125.0) is None
    assert pace([*ended, training], now=125.0 + 3600) is None  # long ago


def test_folders_of_other_grids_are_strangers(plan: Plan, tmp_path: Path) -> None:
    finish(tmp_path, plan.runs[0])
    other = finish(tmp_path, PlannedRun("depth", "run", plan.runs[0].spec))
    assert strangers(plan, tmp_path) == [other]


def test_a_plan_of_some_sweeps(plan: Plan) -> None:
    assert plan.only(["scaling"]).runs == plan.only(None).runs == plan.runs
    with pytest.raises(InputError, match="'depth': not in .*allowed: scaling"):
        plan.only(["depth"])

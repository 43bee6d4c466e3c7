from pathlib import Path

import pytest

from trainer.progress import Progress
from trainer.spec import PlannedRun


def test_time_left_follows_from_the_speed_of_one_worker(spec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [PlannedRun("s", "t", spec(seed=seed)) for seed in range(4)]

    def folder(run: PlannedRun) -> Path:
        return tmp_path / run.run_id

    def finish(run: PlannedRun, loss: float | None, seconds: float) -> None:
        folder(run).mkdir(exist_ok=True)
        (folder(run) / "summary.json").write_text("{}")
        progress.ends(run, {"loss_nats_per_token": loss, "status": "ok" if loss else "diverged"}, seconds)

    progress = Progress(
        flop={folder(run) / "summary.json": flop for run, flop in zip(runs, (1e9, 2e9, 3e9, 6e9), strict=True)},
        folder=folder,
        label=lambda run: f"seed {run.spec.seed}",
        workers=2,
    )
    finish(runs[0], 2.5, 10.0)  # 1e9 FLOP in 10 s, 11e9 left on 2 workers: 55 s
    finish(runs[1], None, 20.0)  # 3e9 FLOP in 30 s, 9e9 left: 45 s
    finish(runs[1], None, 0.0)  # was complete: tells nothing about speed
    finish(runs[2], 2.25, 10.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1/4 runs | seed 0 | 2.5000 nats/token | 10 s | about 55 s left"
    assert lines[1] == "2/4 runs | seed 1 | diverged | 20 s | about 45 s left"
    assert lines[2].endswith("| 0 s | about 45 s left")
    assert lines[3].startswith("3/4 runs | seed 2 | 2.2500 nats/token | 10 s | about 20 s left")
    progress.fails(runs[3], "too large")
    assert capsys.readouterr().err == "curselab: seed 3: too large\n"

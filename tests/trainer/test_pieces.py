import json
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.pieces import pieces, prefix_id, shared_steps
from trainer.run import run_in_folder, run_together
from trainer.spec import (
    DomainShare,
    EvaluationSpec,
    ObjectiveSpec,
    OptimizerSpec,
    PlannedRun,
    RunSpec,
    ScheduleSpec,
    TrainingSpec,
)

WSD = ScheduleSpec(kind="wsd", warmup_share=0.0, decay_share=0.25)


def budgets(spec, steps: list[int], **changes: object) -> list[RunSpec]:
    """Specs that differ in their number of steps alone."""
    base = spec(schedule=WSD, evaluation=EvaluationSpec(tokens=2048, factor=3.0), keep_weights=True, **changes)
    return [replace(base, training=TrainingSpec(tokens=n * 8 * 32, batch_sequences=8)) for n in steps]


def planned(specs: list[RunSpec]) -> list[PlannedRun]:
    return [PlannedRun("s", "t", chosen) for chosen in specs]


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("weights.safetensors", "metrics.parquet", "summary.json")}


@pytest.mark.parametrize("backend", ["lockstep", "packed", "lightning"])
def test_a_branch_has_the_bits_of_the_run_trained_alone(spec, text, tmp_path: Path, backend: str) -> None:
    compute = replace(spec().compute, backend=backend)
    specs = budgets(spec, [8, 16, 32], compute=compute)
    (piece,) = pieces(planned(specs))
    snapshots = piece.snapshots(tmp_path / "snapshots")
    for group in piece.groups:
        run_together(group, runs=tmp_path / "shared", text=text, snapshots=snapshots)
    for chosen, begins in zip(specs, (6, 12, None), strict=True):
        run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "alone", text=text)
        assert files(tmp_path / "shared" / chosen.run_id) == files(tmp_path / "alone" / chosen.run_id)
        provenance = json.loads((tmp_path / "shared" / chosen.run_id / "provenance.json").read_text())
        assert provenance["resumed_at_step"] == begins


def test_without_its_snapshot_a_branch_trains_from_the_beginning(spec, text, tmp_path: Path) -> None:
    specs = budgets(spec, [8, 16])
    (piece,) = pieces(planned(specs))
    snapshots = piece.snapshots(tmp_path / "snapshots")
    run_together(piece.groups[0], runs=tmp_path / "shared", text=text, snapshots=snapshots)
    (file,) = snapshots[specs[0].run_id].values()
    file.write_bytes(file.read_bytes()[:999])
    run_together(piece.groups[1], runs=tmp_path / "shared", text=text, snapshots=snapshots)
    run_in_folder(specs[0], sweep="s", stage="t", runs=tmp_path / "alone", text=text)
    assert files(tmp_path / "shared" / specs[0].run_id) == files(tmp_path / "alone" / specs[0].run_id)


def test_the_shared_steps_end_where_the_decay_of_the_shorter_begins(spec) -> None:
    short, long = budgets(spec, [40, 400])
    assert shared_steps(long, short) == 30
    assert prefix_id(long, 30) == prefix_id(short, 30)
    assert prefix_id(long, 31) != prefix_id(short, 31)
    assert prefix_id(long, 30) != prefix_id(long, 29)
    assert prefix_id(replace(long, seed=1), 30) != prefix_id(long, 30)


def test_runs_whose_learning_rates_follow_their_length_share_nothing(spec) -> None:
    short, long = (
        replace(chosen, schedule=ScheduleSpec(kind="cosine", warmup_share=0.1)) for chosen in budgets(spec, [40, 400])
    )
    assert shared_steps(long, short) <= 0
    (piece,) = pieces(planned([short, long]))
    assert dict(piece.snapshot_steps) == {}


def test_pieces_hold_every_run_once_trunks_first(spec) -> None:
    lockstep = replace(spec().compute, backend="lockstep")
    grid = [chosen for seed in (0, 1) for chosen in budgets(spec, [8, 16, 32], seed=seed, compute=lockstep)]
    cut = pieces(planned(grid))
    assert sorted(run.run_id for piece in cut for run in piece.runs) == sorted(chosen.run_id for chosen in grid)
    assert [[[run.spec.steps for run in group] for group in piece.groups] for piece in cut] == 2 * [[[32], [16], [8]]]
    assert [piece.runs for piece in pieces(planned(grid[::-1]))] == [piece.runs for piece in cut]


def test_runs_of_one_shape_are_packed_the_trunks_first_and_every_worker_has_a_pack(spec) -> None:
    grid = [chosen for seed in range(5) for chosen in budgets(spec, [8, 32], seed=seed)]
    for workers, sizes in ((1, [5]), (2, [3, 2]), (8, [1, 1, 1, 1, 1])):
        cut = pieces(planned(grid), workers=workers)
        assert [[[run.spec.steps for run in group] for group in piece.groups] for piece in cut] == [
            [[32] * size, [8] * size] for size in sizes
        ]
        for piece in cut:
            trunks, branches = piece.groups
            assert {run.spec.seed for run in trunks} == {run.spec.seed for run in branches}


def test_students_of_one_teacher_and_seed_go_together_at_most_eight_at_once(spec) -> None:
    students = [
        spec(
            objective=ObjectiveSpec(kind="distill", teacher=teacher),
            seed=seed,
            optimizer=OptimizerSpec(learning_rate=rate / 1e3),
        )
        for teacher in ("0123456789ab", "123456789abc")
        for seed in (0, 1)
        for rate in range(1, 11)
    ]
    cut = pieces(planned(students))
    assert sorted(len(piece.runs) for piece in cut) == 4 * [2] + 4 * [8]
    for piece in cut:
        assert len({(run.spec.objective.teacher, run.spec.seed) for run in piece.runs}) == 1


def test_students_that_read_other_batches_than_each_other_train_apart(spec) -> None:
    taught = spec(objective=ObjectiveSpec(kind="distill", teacher="0123456789ab"))
    mixture = (DomainShare(domain="a", share=0.5), DomainShare(domain="b", share=0.5))
    others = [
        replace(taught, training=replace(taught.training, **change))
        for change in ({"accumulate": 2}, {"mixture": mixture}, {"mixture": mixture[::-1]}, {"split": "teacher"})
    ]
    longer = replace(taught, training=replace(taught.training, tokens=2 * taught.training.tokens), keep_weights=True)
    cut = pieces(planned([taught, *others, longer]))
    assert sorted(len(piece.runs) for piece in cut) == [1, 1, 1, 1, 2]

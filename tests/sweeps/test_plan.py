from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.plan import load_plan
from sweeps.registry import SWEEPS

GRIDS = ("smoke", "default", "full", "paper")


@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_expands_and_every_run_has_one_shard(root: Path, grid: str) -> None:
    plan = load_plan(root / "config" / f"{grid}.yaml")
    assert plan.grid == grid
    assert set(plan.sweeps) == set(SWEEPS)
    shared_out = [run for sweep in plan.sweeps for shard in plan.shards(sweep) for run in plan.shard(sweep, shard)]
    assert sorted(run.run_id for run in shared_out) == sorted(run.run_id for run in plan.runs)
    assert all(plan.flop(run) > 0 for run in plan.runs)


def test_default_scaling_has_the_sizes_budgets_and_seeds_that_a_fit_needs(root: Path) -> None:
    runs = [run.spec for run in load_plan(root / "config/default.yaml").runs if run.sweep == "scaling"]
    assert len({spec.model for spec in runs}) >= 5
    assert len({spec.training.tokens for spec in runs}) >= 4
    assert len({spec.seed for spec in runs}) >= 2
    assert {spec.text.source.kind for spec in runs} == {"installed"}


@pytest.mark.parametrize("grid", GRIDS)
def test_depth_compares_every_scheme_with_the_baseline_on_equal_terms(root: Path, grid: str) -> None:
    runs = [run.spec for run in load_plan(root / "config" / f"{grid}.yaml").runs if run.sweep == "depth"]
    arms: dict[tuple[str, str], set[tuple[int, float, int]]] = {}
    for spec in runs:
        arm = (spec.model.scheme, spec.model.initialisation)
        arms.setdefault(arm, set()).add((spec.model.depth, spec.optimizer.learning_rate, spec.seed))
    assert {("pre", "scaled"), ("pre", "plain"), ("lns", "plain")} <= set(arms)
    assert len(set(map(frozenset, arms.values()))) == 1  # the same depths, rates and seeds
    assert len({(spec.training.tokens, spec.model.width, spec.text) for spec in runs}) == 1
    assert all(spec.probes.tokens and spec.probes.loss_tokens for spec in runs)


def test_students_wait_for_the_shards_of_their_teachers(root: Path) -> None:
    plan = load_plan(root / "config/default.yaml")
    trained_by: dict[str, str] = {
        run.run_id: shard for shard in plan.shards("capacity_gap") for run in plan.shard("capacity_gap", shard)
    }
    for shard in plan.shards("capacity_gap"):
        teachers = {run.spec.objective.teacher for run in plan.shard("capacity_gap", shard)} - {""}
        assert set(plan.needs("capacity_gap", shard)) == {trained_by[teacher] for teacher in teachers}
        assert bool(teachers) == shard.startswith("student")


def write(path: Path, seeds: list[int]) -> Path:
    path.write_text(
        "grid: g\nshards: 4\nsweeps: {scaling: {run: {size: [6k], training.tokens: [4096], seed: " + str(seeds) + "}}}\n"
    )
    return path


def test_a_new_run_leaves_every_other_run_in_its_shard(tmp_path: Path) -> None:
    before = load_plan(write(tmp_path / "a.yaml", [1, 2, 3, 4, 5, 6]))
    after = load_plan(write(tmp_path / "b.yaml", [9, 6, 5, 4, 3, 2, 1]))

    def homes(plan) -> dict[str, str]:
        return {run.run_id: shard for shard in plan.shards("scaling") for run in plan.shard("scaling", shard)}

    assert homes(before).items() <= homes(after).items()
    (new,) = set(homes(after)) - set(homes(before))
    changed = [s for s in before.shards("scaling") if before.digest("scaling", s) != after.digest("scaling", s)]
    assert set(changed) <= {homes(after)[new]}


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(
        "grid: g\nshards: 1\n"
        "sweeps: {scaling: {run: {size: [6k], training.tokens: [4096], optimizer.learning_rate: [3e-4]}}}\n"
    )
    (run,) = load_plan(file).runs
    assert run.spec.optimizer.learning_rate == 3e-4


@pytest.mark.parametrize("content", ["", "[]", "grid: g", "grid: g\nshards: true\nsweeps: {}"])
def test_what_is_no_grid_is_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        load_plan(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.collect import read_runs
from analysis.laws.kernel_toy import KernelToy
from curselab.contract import check_frame
from curselab.errors import InputError
from sweeps.plan import load_plan
from sweeps.problem import KernelToySpec, read_problem
from sweeps.registry import PROBLEMS
from trainer.mapping_spec import MappingSpec

TOY = {"student_functions": [50, 80], "teacher_functions": [25, 50, 100, 1000], "seed": [0, 1], "noise": 0.0}


@pytest.mark.parametrize("grid", ["smoke", "default", "full", "paper"])
def test_every_grid_has_both_problems(root: Path, grid: str) -> None:
    plan = load_plan(root / "config" / f"{grid}.yaml")
    assert tuple(plan.problems) == PROBLEMS
    assert isinstance(plan.problem("kernel_toy"), KernelToySpec)
    assert isinstance(plan.problem("mapping"), MappingSpec)


def test_the_constants_are_those_of_the_paper() -> None:
    """Appendix C of arXiv:2502.08606; 20 N samples, and 500 batches of 512 at least."""
    toy = read_problem("kernel_toy", TOY, where="x")
    assert (toy.basis_functions, toy.teacher_norm, toy.student_norm) == (1000, 5.0, 4.5)
    mapping = read_problem("mapping", {"student_width": [64], "teacher_width": [512], "seed": [0]}, where="x")
    assert mapping.steps(64) == 500
    parameters = 16 * 512 + 512 + 512 * 512 + 512 + 512 * 8 + 8
    assert mapping.parameters(512) == parameters
    assert mapping.steps(512) == -(-20 * parameters // 512)


def test_without_noise_the_table_is_the_closed_form() -> None:
    rows = read_problem("kernel_toy", TOY, where="x").rows()
    frame = check_frame("kernel_toy", pd.DataFrame(rows), where="x")
    assert len(frame) == 2 * 4 * 2
    toy = KernelToy.uniform(0)
    for student, part in frame.groupby("student_functions"):
        exact = toy.error(part["teacher_functions"].to_numpy(dtype=int), int(student))
        np.testing.assert_array_equal(part["error"], exact)
        np.testing.assert_array_equal(part["exact_error"], exact)


def test_the_committed_table_is_the_full_grid_s(root: Path) -> None:
    rows = load_plan(root / "config/full.yaml").problem("kernel_toy").rows()
    ours = check_frame("kernel_toy", pd.DataFrame(rows), where="x")
    pd.testing.assert_frame_equal(read_runs(root / "results/reference/kernel_toy/runs.csv", "kernel_toy"), ours, rtol=1e-12)


def test_the_noise_is_as_large_as_it_says_and_a_larger_grid_changes_no_row() -> None:
    seeds = {"seed": list(range(500)), "noise": 0.02}
    frame = pd.DataFrame(read_problem("kernel_toy", TOY | seeds, where="x").rows())
    noise = frame["error"] - frame["exact_error"]
    assert noise.std() == pytest.approx(0.02, rel=0.05)
    assert abs(noise.mean()) < 4 * 0.02 / len(noise) ** 0.5
    spread = noise.groupby([frame["student_functions"], frame["teacher_functions"]]).first()
    assert spread.nunique() == 8
    small = pd.DataFrame(read_problem("kernel_toy", TOY | {"noise": 0.02, "student_functions": [80]}, where="x").rows())
    assert small.merge(frame).shape == small.shape


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("kernel_toy", {"noise": -1.0}, "noise: -1.0 was given, 0 or more"),
        ("kernel_toy", {"teacher_functions": [10, 2000]}, "teacher_functions: .*from 1 to 1000"),
        ("kernel_toy", {"seed": [0, 0]}, "seed: .*different"),
        ("kernel_toy", {"noise": [0.1]}, "noise"),
        ("kernel_toy", {"students": [3]}, "students: unknown key; did you mean"),
        ("mapping", {"student_width": []}, "student_width: .*1 or more"),
        ("mapping", {"values": [0, 0, 1, 1, 1]}, "values: .*pairs"),
        ("mapping", {"learning_rate": 0.0}, "learning_rate: 0.0"),
        ("mapping", {"warmup_share": 1.0}, "warmup_share: 1.0"),
        ("mapping", {"batch": 0}, "batch: 0"),
    ],
)
def test_a_bad_problem_is_one_line(name: str, change: dict[str, object], words: str) -> None:
    axes = TOY if name == "kernel_toy" else {"student_width": [4], "teacher_width": [4], "seed": [0]}
    with pytest.raises(InputError, match=words) as error:
        read_problem(name, axes | change, where=f"grid.yaml: problems.{name}")
    assert str(error.value).startswith(f"grid.yaml: problems.{name}.")
    assert "\n" not in str(error.value)


def test_a_problem_that_a_grid_lacks_is_named(root: Path) -> None:
    with pytest.raises(InputError, match="problem 'maze': not in .*allowed: kernel_toy, mapping"):
        load_plan(root / "config/smoke.yaml").problem("maze")

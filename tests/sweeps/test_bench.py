from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.bench import read_bench
from sweeps.plan import load_plan
from sweeps.registry import BENCHES

AXES = {"width": [64], "distribution": ["uniform"], "batch": [8], "draw": [0]}


@pytest.mark.parametrize("grid", ["smoke", "default", "full", "paper"])
def test_every_grid_has_the_benches_and_enough_distributions_to_hold_half_out(root: Path, grid: str) -> None:
    plan = load_plan(root / "config" / f"{grid}.yaml")
    assert tuple(plan.benches) == BENCHES
    assert len(plan.bench("prepacking").distribution) >= 4


def test_models_have_heads_of_64_and_the_constants_of_the_file() -> None:
    spec = read_bench("prepacking", AXES | {"width": [64, 256]}, where="x")
    assert (spec.longest, spec.threads) == (512, 2)
    assert {(m.width, m.heads, m.ffn_width, m.context) for m in spec.shapes.values()} == {
        (64, 1, 176, 512),
        (256, 4, 688, 512),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": [96]}, "width: .*multiples of 64"),
        ({"batch": []}, "batch: .*1 or more"),
        ({"draw": [0, 0]}, "draw: .*different"),
        ({"distribution": ["zipf"]}, "distribution: .*lognormal"),
        ({"repeats": 0}, "repeats: 0"),
        ({"batches": [3]}, "batches: unknown key"),
    ],
)
def test_a_bad_bench_is_one_line(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_bench("prepacking", AXES | change, where="grid.yaml: benches.prepacking")
    assert str(error.value).startswith("grid.yaml: benches.prepacking.")


def test_a_bench_that_a_grid_lacks_is_named(root: Path) -> None:
    with pytest.raises(InputError, match="bench 'maze': not in .*allowed: prepacking"):
        load_plan(root / "config/smoke.yaml").bench("maze")

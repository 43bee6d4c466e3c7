from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.costs import costs, speed_of
from sweeps.plan import Plan, load_plan
from sweeps.standing import Standing
from tests.sweeps.tiny import tiny

GRID = tiny("""
  scaling:
    run: {size: [6k, 14k], training.tokens: [4096], seed: [0, 1], keep_weights: [true]}
  learning_rate:
    chosen: {size: [6k], training.tokens: [4096], seed: [0]}
""")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "grid.yaml").write_text(GRID)
    return load_plan(tmp_path / "grid.yaml")


@pytest.fixture
def found(plan: Plan) -> list[Standing]:
    return [Standing(run, "missing", 1e9) for run in plan.runs]


def test_the_cost_of_a_sweep_is_of_what_is_left(plan: Plan, found: list[Standing]) -> None:
    done = Standing(found[0].run, "complete", 1e9, seconds=10.0)
    scaling, rates = costs(plan, [done, *found[1:]], workers=2)
    assert (scaling.sweep, scaling.runs, scaling.left, scaling.seeds) == ("scaling", 4, 3, 2)
    assert scaling.params_least < scaling.params_most
    assert scaling.flop_left == 3e9
    assert scaling.flop_per_s == 1e8
    assert scaling.hours_left == pytest.approx(3e9 / 1e8 / 2 / 3600)
    assert rates.flop_per_s == 1e8  # of all sweeps, where none of its own is finished


def test_a_given_speed_counts_first_and_without_any_the_time_is_unknown(plan: Plan, found: list[Standing]) -> None:
    done = Standing(found[0].run, "complete", 1e9, seconds=10.0)
    assert [cost.flop_per_s for cost in costs(plan, [done, *found[1:]], flop_per_s=5.0)] == [5.0, 5.0]
    assert [cost.hours_left for cost in costs(plan, found)] == [None, None]


def test_gpu_hours_count_every_device_and_hours_do_not(tmp_path: Path) -> None:
    shape = "size: [85m], training.tokens: [33_554_432], training.batch_sequences: [64], compute.accelerator: [gpu]"
    (tmp_path / "grid.yaml").write_text(
        tiny(f"""
  scaling:
    run: {{{shape}, compute.devices: [4], seed: [0, 1]}}
""")
    )
    plan = load_plan(tmp_path / "grid.yaml")
    given = [Standing(run, "missing", 3.6e15) for run in plan.runs]
    (row,) = costs(plan, given, flop_per_s=1e12, workers=2)
    assert (row.gpu_hours_left, row.hours_left) == (2, pytest.approx(2 / 4 / 2))
    assert row.jobs == 1
    assert row.device_gb > 12 * 85e6 / 1e9
    (known,) = costs(plan, [Standing(given[0].run, "complete", 3.6e15, seconds=3600.0), given[1]])
    assert known.flop_per_s == pytest.approx(1e12 / 4)


def test_a_gpu_is_planned_with_at_a_share_of_its_peak() -> None:
    assert speed_of("a100") == pytest.approx(0.3 * 312e12)
    with pytest.raises(InputError, match=r"gpu 'abacus': not known \(allowed: a100, "):
        speed_of("abacus")


def test_kept_weights_are_as_large_as_the_models(plan: Plan, found: list[Standing]) -> None:
    import lightning  # noqa: F401  (its import draws from Python's global generator, which no test may do)

    from trainer.model import Decoder

    models = [
        Decoder(s.run.spec.model, s.run.spec.text.tokenizer.vocab_size, seed=0) for s in found if s.run.sweep == "scaling"
    ]
    stored = sum(p.numel() * p.element_size() for model in models for p in model.parameters())
    scaling, rates = costs(plan, found)
    assert scaling.kept_gb * 1e9 == pytest.approx(stored)
    assert rates.kept_gb == 0

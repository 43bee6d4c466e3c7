from pathlib import Path

import pytest

from sweeps.costs import costs
from sweeps.plan import load_plan
from sweeps.standing import Standing
from tests.sweeps.tiny import tiny

GRID = tiny("""
  scaling:
    run: {size: [6k, 14k], training.tokens: [4096], seed: [0, 1], keep_weights: [true]}
  learning_rate:
    chosen: {size: [6k], training.tokens: [4096], seed: [0]}
""")


@pytest.fixture
def found(tmp_path: Path) -> list[Standing]:
    (tmp_path / "grid.yaml").write_text(GRID)
    plan = load_plan(tmp_path / "grid.yaml")
    return [Standing(run, "missing", 1e9) for run in plan.runs]


def test_the_cost_of_a_sweep_is_of_what_is_left(found: list[Standing]) -> None:
    done = Standing(found[0].run, "complete", 1e9, seconds=10.0)
    scaling, rates = costs([done, *found[1:]], workers=2)
    assert (scaling.sweep, scaling.runs, scaling.left, scaling.seeds) == ("scaling", 4, 3, 2)
    assert scaling.params_least < scaling.params_most
    assert scaling.flop_left == 3e9
    assert scaling.flop_per_s == 1e8
    assert scaling.hours_left == pytest.approx(3e9 / 1e8 / 2 / 3600)
    assert rates.flop_per_s == 1e8  # of all sweeps, where none of its own is finished


def test_a_given_speed_counts_first_and_without_any_the_time_is_unknown(found: list[Standing]) -> None:
    done = Standing(found[0].run, "complete", 1e9, seconds=10.0)
    assert [cost.flop_per_s for cost in costs([done, *found[1:]], flop_per_s=5.0)] == [5.0, 5.0]
    assert [cost.hours_left for cost in costs(found)] == [None, None]


def test_kept_weights_are_as_large_as_the_models(found: list[Standing]) -> None:
    import lightning  # noqa: F401  (its import draws from Python's global generator, which no test may do)

    from trainer.model import Decoder

    models = [
        Decoder(s.run.spec.model, s.run.spec.text.tokenizer.vocab_size, seed=0) for s in found if s.run.sweep == "scaling"
    ]
    stored = sum(p.numel() * p.element_size() for model in models for p in model.parameters())
    scaling, rates = costs(found)
    assert scaling.kept_gb * 1e9 == pytest.approx(stored)
    assert rates.kept_gb == 0

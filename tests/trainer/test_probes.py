import itertools
import math

import pytest
import torch

from trainer.probes import DivergenceGuard, Evaluate
from trainer.spec import EvaluationSpec, RunSpec, ScheduleSpec


class Scores:
    """A validation split whose score is known."""

    def __init__(self, value: float = 2.0) -> None:
        self.value = value

    def scores(self, model: object) -> dict[str, float]:
        return {"loss_nats_per_token": self.value}


def scoring(spec: RunSpec, validation: Scores, curve: Scores) -> Evaluate:
    return Evaluate(spec, {"all": validation}, {"all": curve})


def show(probe, losses: list[float], first: int = 1) -> None:
    for step, loss in enumerate(losses, start=first):
        probe.after_step(step, torch.tensor(loss), None)


@pytest.mark.parametrize("bad", [1, 2, 15, 16, 17, 40])
def test_the_guard_names_the_first_bad_step_though_it_looks_seldom(bad: int) -> None:
    guard = DivergenceGuard(look_every=16)
    losses = [1.0] * (bad - 1) + [math.nan] + [1.0, math.inf, 1.0]
    show(guard, losses)
    assert guard.step == bad
    assert guard.stop


def test_the_guard_stops_within_its_interval_and_never_without_cause() -> None:
    guard = DivergenceGuard(look_every=4)
    show(guard, [1.0] * 8)
    assert not guard.stop
    assert guard.step is None
    show(guard, [math.nan, 1.0, 1.0], first=9)
    assert not guard.stop
    show(guard, [1.0], first=12)
    assert guard.stop
    again = DivergenceGuard()
    again.load_state_dict(guard.state_dict())
    assert (again.stop, again.step) == (True, 9)


def test_the_training_loss_is_averaged_since_the_last_evaluation_whatever_the_interruptions(spec) -> None:
    losses = [float(loss) for loss in torch.rand(20, generator=torch.Generator().manual_seed(0))]
    whole, first, second = (scoring(spec(), Scores(), Scores(3.0)) for _ in range(3))
    show(whole, losses)
    show(first, losses[:7])
    second.load_state_dict(first.state_dict())
    show(second, losses[7:], first=8)
    assert second.rows == whole.rows
    steps = [0, *sorted(whole.steps)]
    means = [row["value"] for row in whole.rows if row["metric"] == "objective_nats_per_token"]
    expected = [math.fsum(losses[a:b]) / (b - a) for a, b in itertools.pairwise(steps)]
    assert means == pytest.approx(expected, rel=1e-12)
    assert whole.final() == {"loss_nats_per_token": 2.0}
    on_the_way = [row["value"] for row in whole.rows if row["metric"] == "loss_nats_per_token"][:-1]
    assert on_the_way == [3.0] * (len(steps) - 2)


def test_learning_rates_and_their_sum_stand_beside_the_losses(spec) -> None:
    chosen = spec(schedule=ScheduleSpec(kind="wsd", warmup_share=0.0, decay_share=0.5, final_share=0.0))
    evaluate = scoring(chosen, Scores(), Scores())
    show(evaluate, [1.0] * 20)
    rows = {(row["step"], row["metric"]): row["value"] for row in evaluate.rows}
    # flat at 0.01 for ten steps, then ten steps on a line to nothing: 1, 0.9, ... 0.1
    assert rows[16, "learning_rate"] == pytest.approx(0.01 * 0.5)
    assert rows[20, "learning_rate"] == pytest.approx(0.01 * 0.1)
    assert rows[20, "learning_rate_sum"] == pytest.approx(0.01 * (10 + 5.5))


def test_what_is_not_finite_leaves_no_row(spec) -> None:
    blind = scoring(spec(), Scores(math.nan), Scores(math.nan))
    show(blind, [1.0] * 20)
    assert blind.final() == {}
    burst = scoring(spec(), Scores(), Scores())
    show(burst, [math.inf] + [1.0] * 19)
    assert burst.rows == []


def test_each_domain_is_scored_and_the_first_is_the_runs_own(spec) -> None:
    chosen = spec(evaluation=EvaluationSpec(domains=("b", "a")))
    evaluate = Evaluate(chosen, {"b": Scores(2.0), "a": Scores(4.0)}, {"b": Scores(3.0), "a": Scores(5.0)})
    show(evaluate, [1.0] * 20)
    assert evaluate.final() == {"loss_nats_per_token": 2.0}
    scored = [row for row in evaluate.rows if row["split"] == "validation"]
    assert {(row["domain"], row["value"]) for row in scored if row["step"] < 20} == {("b", 3.0), ("a", 5.0)}
    assert {(row["domain"], row["value"]) for row in scored if row["step"] == 20} == {("b", 2.0), ("a", 4.0)}
    assert {row["domain"] for row in evaluate.rows if row["split"] == "train"} == {"all"}


def test_a_domain_whose_score_is_not_finite_leaves_the_others_theirs(spec) -> None:
    chosen = spec(evaluation=EvaluationSpec(domains=("b", "a")))
    scores = {"b": Scores(math.nan), "a": Scores(4.0)}
    evaluate = Evaluate(chosen, scores, scores)
    show(evaluate, [1.0] * 20)
    assert evaluate.final() == {}  # so the run counts as diverged
    assert {row["domain"] for row in evaluate.rows if row["split"] == "validation"} == {"a"}


def test_where_the_first_steps_are_scored_the_start_is_too_at_the_bases_last_rate(spec) -> None:
    chosen = spec(evaluation=EvaluationSpec(every_step_until=3))
    evaluate = Evaluate(chosen, {"all": Scores(1.0)}, {"all": Scores(3.0)}, rate_before=2e-4)
    evaluate.begin(None)
    rows = {(row["step"], row["tokens"], row["metric"]): row["value"] for row in evaluate.rows}
    assert rows == {
        (0, 0, "learning_rate"): 2e-4,
        (0, 0, "learning_rate_sum"): 0.0,
        (0, 0, "loss_nats_per_token"): 3.0,  # of the windows that are scored on the way
    }
    sparse = scoring(spec(), Scores(), Scores())
    sparse.begin(None)
    assert sparse.rows == []

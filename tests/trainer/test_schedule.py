import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.schedule import last_rate, learning_rate_factor
from trainer.spec import Knot, ScheduleSpec

TOKENS = 512  # a step


def factor(schedule: ScheduleSpec, step: int, steps: int) -> float:
    return learning_rate_factor(schedule, step, steps=steps, tokens_per_step=TOKENS)


def test_cosine_equals_torchs_without_warm_up() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.1)
    schedule = ScheduleSpec(kind="cosine", warmup_share=0.0, final_share=0.1)
    for step in range(50):
        assert factor(schedule, step, 50) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_wsd_is_flat_then_linear() -> None:
    schedule = ScheduleSpec(kind="wsd", warmup_share=0.1, decay_share=0.2, final_share=0.0)
    factors = [factor(schedule, step, 100) for step in range(101)]
    assert factors[10:81] == [1.0] * 71
    assert factors[90] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)


@given(
    st.sampled_from(["cosine", "wsd", "constant"]),
    st.floats(0, 0.5),
    st.floats(0.01, 0.5),
    st.floats(0, 1),
    st.integers(1, 500),
)
def test_factors_stay_between_nothing_and_the_peak(kind: str, warmup: float, decay: float, final: float, steps: int) -> None:
    schedule = ScheduleSpec(kind=kind, warmup_share=warmup, decay_share=decay, final_share=final)  # type: ignore[arg-type]
    factors = [factor(schedule, step, steps) for step in range(steps)]
    assert all(0 < each <= 1 for each in factors[:-1])
    assert 0 <= factors[-1] <= 1
    rising = round(warmup * steps)
    assert factors[:rising] == sorted(factors[:rising])
    assert factors[rising:] == sorted(factors[rising:], reverse=True)


@pytest.mark.parametrize("kind", ["wsd", "constant"])
def test_a_warm_up_counted_in_tokens_is_the_same_whatever_the_length(kind: str) -> None:
    schedule = ScheduleSpec(kind=kind, warmup_tokens=20 * TOKENS, decay_share=0.25)  # type: ignore[arg-type]
    short, long = ([factor(schedule, step, steps) for step in range(75)] for steps in (100, 1000))
    assert short == long
    assert short[:21] == [(step + 1) / 21 for step in range(20)] + [1.0]


def test_a_short_run_warms_up_for_half_of_the_steps_before_its_decay() -> None:
    schedule = ScheduleSpec(kind="wsd", warmup_tokens=1000 * TOKENS, decay_share=0.2, final_share=0.0)
    factors = [factor(schedule, step, 10) for step in range(10)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 0.5])


def test_a_given_schedule_is_linear_between_its_knots() -> None:
    knots = (Knot(tokens=0, factor=0.5), Knot(tokens=10 * TOKENS, factor=1.0), Knot(tokens=30 * TOKENS, factor=0.0))
    schedule = ScheduleSpec(kind="given", knots=knots)
    assert [factor(schedule, step, 99) for step in (0, 5, 10, 20, 30, 98)] == [0.5, 0.75, 1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "given"}, "knots: .* one or more knots is needed"),
        ({"knots": (Knot(tokens=0, factor=1.0),)}, "no knots"),
        ({"kind": "given", "knots": (Knot(tokens=9, factor=1.0), Knot(tokens=9, factor=0.5))}, "rising order"),
        ({"warmup_tokens": -1}, "warmup_tokens: -1 was given"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_one_line(fields: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ScheduleSpec(**fields)


def test_the_last_rate_is_that_of_the_last_step(spec) -> None:
    decayed = spec(schedule=ScheduleSpec(kind="wsd", warmup_share=0.0, decay_share=1.0, final_share=0.1))
    # twenty steps on a line from 1 towards 0.1, the last of them one twentieth short of it
    assert last_rate(decayed) == pytest.approx(0.01 * (1 - 0.9 * 19 / 20), rel=1e-12)

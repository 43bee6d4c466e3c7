import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.schedule import learning_rate_factor
from trainer.spec import ScheduleSpec


def test_cosine_equals_torchs_without_warm_up() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.1)
    schedule = ScheduleSpec(kind="cosine", warmup_share=0.0, final_share=0.1)
    for step in range(50):
        assert learning_rate_factor(schedule, step, 50) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_wsd_is_flat_then_linear() -> None:
    schedule = ScheduleSpec(kind="wsd", warmup_share=0.1, decay_share=0.2, final_share=0.0)
    factors = [learning_rate_factor(schedule, step, 100) for step in range(101)]
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
    factors = [learning_rate_factor(schedule, step, steps) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors[:-1])
    assert 0 <= factors[-1] <= 1
    rising = round(warmup * steps)
    assert factors[:rising] == sorted(factors[:rising])
    assert factors[rising:] == sorted(factors[rising:], reverse=True)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.laws.prepacking_published import (
    bound_chain,
    compare_data_sets,
    fit_published,
    published_points,
    read_published,
)
from analysis.laws.published import Trust


def test_every_row_has_a_source_and_a_known_trust() -> None:
    rows = read_published()
    assert rows["source"].str.len().min() > 10
    assert set(rows["trust"]) <= set(Trust.__args__)  # type: ignore[attr-defined]
    assert rows["value"].notna().all()


def test_the_readme_s_numbers_are_there() -> None:
    """MMLU, batch 64, 4-bit: 2.299 s against 0.441 s, 34.6 GB against 4.6."""
    rows = read_published()
    readme = rows[rows["source"].str.contains("README")].set_index(["quantity", "method"])["value"]
    assert readme["prefill_time_per_batch", "full-batching"] / readme["prefill_time_per_batch", "prepacking"] > 5.2
    assert readme["max_gpu_memory", "full-batching"] / readme["max_gpu_memory", "prepacking"] == pytest.approx(7.56, abs=0.01)


def test_the_published_batches_give_back_the_law() -> None:
    """S = 1 / (0.050 + 0.955 r/k) with R2 0.987, one point set aside."""
    law = fit_published()
    c0, c1 = law.coefficients
    assert (law.n, law.set_aside) == (313, 1)
    assert (c0.value, c1.value) == pytest.approx((0.050, 0.955), abs=0.001)
    for coefficient in law.coefficients:
        assert coefficient.lower is not None
        assert coefficient.upper is not None
        assert 0.01 < coefficient.upper - coefficient.lower < 0.03
    assert law.r_squared == pytest.approx(0.987, abs=0.001)
    assert law.speedup(1.0) == pytest.approx(1 / (c0.value + c1.value))


def test_the_line_that_the_figure_draws_fits_less_well() -> None:
    """The figure prints R2 0.92 for a line of S in r / k."""
    points = published_points()
    S, line = points["speedup"], np.polyval(np.polyfit(points["bins_a_prompt"], points["speedup"], 1), points["bins_a_prompt"])
    assert 1 - np.sum((S - line) ** 2) / np.sum((S - S.mean()) ** 2) == pytest.approx(0.92, abs=0.01)
    assert fit_published().r_squared > 0.98


def test_published_speedups_stay_below_prompts_over_bins() -> None:
    points = published_points()
    assert (points["speedup"] * points["bins_a_prompt"] <= 1).mean() > 0.96


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_prompts_over_bins_are_at_most_the_padding_ratio(lengths: list[int]) -> None:
    by_bins, padding = bound_chain(lengths)
    assert 1 <= by_bins <= padding * (1 + 1e-12)


def test_bounds_of_a_batch_by_hand() -> None:
    assert bound_chain([4, 1, 2, 3]) == (4 / 3, 1.6)


def test_other_batches_of_the_data_sets_follow_from_those_of_16() -> None:
    found = compare_data_sets(draws=100)
    at_16 = found[found["batch"] == 16]
    assert at_16["calibrated_difference_percent"].abs().max() < 5  # models differ by so much
    others = found[found["batch"] != 16]
    assert others["calibrated_difference_percent"].abs().median() < 8
    assert others["implied_difference_percent"].median() < 0  # means are upper bounds
    assert (found["k_over_r"] <= found["padding_ratio"]).all()


def test_bins_beyond_the_published_batches_are_named() -> None:
    law = fit_published()
    assert not law.notes(0.5)
    (note,) = law.notes(0.2)
    assert note.code == "extrapolated"

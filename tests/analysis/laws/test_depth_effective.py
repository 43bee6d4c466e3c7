import numpy as np
import pandas as pd
import pytest

from analysis.laws.depth_effective import effective_depth, halves
from curselab.errors import InputError


def test_uniform_blocks():
    found = effective_depth(np.full((3, 12), 0.05), loss=2.0)
    assert [e.value for e in found.counts] == [12, 12, 0]
    assert found.participation.value == pytest.approx(12)
    assert found.participation_interior.value == pytest.approx(10)
    assert found.entropy_depth.value == pytest.approx(12)
    assert found.median_ratio.value == pytest.approx(1)
    assert found.median_share.value == pytest.approx(0.5)
    assert found.deep_share.value == pytest.approx(0.5)
    assert found.spearman.value == 0
    assert found.useful.value == 0
    assert effective_depth(np.full(12, 0.25), loss=2.0).useful.value == 12
    assert effective_depth(np.full(12, 0.25), loss=2.0, affine=np.repeat([0.1, 0.3], 6)).nonlinear.value == 6


def test_halves_leave_out_both_ends():
    shallow, deep = halves(np.arange(1.0, 13.0)[None])
    assert shallow.tolist() == [[2, 3, 4, 5, 6]]
    assert deep.tolist() == [[7, 8, 9, 10, 11]]
    shallow, deep = halves(np.arange(1.0, 8.0)[None])
    assert (shallow.tolist(), deep.tolist()) == ([[2, 3]], [[4, 5, 6]])


def test_by_hand():
    """Six blocks: interior 0.4, 0.2 | 0.1, -0.1."""
    found = effective_depth([1.0, 0.4, 0.2, 0.1, -0.1, 1.0], truncated=[0.05, 0.09, 0.3, 0.01])
    assert found.median_ratio.value == pytest.approx(0.0)
    assert found.deep_share.value == pytest.approx(0.1 / 0.7)
    assert found.spearman.value == pytest.approx(-1)
    assert found.participation_interior.value == pytest.approx(0.7**2 / (0.16 + 0.04 + 0.01))
    assert found.droppable.value == 2
    assert found.useful is None
    assert found.median_ratio.lower is None


def test_the_pilot_s_numbers_come_back(shared):
    """Removal losses and summaries of a pilot that other code measured, printed to two or three digits."""
    folder = shared / "data/published"
    layers = pd.read_csv(folder / "curse_of_depth_miniature_layers.csv")
    keys = {"mode": "mode", "L": "L", "steps": "steps", "lr": "lr"}
    for row in pd.read_csv(folder / "curse_of_depth_miniature.csv").to_dict("records"):
        mine = layers[np.logical_and.reduce([layers[a] == row[b] for a, b in keys.items()])].dropna(
            subset="removal_loss_increase"
        )
        deltas = mine.sort_values("layer")["removal_loss_increase"].to_numpy()
        assert len(deltas) == row["L"]
        found = effective_depth(deltas)
        assert [e.value for e in found.counts] == [row["ED_001"], row["ED_003"], row["ED_01"]]
        assert found.deep_share.value == pytest.approx(row["deep_share"], abs=6e-4)
        assert found.median_ratio.value == pytest.approx(row["median_drop_deep_over_shallow"], abs=6e-4)
        assert found.spearman.value == pytest.approx(row["spearman_drop"], abs=6e-3)
        assert found.participation.value == pytest.approx(row["participation_depth"], abs=6e-3)


def test_intervals_hold_the_truth():
    rng, inside = np.random.default_rng(0), np.zeros(3)
    truth = np.repeat([0.2, 0.05], 6)
    for _ in range(200):
        found = effective_depth(truth + 0.02 * rng.standard_normal((3, 12)))
        for i, (e, value) in enumerate(((found.median_ratio, 0.25), (found.median_share, 0.2), (found.deep_share, 0.2))):
            inside[i] += e.lower is not None and e.lower < value < e.upper
    assert (inside / 200 > 0.9).all()


def test_a_dead_shallow_half_has_no_ratio():
    found = effective_depth(np.tile([1.0, -0.1, -0.1, 0.1, 0.1, 1.0], (3, 1)))
    assert found.median_ratio.value is None
    assert found.frame().set_index("quantity").loc["median ratio"].isna().all()
    assert found.median_share.value == 1.0
    assert effective_depth(np.tile([1.0, -0.1, -0.1, -0.1, -0.1, 1.0], (3, 1))).median_share.value is None


def test_swapping_the_halves_mirrors_the_median_share():
    d = np.exp(np.random.default_rng(1).standard_normal((4, 12)))
    there, back = (effective_depth(values).median_share for values in (d, d[:, ::-1]))
    assert (there.value, there.lower, there.upper) == pytest.approx((1 - back.value, 1 - back.upper, 1 - back.lower))


@pytest.mark.parametrize("deltas", [[1.0, 2.0, 3.0], [1.0, np.nan, 1.0, 1.0], np.zeros((2, 2, 4))])
def test_bad_deltas_are_one_line(deltas):
    with pytest.raises(InputError, match="deltas: .* is needed"):
        effective_depth(deltas)

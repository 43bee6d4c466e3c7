import numpy as np
import pandas as pd
import pytest

from analysis.laws.stability_gap_schedule import (
    annealing_area,
    cosine,
    forward_area,
    learning_rate_path,
    warmup_stable_decay,
)
from analysis.laws.stability_gap_wang import WANG_2025_OTHER, other_loss
from analysis.laws.stability_gap_wang_sets import WANG_2025, WANG_2025_SIZES
from curselab.errors import InputError

GENERAL, DOMAIN = WANG_2025["kp_106m_general"], WANG_2025["kp_106m_domain"]
PEAK = 2e-4
TRUNK = warmup_stable_decay(40_000, PEAK, warmup=500)

# computed once from the printed constants by another program: share of the peak rate, steps; then, for each text, the loss
# at the transfer, after 100, 1000 and 5000 steps, at the end, at its extreme, the step of that, shift and rate part there
VECTORS = [
    (0.1, 20_000, "general", 3.1913, 3.1924, 3.2218, 3.2745, 3.2988, 3.2992, 16403, 0.1094, 0.0008),
    (0.1, 20_000, "domain", 3.0869, 2.9678, 2.7631, 2.6923, 2.6576, 2.6576, 20000, -0.4275, 0.0001),
    (0.5, 20_000, "general", 3.1913, 3.1967, 3.2853, 3.3568, 3.3532, 3.3651, 9048, 0.1626, 0.0196),
    (0.5, 20_000, "domain", 3.0869, 2.8689, 2.7072, 2.6566, 2.6014, 2.6014, 20000, -0.4774, 0.0004),
    (1.0, 20_000, "general", 3.1913, 3.2017, 3.3299, 3.4047, 3.3678, 3.4062, 6273, 0.1771, 0.0500),
    (1.0, 20_000, "domain", 3.0869, 2.8286, 2.6998, 2.6616, 2.5767, 2.5767, 20000, -0.4956, 0.0008),
    (0.1, 60_000, "general", 3.1913, 3.1924, 3.2218, 3.2766, 3.3382, 3.3384, 48411, 0.1532, 0.0006),
    (0.1, 60_000, "domain", 3.0869, 2.9678, 2.7631, 2.6912, 2.6188, 2.6188, 60000, -0.4628, 0.0000),
    (1.0, 60_000, "general", 3.1913, 3.2017, 3.3300, 3.4107, 3.3733, 3.4240, 12595, 0.2014, 0.0544),
    (1.0, 60_000, "domain", 3.0869, 2.8286, 2.6998, 2.6655, 2.5319, 2.5319, 60000, -0.5208, 0.0001),
]

# set, steps of pre-training; peak step and rise at a constant rate of 2e-4, step back at the start, limit, critical steps
TURNING = [
    ("kp_106m", 40, 26257, 0.185, None, 0.192, 8994),
    ("law_106m", 40, None, None, None, 1.186, 663),
    ("kp_106m_replay33", 40, 6539, 0.0442, 82798, -0.088, 175360),
    ("kp_106m_replay50", 40, 5012, 0.0234, 32194, -0.117, 462545),
    ("kp_106m_replay67", 40, 2867, 0.0077, 12755, -0.058, 93111),
    ("kp_594m", 40, 26223, 0.1402, None, 28.928, 1),
    ("kp_1720m", 40, 32112, 0.1707, None, 8.498, 16),
    ("kp_106m_replay33", 10, 1072, 0.0132, 3577, -0.260, 175360),
    ("kp_106m_replay50", 10, 429, 0.0015, 985, -0.289, 462545),
]


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/stability_gap.csv").set_index(["law", "symbol"])
    laws = WANG_2025 | {f"sizes_{target}": sizes for target, sizes in WANG_2025_SIZES.items()}
    for label, law in laws.items():
        for c in law.coefficients:
            row = table.loc[(f"wang_2025_{label}", c.symbol)]
            assert (c.value, c.unit, law.trust) == (row["value"], row["unit"], row["trust"])
            assert np.isnan(row["lower"])
            assert row["source"].startswith(law.source.split(", Eq")[0])
    for text, weights in WANG_2025_OTHER.items():
        assert weights == tuple(table.loc[f"wang_2025_ood_{text.lower()}", "value"][["w_cpt", "w_pt"]])
    assert (table.loc[(slice(None), "lambda"), "value"] == 0.999).all()


@pytest.mark.parametrize("vector", VECTORS)
def test_any_schedule_to_four_digits(vector):
    share, steps, target, *expected = vector
    path = learning_rate_path(TRUNK, cosine(steps, share * PEAK, warmup=200))
    law = WANG_2025[f"kp_106m_{target}"]
    parts = law.parts(path)
    loss = parts["loss"].to_numpy()
    worst = int(loss.argmax() if target == "general" else loss.argmin())
    found = [law.loss_before(path), loss[99], loss[999], loss[4999], loss[-1], loss[worst]]
    np.testing.assert_allclose(found, expected[:6], atol=5.5e-5, rtol=0)
    assert worst + 1 == pytest.approx(expected[6], abs=3)
    np.testing.assert_allclose(parts[["shift", "learning_rate"]].iloc[worst], expected[7:], atol=6e-5)


@pytest.mark.parametrize(("name", "thousands", "peak", "rise", "back", "limit", "critical"), TURNING)
def test_turning_points(name, thousands, peak, rise, back, limit, critical):
    law = WANG_2025[f"{name}_general"]
    turning = law.turning(thousands * 1000 * PEAK)
    assert turning.rises
    assert turning.limit_rise == pytest.approx(limit, abs=6e-4)
    assert law.critical_forward_area() / PEAK == pytest.approx(critical, rel=1e-3, abs=1)
    for found, expected in ((turning.peak_area, peak), (turning.return_area, back)):
        assert (found is None) == (expected is None)
        assert found is None or found / PEAK == pytest.approx(expected, rel=2e-4, abs=1)
    assert rise is None or turning.peak_rise == pytest.approx(rise, abs=6e-5)


@pytest.mark.parametrize(("name", "peak", "limit"), [("kp_106m", 3333, 0.019), ("kp_594m", 2056, 28.745)])
def test_a_loss_may_be_back_for_a_while_and_lost_again(name, peak, limit):
    """From 10k steps, where beta is below alpha: the limit lies above the start, and yet the loss passes below it."""
    law = WANG_2025[f"{name}_general"]
    turning = law.turning(10_000 * PEAK)
    assert turning.peak_area / PEAK == pytest.approx(peak, abs=1)
    assert turning.limit_rise == pytest.approx(limit, abs=6e-4)
    assert law.constants["beta"] < law.constants["alpha"]
    loss = law.loss(learning_rate_path(np.full(10_000, PEAK), np.full(300_000, PEAK)))
    start = law.loss_before(learning_rate_path(np.full(10_000, PEAK), [PEAK]))
    assert np.flatnonzero(loss < start)[0] == pytest.approx(turning.return_area / PEAK, abs=1)


def test_much_replay_from_an_early_start_never_rises():
    assert not WANG_2025["kp_106m_replay67_general"].turning(2.0).rises
    assert DOMAIN.critical_forward_area() == np.inf


def test_the_areas_are_their_definition():
    rates = np.array([3.0, 2.0, 2.5, 1.0])
    before, decay, direct = 2.0, 0.9, []
    fall = -np.diff(np.concatenate([[before], rates]))
    for t in range(1, 5):
        direct.append(sum(fall[k] * decay ** (i - k) for i in range(t) for k in range(i + 1)))
    np.testing.assert_allclose(annealing_area(rates, before=before, decay=decay), direct)
    np.testing.assert_allclose(forward_area(rates), [3, 5, 7.5, 8.5])


def test_re_warming_alone_raises_the_loss_and_a_constant_rate_does_not():
    parts = GENERAL.parts(learning_rate_path(TRUNK, cosine(20_000, PEAK, warmup=200)))
    assert parts["learning_rate"].max() > 0.04
    np.testing.assert_allclose(parts[["base", "learning_rate", "shift"]].sum(axis=1), parts["loss"])
    flat = GENERAL.parts(learning_rate_path(np.full(40_000, PEAK), np.full(1000, PEAK)))
    assert (flat["learning_rate"] == 0).all()


def test_sizes_meet_the_set_of_their_smallest_model():
    """Fig. 15 against Fig. 12's L0 at 106M (3.067 to 3.069), which only N in millions gives."""
    assert WANG_2025_SIZES["general"].at(106e6).constants["L0"] == pytest.approx(3.067, abs=0.01)
    assert WANG_2025_SIZES["general"].at(1720e6).constants["L0"] == pytest.approx(2.496, abs=0.1)


def test_replay_takes_the_shift_away():
    for law in (GENERAL, DOMAIN):
        shares = [law.with_replay(share, shift_rate=1.5).constants["B"] for share in (0.0, 0.5, 1.0)]
        assert shares[0] == 0
        assert abs(shares[1]) < abs(shares[2])
    assert GENERAL.with_replay(1.0, shift_rate=1.5).constants["B"] == pytest.approx(0.366 * (1 - np.exp(-1.5)))
    assert DOMAIN.with_replay(0.5, shift_rate=1.5, annealing_rate=0.1).constants["C2"] == pytest.approx(0.324 * np.exp(0.05))
    with pytest.raises(InputError, match="between 0 and 1"):
        GENERAL.with_replay(2.0, shift_rate=1.0)


def test_a_third_text():
    assert float(other_loss(3.0, 2.5, "C4")) == pytest.approx(0.152 * 2.5 + 0.867 * 3.0)
    with pytest.raises(InputError, match="C4"):
        other_loss(3.0, 2.5, "c4")


def test_bad_schedules_are_one_line_errors():
    with pytest.raises(InputError, match="learning rates"):
        forward_area([1.0, -1.0])
    with pytest.raises(InputError, match="warm-up"):
        cosine(10, 1.0, warmup=10)

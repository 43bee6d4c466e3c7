import numpy as np
import pandas as pd
import pytest

from analysis.laws.capacity_gap_published import PUBLISHED, ZhangCapacityGap
from analysis.laws.distillation_scaling import DistillationScaling

LAW = ZhangCapacityGap()


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/capacity_gap.csv").set_index(["law", "symbol"])
    for constant in LAW.coefficients:
        row = table.loc[("zhang_2023", constant.symbol)]
        assert (constant.value, LAW.trust) == (row["value"], row["trust"])
        assert np.isnan(row["lower"])
        assert constant.lower is None
    sizes = [
        table.loc[("zhang_2023", f"{family}_{end}_teacher"), "value"]
        for family in ("gpt2", "pythia")
        for end in ("smallest", "largest")
    ]
    assert (min(sizes), max(sizes)) == LAW.teachers
    assert table["source"].str.len().min() > 10
    assert set(table["trust"]) <= {"primary", "secondary", "derived"}


def test_the_line_in_millions():
    """By hand: 2.498 * 600 - 11.498 = 1487.302."""
    best = LAW.best_teacher(600e6)
    assert best.teacher == pytest.approx(1487.302e6)
    assert best.lower is None
    assert best.notes == ()


def test_it_says_where_it_ends():
    """Teachers up to 2.8B were tried. Below 11.498 / 1.498 = 7.68 million the teacher would be smaller than its student."""
    assert [note.code for note in LAW.best_teacher(3.02e9).notes] == ["extrapolated"]
    below = LAW.best_teacher(5e6)
    assert below.teacher is None
    assert "7.68e+06" in below.notes[0].message
    assert LAW.best_teacher(7.7e6).teacher is not None


def test_drawn_lines_lie_within_what_their_source_supports():
    zhang, busbridge = PUBLISHED
    slope, offset = (c.value for c in LAW.coefficients)
    assert (zhang.ratio, zhang.offset) == (slope, offset)
    assert all(law.span[0] < law.ratio < law.span[1] for law in PUBLISHED)
    law = DistillationScaling()
    for size in (546e6, 1.82e9, 7.75e9):
        for per_param in (160, 320, 1000):
            ratio = law.best_teacher(size, per_param * size, draws=0).teacher / size
            assert 0.995 * busbridge.span[0] < ratio < 1.005 * busbridge.span[1]

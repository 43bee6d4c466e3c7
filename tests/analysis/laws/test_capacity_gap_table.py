import numpy as np
import pytest

from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.capacity_gap_table import read_cells
from tests.analysis.factories import capacity_gap_runs

NAMES = {
    "params_non_embedding": "student",
    "teacher_params_non_embedding": "teacher",
    "loss_nats_per_token": "loss",
    "teacher_loss_nats_per_token": "teacher_loss",
    "seed": "seed",
}


def _notes(data):
    return {note.code: note.message for note in fit_capacity_gap(data, bootstrap=20).warnings}


def test_cells_are_the_table_by_seed_and_teacher():
    data = capacity_gap_runs((1_000_000, 2_000_000), ratios=np.array([1.0, 2.0, 4.0]), seeds=2)
    distilled = data[data["objective"] == "distill"]
    small, large = read_cells(distilled, data, NAMES)
    assert (small.student, large.student) == (1e6, 2e6)
    assert small.teachers.tolist() == [1e6, 2e6, 4e6]
    for seed in (0, 1):
        row = distilled[(distilled["params_non_embedding"] == 1_000_000) & (distilled["seed"] == seed)]
        assert small.losses[seed].tolist() == row["loss_nats_per_token"].tolist()
    plain = data[(data["stage"] == "plain") & (data["params_non_embedding"] == 2_000_000)]
    assert large.plain_loss == pytest.approx(plain["loss_nats_per_token"].mean())


def test_a_full_design_leaves_only_the_teacher_s_luck():
    assert set(_notes(capacity_gap_runs())) == {"teacher_luck"}
    data = capacity_gap_runs()
    twice = data.assign(teacher_seed=data["seed"] % 2)
    assert _notes(twice) == {}


def test_teachers_that_do_not_share_their_seeds_are_named():
    data = capacity_gap_runs()
    first = data["teacher_params_non_embedding"] == data["teacher_params_non_embedding"].min()
    message = _notes(data[~(first & (data["seed"] == 0))])["missing_pairing"]
    assert message == "student 5.46e+08: 1 of 52 pairs of seed and teacher have no run, so not all teachers share their seeds"


@pytest.mark.parametrize(
    ("ratios", "covered"),
    [
        (2.0 ** np.arange(0, 5.1, 0.5), True),
        (2.0 ** np.arange(0, 4.1, 0.5), False),
        (2.0 ** np.arange(1, 6.1, 0.5), False),
        (1.1 * 2.0 ** np.arange(0, 5), False),
        (np.array([1.1, 3, 9, 30]), True),
    ],
)
def test_ratios_that_the_grid_leaves_out_are_named(ratios, covered):
    notes = _notes(capacity_gap_runs(ratios=ratios))
    assert ("ratio_coverage" not in notes) == covered
    if not covered:
        assert "1 to 32 are advised" in notes["ratio_coverage"]

import pytest

from analysis.fit import fit_file
from curselab.contract import check_frame
from curselab.errors import InputError
from figures.draw import draw_file
from tests.analysis.factories import capacity_gap_runs


def test_a_figure_is_drawn_from_files_and_repeats(tmp_path):
    check_frame("runs", capacity_gap_runs(seeds=2), where="x").to_csv(tmp_path / "runs.csv", index=False)
    fit_file("capacity_gap", tmp_path / "runs.csv", tmp_path / "fit.json")
    first = draw_file("capacity_gap", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "a/gap")
    second = draw_file("capacity_gap", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "b/gap")
    assert [path.name for path in first] == ["gap.pdf", "gap.png"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    with pytest.raises(InputError, match="allowed: scaling, capacity_gap"):
        draw_file("gravity", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "x")

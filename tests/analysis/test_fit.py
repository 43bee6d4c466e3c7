import json
import subprocess
import sys

import pandas as pd
import pytest

from analysis.fit import fit_file, read_fit, read_table
from analysis.tables import render
from curselab.contract import check_frame
from curselab.errors import InputError
from figures.capacity_gap import draw
from figures.draw import draw_file
from tests.analysis.factories import capacity_gap_runs, scaling_runs


@pytest.fixture
def runs(tmp_path):
    """Table of two sweeps."""
    gap = capacity_gap_runs(seeds=2)
    both = pd.concat([scaling_runs(noise=0.01), gap.assign(run_id=[f"1{i[1:]}" for i in gap["run_id"]])])
    path = tmp_path / "runs.csv"
    check_frame("runs", both, where="x").to_csv(path, index=False)
    return path


@pytest.mark.parametrize("law", ["scaling", "capacity_gap"])
def test_a_fit_file_reads_back_and_repeats_byte_for_byte(runs, tmp_path, law):
    result = fit_file(law, runs, tmp_path / "a.json")
    fit_file(law, runs, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_fit(tmp_path / "a.json") == result
    content = json.loads((tmp_path / "a.json").read_text())
    assert set(content) == {"law", "result", "inputs", "versions"}
    assert len(content["inputs"]["runs_sha256"]) == 64
    assert result.counts.n_runs == (25 if law == "scaling" else 26)


@pytest.mark.parametrize(
    ("name", "size", "loss"), [("kernel_toy", "basis functions", "distance"), ("mapping", "parameters", "label")]
)
def test_a_controlled_truth_is_fitted_drawn_and_written_in_its_own_units(root, tmp_path, name, size, loss):
    """Of the committed table of its full grid."""
    runs = root / "results" / "reference" / name / "runs.csv"
    fit = fit_file(name, runs, tmp_path / "fit.json")
    assert read_fit(tmp_path / "fit.json") == fit
    draw_file(name, tmp_path / "fit.json", runs, tmp_path / "drawn")
    assert (tmp_path / "drawn.pdf").exists()
    axes, drawn = draw(fit, read_table(name, runs))
    labels = [words for ax in axes for words in (ax.get_xlabel(), ax.get_ylabel())]
    everything = [*labels, fit.summary(), render(fit)]
    assert not any("nats/token" in words for words in everything)
    assert all(f"({size})" in words for words in (labels[0], labels[2], labels[3], fit.summary(), render(fit)))
    assert all(loss in words for words in (labels[1], fit.summary(), render(fit)))
    assert not drawn["series"].str.contains("et al").any()  # laws of language models
    assert "et al" not in render(fit)
    for student in fit.students:
        assert f"{student.p_no_rise:.2g}" in fit.summary()
    p = [f"{q:.2g}" for q in (min(s.p_no_rise for s in fit.students), max(s.p_no_rise for s in fit.students))]
    assert any(f"of no rise: {' to '.join(dict.fromkeys(p))}" in text.get_text() for text in axes[1].texts)


def test_wrong_files_and_names_are_one_line_errors(runs, tmp_path):
    with pytest.raises(InputError, match="allowed: scaling, capacity_gap"):
        fit_file("gravity", runs, tmp_path / "x.json")
    with pytest.raises(InputError, match="no such file"):
        read_fit(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="not a fit file"):
        read_fit(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"law": "scaling", "result": {"law": "scaling"}}')
    with pytest.raises(InputError, match=r"x.json: fit: .* fit the runs again"):
        read_fit(tmp_path / "x.json")
    runs.write_text(runs.read_text().replace("scaling,run", "other,run"))
    with pytest.raises(InputError, match="sweeps capacity_gap, other are there, one named scaling is needed"):
        fit_file("scaling", runs, tmp_path / "x.json")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import analysis", ["torch", "lightning", "trainer", "sweeps", "scipy", "pandas", "statsmodels"]),
        ("from analysis import fit_scaling_law", ["torch", "lightning", "trainer", "statsmodels", "matplotlib"]),
        ("import analysis.laws.capacity_gap", ["torch", "analysis.laws.scaling", "statsmodels"]),
        ("import analysis.laws.scaling", ["torch", "analysis.laws.capacity_gap", "statsmodels"]),
        ("import analysis.fit, analysis.tables", ["torch", "analysis.laws.scaling", "analysis.laws.capacity_gap"]),
    ],
)
def test_what_an_import_must_not_load(root, statement, absent):
    code = f"import sys; {statement}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_offers_its_doors():
    import analysis

    for name in analysis.__all__:
        published = name.isupper()  # laws by the names of their constants
        assert callable(getattr(analysis, name)) != published, name
    with pytest.raises(AttributeError, match="fit_gravity"):
        _ = analysis.fit_gravity

import importlib
import re

import numpy as np
import pytest

from analysis.fit import fit_file, read_beside, read_table
from analysis.laws.registry import LAWS, find
from curselab.contract import check_frame
from curselab.errors import InputError
from figures import overview
from figures.draw import draw_file
from figures.style import WIDTHS_IN, save
from tests.analysis.factories import capacity_gap_runs

_SLOW = [pytest.mark.slow, pytest.mark.timeout(3600)]
LONG = [pytest.param(law, marks=_SLOW) for law in ("depth", "multilinguality", "stability_gap")]


def test_a_figure_is_drawn_from_files_and_repeats(tmp_path):
    check_frame("runs", capacity_gap_runs(seeds=2), where="x").to_csv(tmp_path / "runs.csv", index=False)
    fit_file("capacity_gap", tmp_path / "runs.csv", tmp_path / "fit.json")
    first = draw_file("capacity_gap", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "a/gap")
    second = draw_file("capacity_gap", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "b/gap")
    assert [path.name for path in first] == ["gap.pdf", "gap.png", "gap.svg"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    with pytest.raises(InputError, match="allowed: scaling, capacity_gap"):
        draw_file("gravity", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "x")


@pytest.mark.parametrize("venue", ["acl", "beamer"])
def test_every_figure_has_exactly_the_venue_s_page_and_truetype_fonts(laws, venue, tmp_path):
    fits, tables = laws
    pages = {law: importlib.import_module(f"figures.{law}").draw(fits[law], **tables[law], venue=venue)[0] for law in LAWS}
    pages["overview"] = overview.draw(fits, tables, venue=venue)[0]
    for name, axes in pages.items():
        figure = np.ravel(axes)[0].get_figure(root=True)
        content = save(figure, tmp_path / name)[0].read_bytes()
        _, _, *size = (float(number) for number in re.search(rb"/MediaBox \[([^]]+)\]", content).group(1).split())
        assert size == pytest.approx([72 * WIDTHS_IN[venue], 72 * figure.get_figheight()], abs=1e-3)
        assert b"/Type3" not in content
        assert b"/FontFile2" in content


@pytest.mark.parametrize("law", ["capacity_gap", "kernel_toy", "mapping", "prepacking", *LONG])
def test_the_figure_of_a_full_grid_is_legible(root, law, legible):
    runs, entry = root / "results" / "reference" / law / "runs.csv", find(law)
    table, beside = read_table(law, runs), read_beside(law, runs)
    fit = entry.load_fit()(table, **beside, **entry.options)
    for venue in ("acl", "neurips"):
        axes, _ = importlib.import_module(f"figures.{entry.room}").draw(fit, table, **beside, venue=venue)
        legible(np.ravel(axes))

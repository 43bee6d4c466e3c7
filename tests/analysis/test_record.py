import base64
import json
import re
from html import unescape
from pathlib import Path

import pytest

from analysis.fit import fit_file, read_fit
from analysis.record import write_record
from analysis.tables import lay_out
from analysis.typeset import plain
from curselab.contract import check_frame
from curselab.errors import InputError
from curselab.files import write_bytes, write_text
from tests.analysis.factories import learning_rate_runs, scaling_runs

PICTURE = b"\x89PNG of a law"
RUNS = {"scaling": lambda: scaling_runs(noise=0.005), "learning_rate": learning_rate_runs}


def put_results(folder: Path, law: str = "scaling") -> Path:
    """Fit, figure and provenance of a law, where the workflow has them."""
    results = folder / "results"
    tables = results / "tables" / law
    tables.mkdir(parents=True)
    check_frame("runs", RUNS[law](), where="x").to_csv(tables / "runs.csv", index=False)
    fit_file(law, tables / "runs.csv", results / "fits" / f"{law}.json")
    write_bytes(results / "figures" / f"{law}.png", PICTURE)
    write_text(tables / "provenance.csv", "run_id,git_revision,wall_s\na,4e5f,1.5\nb,4e5f,2.5\nc,,1.0\n")
    return results


@pytest.mark.parametrize("law", RUNS)
def test_the_page_has_figure_table_record_configuration_and_provenance(tmp_path: Path, law: str) -> None:
    results, out = put_results(tmp_path, law), tmp_path / "page.html"
    write_record(law, results, {"grid": "tiny", law: {"run": {"seed": [0, 1]}}}, "Loss <b>& size</b>.", out)
    page = out.read_text()
    path = results / "fits" / f"{law}.json"
    fit, content = read_fit(path), json.loads(path.read_text())
    table, seen = lay_out(fit), unescape(page)
    cells = [plain(cell) for row in table.cells.to_numpy() for cell in row]
    rests_on = [*content["inputs"].values(), *content["versions"].values()]
    for words in ("Loss <b>& size</b>.", *cells, plain(table.note), fit.summary(), "seed: [0, 1]", *rests_on):
        assert words in seen
    assert "<b>" not in page
    assert ("hold_out:" in page) == hasattr(fit, "report")
    rows = dict(re.findall(r"<th>(\w+)</th>\s*<td>(.*)</td>\s*<td>.*</td>", page))
    assert rows == {"git_revision": "4e5f", "rows": "2"}  # sources, the most frequent first; not what each run has of its own


def test_the_page_needs_no_other_file(tmp_path: Path) -> None:
    write_record("scaling", put_results(tmp_path), {}, "", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    (picture,) = re.findall(r'(?:src|href|url|@import)\W+(.*)"', page)
    assert base64.b64decode(picture.removeprefix("data:image/png;base64,")) == PICTURE


def test_a_law_without_a_fit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"depth.json: no such file, a fit is needed"):
        write_record("depth", tmp_path, {}, "", tmp_path / "page.html")

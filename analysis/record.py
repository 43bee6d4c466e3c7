"""The record of a fit as one HTML page that needs no other file: what was found, how it was asked, and what it rests on."""

import base64
import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader
from ruamel.yaml import YAML

from analysis.fit import read_fit
from analysis.tables import lay_out
from curselab.files import write_text

_PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
_OF_ONE_RUN = ["run_id", "teacher_width", "seed", "wall_s", "cpu_s"]


def write_record(law: str, results: Path, configuration: Mapping[str, Any], caption: str, out: Path) -> None:
    """Write figure, table, summary, configuration and provenance of a law as one page.

    Parameters
    ----------
    law : str
        Its ``fits/LAW.json``, ``figures/LAW.png`` and ``tables/LAW/provenance.csv`` are read.
    results : Path
        Folder of results.
    configuration : mapping
        What the grid says of the law.
    caption : str
        Of the figure.
    out : Path
        HTML file.

    Raises
    ------
    InputError
        There is no fit of the law.
    OSError
        Its figure or its provenance is missing.
    """
    path = results / "fits" / f"{law}.json"
    fit = read_fit(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    made_by = pd.read_csv(results / "tables" / law / "provenance.csv", dtype=str).drop(columns=_OF_ONE_RUN, errors="ignore")
    page = _PAGES.get_template("record.html.jinja").render(
        law=law,
        figure=base64.b64encode((results / "figures" / f"{law}.png").read_bytes()).decode(),
        caption=caption,
        table=lay_out(fit).render(".html"),
        summary=fit.summary(),
        report=_as_yaml(fit.report()) if hasattr(fit, "report") else "",
        configuration=_as_yaml(configuration),
        rests_on=content["inputs"] | content["versions"],
        made_by=made_by.value_counts(dropna=False).reset_index(name="rows").T.to_html(header=False, border=0, na_rep=""),
    )
    write_text(out, page)


def _as_yaml(content: Any) -> str:
    yaml, text = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style = None  # lists of numbers on one line
    yaml.width = 120
    yaml.representer.ignore_aliases = lambda data: True
    yaml.representer.sort_base_mapping_type_on_output = False
    yaml.dump(content, text)
    return text.getvalue()

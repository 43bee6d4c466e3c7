import csv
import io
import json
import math

import numpy as np
import pytest

from curselab.cli.options import Format
from curselab.cli.terminal import show, wrapped

ROWS = [
    {"name": "a b", "count": 1_234_567, "value": np.float64(1 / 3), "none": math.nan, "right": True},
    {"name": "c, d", "count": 2, "value": 2.0e12, "none": None, "right": False},
]


def test_programs_get_every_digit(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Format.JSON)
    first = json.loads(capsys.readouterr().out)[0]
    assert first == {"name": "a b", "count": 1_234_567, "value": 1 / 3, "none": None, "right": True}
    show(ROWS, Format.CSV)
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in found] == ["a b", "c, d"]
    assert float(found[0]["value"]) == 1 / 3
    assert found[0]["none"] == ""
    show([], Format.JSON)
    assert json.loads(capsys.readouterr().out) == []


def test_people_get_few_digits_and_a_pipe_no_wrapping(capsys: pytest.CaptureFixture[str]) -> None:
    show([row | {"long": "word " * 60} for row in ROWS])
    heads, first, second = capsys.readouterr().out.splitlines()
    assert heads.split()[:4] == ["name", "count", "value", "none"]
    assert first.split()[:6] == ["a", "b", "1,234,567", "0.3333", "-", "yes"]
    assert second.split()[:6] == ["c,", "d", "2", "2e+12", "-", "no"]


def test_prose_is_as_wide_as_the_terminal_and_formulas_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    prose, formula = "word " * 60, ".. math:: " + "x + " * 60
    assert wrapped(prose) == prose  # a pipe
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, wrapped(prose).splitlines())) <= 60
    assert wrapped(formula) == formula

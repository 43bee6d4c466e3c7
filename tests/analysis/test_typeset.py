import csv
import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uncertainties import ufloat

from analysis.typeset import Table, interval, plain, short, with_uncertainty
from curselab.errors import InputError

TABLE = Table(
    pd.DataFrame({r"$\alpha$, 95% interval": ["0.347(16)", r"$1.00 \times 10^{5}$"], "lr|new_text": ["a_b & c", "--"]}),
    r"50 runs, $p < 5$ at 1% of {a}\b~c^d.",
)


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        # CODATA 2018 prints the gravitational constant as 6.674 30(15) and the tau's mass as 1776.86(12) MeV
        (6.67430, 0.00015, "6.67430(15)"),
        (1776.86, 0.12, "1776.86(12)"),
        (0.34731, 0.0154, "0.347(15)"),
        (477.8, 124.5, "480(120)"),
        (2143.4, 1293.0, "2100(1300)"),
        (12.34, 1.23, "12.3(1.2)"),
        (0.5, 0.0996, "0.50(10)"),
        (1.5, 0.0, "1.50"),
        (1.5, float("nan"), "1.50"),
    ],
)
def test_two_digits_of_the_error_are_kept(value, se, text):
    assert with_uncertainty(value, se) == text


@given(st.floats(-1e6, 1e6), st.floats(-6, 1.99).map(lambda power: 10.0**power))
def test_rounding_is_that_of_the_package_uncertainties(value, se):
    """Which keeps all digits before the point, and so more than two of an error above 99."""
    assert with_uncertainty(value, se).replace("-0(", "0(") == f"{ufloat(value, se):.2ufS}".replace("-0(", "0(")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99999, "1.00"), (1234.5, "1230"), (2.5e8, r"$2.50 \times 10^{8}$"), (2e-5, r"$2.00 \times 10^{-5}$"), (0.0, "0")],
)
def test_numbers_are_rounded_to_three_digits(value, text):
    assert short(value) == text


@given(st.floats(-1e300, 1e300))
def test_a_number_comes_back_from_plain_text_to_three_digits(value):
    assert float(plain(short(value))) == pytest.approx(value, rel=5.1e-3, abs=0)


def test_no_number_is_a_dash():
    assert interval(None, float("nan")) == "[--, --]"


def test_latex_escapes_all_but_mathematics():
    text = TABLE.render(".tex")
    assert r"$\alpha$, 95\% interval & lr|new\_text \\" in text
    assert r"$1.00 \times 10^{5}$ & -- \\" in text
    assert r"a\_b \& c" in text
    assert r"50 runs, $p < 5$ at 1\% of \{a\}\textbackslash{}b\textasciitilde{}c\textasciicircum{}d." in text
    for line in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert line in text


def test_markdown_keeps_mathematics_and_its_columns():
    heading, rule, *rows = TABLE.render(".md").split("\n\n")[0].splitlines()
    narrow = [re.sub(" +", " ", line) for line in (heading, *rows)]
    assert narrow[0] == r"| $\alpha$, 95% interval | lr\|new_text |"
    assert narrow[1:] == ["| 0.347(16) | a_b & c |", r"| $1.00 \times 10^{5}$ | -- |"]
    assert rule.count("|") == 3
    assert TABLE.render(".md").endswith(f"\n\n{TABLE.note}\n")


def test_csv_is_plain_text_with_the_note_in_its_first_row():
    rows = list(csv.reader(io.StringIO(TABLE.render(".csv"))))
    assert rows[0] == ["alpha, 95% interval", "lr|new_text", "Note"]
    assert rows[1][:2] == ["0.347(16)", "a_b & c"]
    assert rows[1][2].startswith("50 runs, p < 5 at 1% of")
    assert rows[2] == ["1.00e5", "", ""]


class Cells(HTMLParser):
    """Rows of a table, and the words after it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.words = [], ""

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.lasttag in ("th", "td") and data.strip():
            self.rows[-1][-1] += data
        elif self.lasttag == "p":
            self.words += data


def test_html_has_the_cells_of_csv_and_the_note_below():
    heading, first, second = csv.reader(io.StringIO(TABLE.render(".csv")))
    page = Cells()
    page.feed(TABLE.render(".html"))
    assert page.rows == [heading[:2], first[:2], [second[0], "--"]]
    assert page.words.strip() == first[2]


def test_another_ending_is_refused():
    with pytest.raises(InputError, match=r"'.docx' was asked for \(allowed: .tex, .md, .csv, .html\)"):
        TABLE.render(".docx")

"""Numbers and tables as text: one table as LaTeX (booktabs), Markdown, CSV or HTML.

The cells of a table are text with mathematics between dollars, which Markdown keeps, LaTeX keeps with the rest escaped, and
CSV and HTML get as plain text.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import pandas as pd

from curselab.errors import InputError

NOTHING = "--"
"""No number."""
_ESCAPED = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table for a paper."""

    cells: pd.DataFrame
    """Text; units stand in the names of the columns."""
    note: str
    """How many runs it rests on, and what its columns cannot say."""

    def render(self, ending: str) -> str:
        """Write the table in the format of a file's ending.

        Parameters
        ----------
        ending : str
            ``.tex``, ``.md``, ``.html`` or ``.csv``, where the note is a last column in the first row.

        Raises
        ------
        InputError
            Another ending.
        """
        if ending not in _FORMATS:
            raise InputError(f"table: a file ending in {ending!r} was asked for (allowed: {', '.join(_FORMATS)})")
        return _FORMATS[ending](self)


def with_uncertainty(value: float, se: float) -> str:
    """Round to two digits of the standard error, with the error in parentheses: 0.347310, 0.0155 -> ``0.347(16)``."""
    if not (math.isfinite(value) and math.isfinite(se) and se > 0):
        return short(value)
    # rounded first: 0.0996 has two digits at 0.100, not at 0.0996
    digits = 1 - math.floor(math.log10(float(f"{se:.1e}")))
    if digits < 0:
        return f"{round(value, digits):.0f}({round(se, digits):.0f})"
    error = f"{se:.{digits}f}" if se >= 1 else f"{round(se * 10**digits):d}"
    return f"{value:.{digits}f}({error})"


def short(value: float | None, digits: int = 3) -> str:
    """Round to significant digits, with powers of ten as mathematics; a dash for no number."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        rounded = float(f"{value:.{digits}g}")
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
        return f"{rounded:.{decimals}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def interval(lower: float | None, upper: float | None) -> str:
    """``[lower, upper]`` in significant digits."""
    return f"[{short(lower)}, {short(upper)}]"


def _latex(table: Table) -> str:
    escaped = table.cells.map(_escape).rename(columns=_escape)
    text = escaped.style.hide(axis="index").to_latex(hrules=True, column_format="l" * len(escaped.columns))
    return f"% needs \\usepackage{{booktabs}}\n{text}\\par\\smallskip{{\\footnotesize {_escape(table.note)}}}\n"


def _markdown(table: Table) -> str:
    cells = table.cells.map(_without_pipes).rename(columns=_without_pipes)
    return f"{cells.to_markdown(index=False, disable_numparse=True)}\n\n{table.note}\n"


def _csv(table: Table) -> str:
    cells = table.cells.map(plain).rename(columns=plain).replace(NOTHING, "")
    note = pd.Series([plain(table.note)]).reindex(cells.index, fill_value="")
    return cells.assign(Note=note).to_csv(index=False, lineterminator="\n")


def _html(table: Table) -> str:
    cells = table.cells.map(plain).rename(columns=plain)
    return f"{cells.to_html(index=False, border=0)}\n<p>{escape(plain(table.note))}</p>\n"


_FORMATS: dict[str, Callable[[Table], str]] = {".tex": _latex, ".md": _markdown, ".csv": _csv, ".html": _html}


def _escape(text: str) -> str:
    parts = text.split("$")
    return "$".join(part if i % 2 else part.translate(_ESCAPED) for i, part in enumerate(parts))


def _without_pipes(text: str) -> str:
    return text.replace("|", r"\|")


def plain(text: str) -> str:
    r"""Mathematics as plain text: ``$2.50 \times 10^{8}$`` -> ``2.50e8``, ``$\alpha$`` -> ``alpha``."""
    text = re.sub(r"\$(-?[\d.]+) \\times 10\^\{(-?\d+)\}\$", r"\1e\2", text)
    return re.sub(r"\$([^$]*)\$", lambda match: match[1].replace("\\", ""), text)

"""Tables on the terminal and in pipes."""

import csv
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from curselab.cli.options import Format

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
_UNBOUNDED = 10_000  # columns of a pipe, which has no width


def show(rows: Sequence[Row], form: Format = Format.TEXT) -> None:
    """Print rows with equal keys: a table of rounded numbers for people, or every digit as CSV or JSON."""
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    if form is Format.JSON:
        typer.echo(json.dumps(plain, indent=2, allow_nan=False))
    elif form is Format.CSV:
        writer = csv.DictWriter(sys.stdout, list(plain[0]) if plain else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
    else:
        console().print(text_table(plain))


def records(frame: "pd.DataFrame") -> list[Row]:
    """Rows of a table of the analysis."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def console() -> Console:
    """Standard output: as wide as the terminal, and never wrapped in a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED)


def wrapped(block: str) -> str:
    """A paragraph of prose as wide as the terminal; formulas, tables and what goes into a pipe as they are."""
    prose = not block.startswith(("..", "=")) and "\n " not in block
    return textwrap.fill(block, console().width, break_on_hyphens=False) if prose and sys.stdout.isatty() else block


def text_table(rows: Sequence[Row]) -> Table:
    """Lay out rows for people: numbers to the right, a dash where there is none."""
    table = Table(box=None, pad_edge=False, header_style="bold" if sys.stdout.isatty() else "")
    for name in rows[0] if rows else ():
        numbers = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    return table


def _plain(value: Any) -> Any:
    """A value as JSON has it: numpy's as Python's, None for no number."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from curselab.errors import InputError


class Format(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"


def law_names(incomplete: str) -> list[str]:
    """Names that a shell may complete, read without importing any law."""
    from analysis.laws.registry import LAWS, PROBLEMS

    return [name for name in (*LAWS, *PROBLEMS) if name.startswith(incomplete)]


Config = Annotated[Path, typer.Option(help="Grid, such as config/smoke.yaml.")]
Venue = Annotated[str, typer.Option(help="Whose column the figure is as wide as: neurips, icml, acl, beamer, ...")]
Results = Annotated[Path, typer.Option(help="Folder of results.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that train at once, one thread each.")]
Form = Annotated[Format, typer.Option("--format", help="text for people; csv and json, without rounding, for programs.")]
OnlySweeps = Annotated[list[str] | None, typer.Option("--sweep", help="This sweep alone; repeatable.")]
FitFile = Annotated[Path, typer.Argument(help="JSON file of the fit, such as results/fits/scaling.json.")]
FlopPerS = Annotated[float | None, typer.Option("--flop-per-s", min=0, help="Speed of one core or GPU, FLOP/s.")]
Points = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE[,VALUE...]", help="Inputs, such as params=1e8 tokens=2e9,2e10.")
]


def read_points(words: list[str]) -> dict[str, list[float | str]]:
    """Read ``NAME=VALUE[,VALUE...]``; what is no number stays a word.

    Raises
    ------
    InputError
        A word is not of that form, or a name is there twice.
    """
    points: dict[str, list[float | str]] = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not (name and equals and values) or name in points:
            raise InputError(f"input {word!r}: NAME=VALUE[,VALUE...] is needed, each name once, such as params=1e8")
        points[name] = [_number(value) for value in values.split(",")]
    return points


def _number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word

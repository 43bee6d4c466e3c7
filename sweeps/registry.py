"""Names of the sweeps, one a law, of the benches and of the controlled truths: the same name in every room of the house."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from curselab.errors import InputError

SWEEPS = ("scaling", "capacity_gap", "learning_rate", "depth", "multilinguality", "stability_gap")
PROBLEMS = ("kernel_toy", "mapping")
"""Controlled truths: small problems whose tables the law of capacity gap reads."""
BENCHES = ("prepacking",)
"""What is timed rather than trained, one a law, with a table of its own."""
FOLDER = Path(__file__).parent


def read_yaml(path: Path) -> Any:
    """Read YAML 1.2 in safe mode, so that ``3e-4`` and ``1e18`` are numbers and ``no`` is a word.

    Raises
    ------
    InputError
        The file is missing, not UTF-8 or not YAML.
    """
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {place}{getattr(error, 'problem', None) or 'not YAML'}") from None


def sweep_file(name: str) -> Path:
    """Path of the YAML file of a sweep, a problem or a bench by its name."""
    known = SWEEPS + PROBLEMS + BENCHES
    if name not in known:
        raise InputError(f"sweep {name!r}: unknown (allowed: {', '.join(known)})")
    return FOLDER / f"{name}.yaml"

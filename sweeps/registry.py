"""Names of the sweeps, one a law, of the benches and of the controlled truths: the same name in every room of the house."""

import math
import warnings
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError, YAMLWarning

from curselab.errors import InputError

SWEEPS = ("scaling", "capacity_gap", "learning_rate", "depth", "multilinguality", "stability_gap")
PROBLEMS = ("kernel_toy", "mapping")
"""Controlled truths: small problems whose tables the law of capacity gap reads."""
BENCHES = ("prepacking",)
"""What is timed rather than trained, one a law, with a table of its own."""
FOLDER = Path(__file__).parent
_MOST = 1_000_000


def read_yaml(path: Path) -> Any:
    """Read YAML 1.2 in safe mode, so that ``3e-4`` and ``1e18`` are numbers and ``no`` is a word.

    Raises
    ------
    InputError
        The file is missing, not UTF-8 or not YAML, an anchor is given twice, aliases make it endless, a key is no string, or
        a number is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", YAMLWarning)  # an anchor that is given twice is most often a slip
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {place}{getattr(error, 'problem', None) or 'not YAML'}") from None
    except YAMLWarning as warning:
        raise InputError(f"{path}: {' '.join(str(warning).split())}") from None
    except ValueError as error:  # a date that is none, a number of too many digits
        raise InputError(f"{path}: {error}") from None
    if _values(content, {}, path) > _MOST:
        raise InputError(f"{path}: more than {_MOST:,} values when every alias is written out")
    return content


def _values(content: object, known: dict[int, float], path: Path) -> float:
    """Count values in lists and mappings, those behind an alias as often as it is used; no end where one holds itself."""
    if isinstance(content, int) and content.bit_length() > 63:
        raise InputError(f"{path}: a number of {content.bit_length()} bits was given, 63 are allowed")
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        known[id(content)] = math.inf  # until all in it is counted
        for key in content if isinstance(content, dict) else ():
            if not isinstance(key, str):
                raise InputError(f"{path}: {key!r} was given as a key, a string is needed (in quotes)")
        inside = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_values(value, known, path) for value in inside)
    return known[id(content)]


def sweep_file(name: str) -> Path:
    """Path of the YAML file of a sweep, a problem or a bench by its name."""
    known = SWEEPS + PROBLEMS + BENCHES
    if name not in known:
        raise InputError(f"sweep {name!r}: unknown (allowed: {', '.join(known)})")
    return FOLDER / f"{name}.yaml"

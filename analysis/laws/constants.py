"""Constants of published laws by the name of their set, as ``results/published/*.csv`` holds them."""

import csv
from typing import Any

from curselab.contract import CONTRACT

_FOLDER = CONTRACT.parent / "published"
_NUMBERS = ("value", "lower", "upper", "level")


def published_sets() -> dict[str, list[dict[str, Any]]]:
    """Return all sets: name -> one row a constant (``symbol``, ``value``, ``unit``, ends, ``trust``, ``source``, ``law``).

    ``law`` is the room of the house that the set belongs to.
    """
    sets: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(_FOLDER.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if {"law", "symbol"} <= set(reader.fieldnames or ()):
                for row in reader:
                    numbers = {name: float(row[name]) if row[name] else None for name in _NUMBERS}
                    sets.setdefault(row["law"], []).append({**row, **numbers, "law": path.stem})
    return sets

"""Whether the files of a run are still those that it left: their sha256 stand in its ``provenance.json``.

A disk or a copy that turns a bit would otherwise change a number in silence: JSON has no checksums, and those of parquet leave
out its footer. Weights are large, and checked by who loads them.
"""

import hashlib
import json
from pathlib import Path

from curselab.errors import InputError

CHECKED = ("spec.json", "metrics.parquet", "layers.parquet", "summary.json")
REMEDY = "'snakemake --forcerun train' trains its run again"


def sha256_of(path: Path) -> str:
    """Sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Name -> sha256 of the files in a run's folder that are checked."""
    return {name: sha256_of(folder / name) for name in CHECKED if (folder / name).exists()}


def require_intact(folder: Path) -> None:
    """Refuse a run's folder where a file is not the one that ``provenance.json`` records; what it does not record passes.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        A file is damaged or missing; or there is no such record at all.
    """
    path = folder / "provenance.json"
    try:
        recorded = dict(json.loads(path.read_bytes()).get("sha256", {}))
    except (OSError, ValueError, RecursionError, TypeError, AttributeError):
        raise InputError(f"{path}: missing or damaged; {REMEDY}") from None
    found = digests(folder)
    for name in CHECKED:
        if name in recorded and found.get(name) != recorded[name]:
            raise InputError(f"{folder / name}: missing, damaged or cut short; {REMEDY}")

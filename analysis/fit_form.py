"""A form of the loss fitted to a researcher's own table.

Apart from :mod:`analysis.fit`, since it knows the laws of the loss by name: the workflow's fit of one law must not depend on
another.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.fit import write_fit
from analysis.laws.forms import FORMS
from analysis.laws.registry import LAWS
from analysis.laws.scaling import fit_scaling_law
from curselab.errors import InputError


def fit_form(law: str, runs: Path, out: Path | None, **options: Any) -> tuple[Any, pd.DataFrame]:
    """Fit a form of ``analysis.laws.forms`` to a researcher's own table.

    Parameters
    ----------
    law : str
        Such as ``chinchilla``.
    runs : Path
        Table with one row a run, CSV or parquet.
    out : Path, optional
        JSON file.
    **options
        Of ``analysis.fit_scaling_law``.

    Returns
    -------
    tuple of ScalingFit and DataFrame
        The result, and the table.
    """
    if law not in FORMS:
        raise InputError(f"law: {law!r} was given (allowed: {', '.join((*LAWS, *FORMS))})")
    if not runs.is_file():
        raise InputError(f"{runs}: no such file, a table of runs is needed (CSV or parquet)")
    try:
        table = pd.read_parquet(runs) if runs.suffix == ".parquet" else pd.read_csv(runs)
    except (ValueError, OSError):
        raise InputError(f"{runs}: not a table, CSV or parquet is needed") from None
    result = fit_scaling_law(table, law=law, **options)
    if out is not None:
        write_fit(out, "scaling", result, {"runs": runs})
    return result, table

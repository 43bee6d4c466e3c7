"""Columns of a researcher's table, checked before anything is fitted to them."""

from difflib import get_close_matches

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from curselab.errors import InputError

_LARGEST = 1e60


def require_columns(data: pd.DataFrame, *names: str) -> None:
    """Refuse a table that lacks a column, naming the nearest one that it has.

    Raises
    ------
    InputError
        ``data`` is no DataFrame, or lacks a column.
    """
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"data: a {type(data).__name__} was given, a pandas DataFrame is needed, such as read_runs returns")
    for name in names:
        if name not in data.columns:
            near = get_close_matches(str(name), [str(column) for column in data.columns], n=2, cutoff=0.4)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "name it by a keyword"
            raise InputError(f"data: column {name!r} is missing ({hint})")


def drop_diverged(data: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Split off the runs whose ``status`` is not ``ok``: diverged runs, and students of diverged teachers, have no loss.

    Returns
    -------
    tuple of DataFrame and int
        The other rows, and how many were split off. A table without ``status`` has none.
    """
    if "status" not in data.columns:
        return data, 0
    diverged = (data["status"] != "ok").to_numpy(dtype=bool)
    return data[~diverged], int(diverged.sum())


def positive(data: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column as positive floats of any size that is measured, ``(n_rows,)``.

    Raises
    ------
    InputError
        The column holds text, a missing or infinite value, zero or less, or what lies beyond 1e-60 to 1e60, whose ratios and
        squares would overflow; the first such row is named.
    """
    require_columns(data, name)
    column = data[name]
    if not is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype):
        raise InputError(
            f"data: column {name!r} holds {column.dtype}, positive numbers are needed (convert with pandas.to_numeric)"
        )
    values = column.to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"data: {name} is {values[row]} in row {data.index[row]}, a positive number is needed"
            " (a run without a loss has the status 'diverged')"
        )
    bad = (values < 1 / _LARGEST) | (values > _LARGEST)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(f"data: {name} is {values[row]} in row {data.index[row]}, a number from 1e-60 to 1e60 is needed")
    return values

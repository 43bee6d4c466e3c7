"""The results contract: one file, ``results/contract.yaml``, read by the side that writes tables and the side that reads them.

``check_record`` checks one row before the trainer writes it and imports no pandas; ``check_frame`` checks a whole table when
the analysis reads it. Both stop at the first fault with one line that names the column, the value and what is allowed.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ruamel.yaml import YAML

from curselab.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

CONTRACT = Path(__file__).parents[1] / "results" / "contract.yaml"
_LOOK = "see results/contract.yaml"
_NEEDED = object()
DTYPES: dict[str, Literal["string", "Int64", "float64"]] = {"string": "string", "int64": "Int64", "float64": "float64"}
"""Type in the contract -> that of pandas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one column may hold; ``minimum`` and ``maximum`` are inclusive."""

    name: str
    dtype: Literal["string", "int64", "float64"]
    description: str
    unit: str = ""
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    older: Any = _NEEDED
    """Value for tables that were written before the column was there."""

    def fault(self, value: object) -> str | None:
        """Say what is allowed when ``value`` is not; None when it is fine.

        Parameters
        ----------
        value : object
            A plain Python value; None is null.
        """
        if value is None:
            return None if self.nullable else "a value is needed, this column is not nullable"
        if self.dtype == "string":
            return self._string_fault(value)
        if isinstance(value, bool) or not isinstance(value, int if self.dtype == "int64" else (int, float)):
            return "a whole number is needed" if self.dtype == "int64" else "a number is needed"
        if self.dtype == "int64" and isinstance(value, int) and not -(2**63) <= value < 2**63:
            return "a whole number of 64 bits is needed"
        if isinstance(value, int) and value.bit_length() > 1000 or not math.isfinite(value):  # no float is as large
            return "a finite number is needed, null says missing"
        if self.minimum is not None and value < self.minimum:
            return f"{self.minimum:g} or more is needed"
        if self.maximum is not None and value > self.maximum:
            return f"{self.maximum:g} or less is needed"
        return None

    def _string_fault(self, value: object) -> str | None:
        if not isinstance(value, str):
            return "a string is needed"
        if self.allowed and value not in self.allowed:
            return f"allowed: {', '.join(self.allowed)}"
        if self.pattern is not None and re.fullmatch(self.pattern, value) is None:
            return f"a string like {self.pattern} is needed"
        return None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the contract: its columns in order and the columns that name a row."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in the contract's order."""
        return tuple(column.name for column in self.columns)


@cache
def load_contract() -> dict[str, Table]:
    """Read the contract: table name -> its columns."""
    content = YAML(typ="safe").load(CONTRACT)
    return {
        name: Table(
            name,
            table["description"],
            tuple(table["key"]),
            tuple(
                Column(name=column, **{**entry, "allowed": tuple(entry.get("allowed", ()))})
                for column, entry in table["columns"].items()
            ),
        )
        for name, table in content["tables"].items()
    }


def table(name: str) -> Table:
    """Return one table of the contract by name."""
    tables = load_contract()
    if name not in tables:
        raise InputError(f"table: {name!r} was given (allowed: {', '.join(tables)}; {_LOOK})")
    return tables[name]


def completed(table_name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a record the columns that are younger than it, with the value that they had before they were written down."""
    return {column.name: column.older for column in _younger(table(table_name), record)} | dict(record)


def check_record(table_name: str, record: Mapping[str, Any]) -> None:
    """Check one row of plain Python values against the contract.

    Parameters
    ----------
    table_name : str
        A table of the contract, such as ``runs``.
    record : mapping
        Column name -> str, int, float or None; every column must be there.

    Raises
    ------
    InputError
        At the first unknown or missing column, or value that is not allowed.
    """
    expected = table(table_name)
    _check_names(expected, list(record), where=table_name)
    for column in expected.columns:
        value = record[column.name]
        problem = column.fault(value)
        if problem is not None:
            raise InputError(f"{table_name}.{column.name}: {value!r} was given, {problem} ({_LOOK})")


def check_frame(table_name: str, frame: "pd.DataFrame", *, where: str | Path) -> "pd.DataFrame":
    """Check a whole table against the contract and bring it into its canonical form.

    Parameters
    ----------
    table_name : str
        A table of the contract, such as ``runs``.
    frame : pandas.DataFrame
        Columns in any order and any dtype that holds the values exactly.
    where : str or Path
        What to call the table in an error, usually its file.

    Returns
    -------
    pandas.DataFrame
        Columns in the contract's order with dtypes ``string``, ``Int64`` and ``float64`` (NaN is null), rows sorted by key.

    Raises
    ------
    InputError
        At the first unknown or missing column, value that is not allowed, or two rows with one key.
    """
    import pandas as pd

    expected = table(table_name)
    younger = {column.name: column.older for column in _younger(expected, frame.columns)}
    _check_names(expected, [*frame.columns, *younger], where=where)
    frame = frame.assign(**younger)
    checked = pd.DataFrame({column.name: _cast(frame[column.name], column, where) for column in expected.columns})
    repeated = checked.duplicated(list(expected.key))
    if repeated.any():
        key = checked.loc[repeated, list(expected.key)].iloc[0].to_dict()
        shown = ", ".join(f"{name} {value}" for name, value in key.items())
        raise InputError(f"{where}: two rows have the key {shown} (a key names one row; {_LOOK})")
    return checked.sort_values(list(expected.key), ignore_index=True)


def _younger(expected: Table, given: Iterable[Any]) -> list[Column]:
    there = set(given)
    return [column for column in expected.columns if column.older is not _NEEDED and column.name not in there]


def _check_names(expected: Table, given: list[Any], *, where: str | Path) -> None:
    unknown = [str(name) for name in given if name not in expected.names]
    missing = [name for name in expected.names if name not in given]
    if missing:
        raise InputError(f"{where}: column {missing[0]} is missing ({len(missing)} missing in all; {_LOOK})")
    if unknown:
        raise InputError(f"{where}: column {unknown[0]} is unknown ({len(unknown)} unknown in all; {_LOOK})")
    if len(set(given)) != len(given):
        raise InputError(f"{where}: a column is there twice ({_LOOK})")


def _cast(values: "pd.Series[Any]", column: Column, where: str | Path) -> "pd.Series[Any]":
    import pandas as pd

    null = values.isna()
    if null.any() and not column.nullable:
        raise _fault(where, int(null.to_numpy().argmax()), column, None)
    if null.all():
        return pd.Series([None] * len(values), dtype=DTYPES[column.dtype])
    if any(column.fault(value) is not None for value in _candidates(values[~null], column)):
        rows = zip(map(partial(_plain, column), values.tolist()), null, strict=True)
        given = [(row, value) for row, (value, missing) in enumerate(rows) if not missing]
        row, first = next((row, value) for row, value in given if column.fault(value) is not None)
        raise _fault(where, row, column, first)
    if column.dtype == "int64":
        whole = [None if missing else int(value) for value, missing in zip(values.tolist(), null, strict=True)]
        return pd.Series(pd.array(whole, dtype="Int64"))
    return values.reset_index(drop=True).astype(DTYPES[column.dtype])


def _candidates(values: "pd.Series[Any]", column: Column) -> list[Any]:
    """Return the few values that decide whether all are allowed: of a column of numbers, its extremes."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not is_numeric_dtype(values.dtype) or is_bool_dtype(values.dtype):
        try:
            few = values.unique().tolist()
        except TypeError:  # lists and mappings
            few = values.tolist()
    else:
        fractions = values[values % 1 != 0] if column.dtype == "int64" else values[:0]
        few = (fractions[:1] if len(fractions) else values.iloc[[int(values.argmin()), int(values.argmax())]]).tolist()
    return [_plain(column, value) for value in few]


def _plain(column: Column, value: Any) -> Any:
    """A null beside whole numbers turns them into floats, so a float that is whole counts as whole."""
    return int(value) if column.dtype == "int64" and isinstance(value, float) and value.is_integer() else value


def _fault(where: str | Path, row: int, column: Column, value: object) -> InputError:
    given = "null" if value is None else repr(value)
    return InputError(f"{where}, row {row}: {column.name} is {given}, {column.fault(value)} ({_LOOK})")

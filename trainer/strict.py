"""Strict reading of nested frozen dataclasses from plain mappings, and their canonical JSON.

Unknown keys, wrong types and values outside a ``Literal`` are one-line errors that name the dotted key and what is allowed.
Booleans are never numbers, and a number in quotes is never a number.

A field that a dataclass got after results were named by its hash is declared with ``metadata=YOUNGER``: at its default it is
left out, so that those results keep their names.
"""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from curselab.errors import InputError

T = TypeVar("T")
TAG = "kind"  # the field that tells the members of a union of dataclasses apart
YOUNGER: Mapping[str, Any] = types.MappingProxyType({"younger": True})


def from_mapping(cls: type[T], mapping: object, *, where: str = "") -> T:
    """Build a dataclass from a mapping, refusing whatever it does not declare.

    Parameters
    ----------
    cls : type
        A dataclass whose fields are int, float, bool, str, Literal, tuple of those, dataclasses, or a union of dataclasses
        that differ in the Literal of their field ``kind``.
    mapping : Mapping
        Plain values as YAML or JSON give them.
    where : str
        Dotted name of ``mapping`` for error messages.

    Raises
    ------
    InputError
        Unknown key, missing key, wrong type, or a value that is not allowed.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where or cls.__name__}: {_show(mapping)} was given, a mapping is needed")
    hints = _hints(cls)  # type: ignore[arg-type]
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            near = get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{_join(where, key)}: unknown key{hint} (allowed: {', '.join(fields)})")
    values = {key: _value(hints[key], value, _join(where, key)) for key, value in mapping.items()}
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{_join(where, name)}: missing, and it has no default")
    try:
        made = cls(**values)
        for name, value in values.items():  # JSON, by which runs are named, has no other numbers
            require(not isinstance(value, float) or math.isfinite(value), name, value, "a finite number")
        return made
    except InputError as error:
        raise InputError(f"{where}.{error}" if where else str(error)) from None


def to_mapping(spec: object) -> dict[str, Any]:
    """Plain nested dict of a dataclass, tuples as lists: what YAML and JSON can hold; without young defaults."""
    return _plain(spec)  # type: ignore[no-any-return]


def canonical_json(content: object) -> str:
    """JSON of a dataclass or of plain values with sorted keys and no spaces, so that equal contents give equal strings."""
    return json.dumps(_plain(content), sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(content: object) -> str:
    """First 12 hex digits of the sha256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]


def require(condition: bool, field: str, given: object, allowed: str) -> None:
    """Raise an InputError that names the field when ``condition`` does not hold."""
    if not condition:
        raise InputError(f"{field}: {_show(given)} was given, {allowed} is needed")


def _plain(content: Any) -> Any:
    if dataclasses.is_dataclass(content):
        values = [(field, getattr(content, field.name)) for field in dataclasses.fields(content)]
        return {field.name: _plain(value) for field, value in values if not _at_default(field, value)}
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    return [_plain(item) for item in content] if isinstance(content, list | tuple) else content


def _at_default(field: dataclasses.Field[Any], value: object) -> bool:
    if "younger" not in field.metadata:
        return False
    made = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return bool(value == made)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(hint: Any, value: object, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in arguments or isinstance(value, bool):
            raise InputError(f"{where}: {_show(value)} was given (allowed: {', '.join(map(str, arguments))})")
        return value
    if origin in (typing.Union, types.UnionType):
        return _tagged(arguments, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: {_show(value)} was given, a list is needed")
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where=where)  # type: ignore[arg-type]
    if isinstance(value, int) and value.bit_length() > 63:
        raise InputError(f"{where}: a number of {value.bit_length()} bits was given, 63 are allowed")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{where}: {_show(value)} was given, {_article(hint.__name__)} is needed")
    return value


def _tagged(members: tuple[Any, ...], value: object, where: str) -> Any:
    by_tag = {typing.get_args(_hints(member)[TAG])[0]: member for member in members}
    tag = value.get(TAG) if isinstance(value, Mapping) else None
    if not isinstance(tag, str) or tag not in by_tag:
        raise InputError(f"{_join(where, TAG)}: {_show(tag)} was given (allowed: {', '.join(by_tag)})")
    return from_mapping(by_tag[tag], value, where=where)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _article(name: str) -> str:
    words = {"int": "a whole number", "float": "a number", "str": "a string", "bool": "true or false"}
    return words.get(name, name)


def _show(value: object) -> str:
    kind = {str: "the string ", type(None): "nothing, "}.get(type(value), "")
    return f"{kind}{value!r}"

"""Hostile input as strategies of hypothesis: something small and valid with a few of its parts or bytes changed."""

import copy
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

WORDS = [
    "",
    " ",
    ".",
    "..",
    "../../out",
    "/tmp/out",
    "nan",
    "-inf",
    "1e999",
    "1_000",
    "\0",
    "a\nb",
    "\x1b[2J",
    "é" * 300,
    "%s {}",
]
NUMBERS = [0, -1, 1, 2, 0.5, -0.0, 5e-324, 1e300, math.inf, -math.inf, math.nan, 2**31, 2**53 + 1, 2**63, 10**30, 10**400]
ATOMS = st.sampled_from([*WORDS, *NUMBERS, None, True, False]) | st.integers(-9, 10**6) | st.text(max_size=5)
VALUES = ATOMS | st.lists(ATOMS, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), ATOMS, max_size=2)


@st.composite
def edited(draw: st.DrawFn, content: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """Nested mappings and lists with one to four of their items replaced, dropped, renamed or doubled."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(content))
        if not places:
            break
        inside, key = places[draw(st.integers(0, len(places) - 1))]
        change = draw(st.sampled_from(["replace", "replace", "replace", "drop", "rename", "double"]))
        if change == "replace":
            inside[key] = draw(values)
        elif change == "drop":
            del inside[key]
        elif isinstance(inside, list):
            inside.insert(key, copy.deepcopy(inside[key]))
        else:
            names = [name for where, name in places if isinstance(where, dict)]
            inside[draw(st.sampled_from(names) | st.sampled_from([*WORDS, 0, 1.5, True, None]))] = copy.deepcopy(inside[key])
            if change == "rename":
                del inside[key]
    return content


@st.composite
def mangled(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which one to four stretches are flipped, cut out, repeated, or replaced by others."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.sampled_from([0, 1, 1, 2, 8, 64, len(content)])))
        part = content[at:end]
        change = draw(st.sampled_from(["flip", "flip", "cut", "twice", "many", "other"]))
        if change == "flip":
            mask = 1 << draw(st.integers(0, 7))
            part = bytes(byte ^ mask for byte in part)
        elif change == "other":
            part = draw(st.binary(max_size=8))
        else:
            part *= {"cut": 0, "twice": 2, "many": 1 + 3000 // (len(part) + 1)}[change]
        content = content[:at] + part + content[end:]
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every item of nested mappings and lists, as the one that holds it and its key there."""
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from _places(content[key])

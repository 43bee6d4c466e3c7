"""The unit of text that every source yields."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHUFFLED = ".shuffled"
"""Ends the name of a domain that holds another one's documents with their characters in random order."""


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of text that is never cut across splits."""

    domain: str
    """Language or kind of text."""
    key: str
    """Decides the split: documents of one key share it, whatever their domain."""
    text: str
    position: float | None = None
    """Where splits are ranges: how far before the end of its text the document ends, in lengths of the shortest text. It
    decides the split in place of the key."""


def content_key(text: str) -> str:
    """Key that sends copies of one text to one split: its sha256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def limited(documents: Iterable[Document], max_bytes: int) -> Iterator[Document]:
    """Pass whole documents on until they hold ``max_bytes`` bytes of UTF-8.

    The document that reaches the limit is passed on uncut, so the total goes over it by less than one document; 0 passes all.
    """
    taken = 0
    for document in documents:
        yield document
        taken += len(document.text.encode())
        if 0 < max_bytes <= taken:
            return

"""The text sources behind one door."""

import hashlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

from trainer.strict import canonical_json
from trainer.text import facts, files, hub, installed, languages
from trainer.text.document import Document
from trainer.text_spec import (
    FactsText,
    FilesText,
    HuggingFaceText,
    InstalledText,
    LanguagesText,
    SeveralText,
    Source,
    TextSpec,
)


def documents(source: Source) -> Iterator[Document]:
    """Documents of a source, the same ones in the same order each time."""
    match source:
        case InstalledText():
            return installed.documents(source)
        case FilesText():
            return files.documents(source)
        case LanguagesText():
            return languages.documents(source)
        case HuggingFaceText():
            return hub.documents(source)
        case FactsText():
            return facts.documents(source)
        case SeveralText():
            return chain.from_iterable(map(documents, source.sources))


def sources(source: Source) -> tuple[Source, ...]:
    """The sources that a source is made of: itself, or those of ``several``."""
    return source.sources if isinstance(source, SeveralText) else (source,)


def versions(source: Source) -> dict[str, str]:
    """Versions of the software whose own text ``source`` reads: none but for ``installed``."""
    return installed.versions() if any(isinstance(one, InstalledText) for one in sources(source)) else {}


def known(source: Source) -> dict[str, dict[str, Any]]:
    """What is known exactly of each domain: of artificial languages alone (:func:`trainer.text.languages.known`)."""
    artificial = [one for one in sources(source) if isinstance(one, LanguagesText)]
    return {domain: about for one in artificial for domain, about in languages.known(one).items()}


def source_fingerprint(spec: TextSpec) -> str:
    """Hash that changes when prepared text of ``spec`` may be stale, found without reading the text: 64 hex digits.

    It follows from the spec and, for ``installed``, from the versions of Python and the distributions; for ``files``, from the
    names, sizes and change times of the files.

    Raises
    ------
    InputError
        A folder or a distribution is missing.
    """
    digest = hashlib.sha256(canonical_json(spec).encode())
    digest.update(repr(sorted(versions(spec.source).items())).encode())
    for one in sources(spec.source):
        if isinstance(one, FilesText):
            digest.update(files.fingerprint(one).encode())
    return digest.hexdigest()

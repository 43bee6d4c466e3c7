"""The four text sources behind one door."""

import hashlib
from collections.abc import Iterator
from typing import Any

from trainer.strict import canonical_json
from trainer.text import files, hub, installed, languages
from trainer.text.document import Document
from trainer.text_spec import FilesText, HuggingFaceText, InstalledText, LanguagesText, TextSpec

Source = InstalledText | FilesText | LanguagesText | HuggingFaceText


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


def versions(source: Source) -> dict[str, str]:
    """Versions of the software whose own text ``source`` reads: none but for ``installed``."""
    return installed.versions() if isinstance(source, InstalledText) else {}


def known(source: Source) -> dict[str, dict[str, Any]]:
    """What is known exactly of each domain: of artificial languages alone (:func:`trainer.text.languages.known`)."""
    return languages.known(source) if isinstance(source, LanguagesText) else {}


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
    if isinstance(spec.source, FilesText):
        digest.update(files.fingerprint(spec.source).encode())
    return digest.hexdigest()

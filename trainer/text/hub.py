"""Text from a dataset of the Hugging Face Hub, streamed at a pinned revision; or from a local dataset folder.

Code that comes with a dataset is never run. For a local folder the revision is the hash of its content (`folder_hash`), so
that a run says as exactly what it read as one that streams from the Hub.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curselab.errors import InputError
from trainer.text.document import Document, content_key, limited
from trainer.text.files import text_of
from trainer.text_spec import HuggingFaceText


def documents(source: HuggingFaceText) -> Iterator[Document]:
    """One document a row, of one domain: the last part of the dataset's name, and the subset; or of a domain each subset.

    Raises
    ------
    InputError
        The extra ``hub`` is not installed, the dataset cannot be read, a local folder is not at the revision, or the column is
        missing or holds something else than text.
    """
    name = Path(source.name).resolve().name if Path(source.name).is_dir() else source.name.rsplit("/", 1)[-1]
    whole = f"{name}-{source.subset}" if source.subset else name
    for domain, subset in (dict(zip(source.subsets, source.subsets, strict=True)) or {whole: source.subset}).items():
        yield from limited((Document(domain, content_key(text), text) for text in _texts(source, subset)), source.max_bytes)


def folder_hash(folder: Path) -> str:
    """Hash of the names and the content of the files in ``folder``, hidden files left out: 64 hex digits."""
    digest = hashlib.sha256()
    names = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    for name in sorted(name for name in names if not any(part.startswith(".") for part in name.parts)):
        with names[name].open("rb") as content:
            digest.update(f"{name.as_posix()}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _texts(source: HuggingFaceText, subset: str) -> Iterator[str]:
    for number, row in enumerate(_rows(source, subset), 1):
        if source.column not in row:
            raise InputError(f"{source.name}: no column {source.column!r}, there are {', '.join(row)}; set source.column")
        text = text_of(row[source.column], f"{source.name}, row {number}", source.column)
        if text.strip():
            yield text


def _rows(source: HuggingFaceText, subset: str) -> Iterator[dict[str, Any]]:
    try:
        import datasets
    except ImportError:
        raise InputError("text kind 'huggingface' needs the package datasets; run: pip install 'curselab[hub]'") from None
    folder = Path(source.name)
    if folder.is_dir() and (actual := folder_hash(folder)) != source.revision:
        raise InputError(f"{folder}: source.revision is {source.revision}, but the folder's content has the hash {actual}")
    revision = None if folder.is_dir() else source.revision
    try:
        yield from datasets.load_dataset(source.name, subset or None, split=source.split, revision=revision, streaming=True)
    except Exception as error:  # network, Hub, file formats and the dataset's own settings each raise errors of their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{source.name}: the dataset cannot be read at revision {source.revision}: {reason}") from error

"""Text from a folder of the user's: UTF-8 lines, JSON lines or parquet.

``NAME.txt``, ``NAME.jsonl``, ``NAME.parquet`` and all such files below a folder ``NAME/`` make up the domain NAME. Hidden
files and other endings (``languages.csv``, ``README.md``) are ignored.

=========== ================================ ===========================================================================
ending      document                         split follows from
=========== ================================ ===========================================================================
.txt        block of 32 consecutive lines    the block's number (and, in a folder, the file's name inside it)
.jsonl      line                             the text, so that copies share a split
.parquet    row                              the text, so that copies share a split
=========== ================================ ===========================================================================

The key of a ``.txt`` block holds neither domain nor content. A parallel corpus, the same verse on the same line in each
language, thus splits alike in all of them, and no translation of a validation verse is trained on. This holds as far as the
lines are aligned: where one language lacks lines, later blocks drift apart.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from curselab.errors import InputError
from trainer.text.document import Document, content_key, limited
from trainer.text_spec import FilesText

ENDINGS = (".txt", ".jsonl", ".parquet")
BLOCK_LINES = 32
"""Consecutive lines of a ``.txt`` file that make one document."""
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def documents(source: FilesText) -> Iterator[Document]:
    """Documents of one domain after the other, domains and files in the order of their names.

    Raises
    ------
    InputError
        Folder or domain missing, or a file that is empty, not UTF-8, not JSON or parquet, or without the asked-for text; names
        the file and the place in it.
    """
    for domain, files in domain_files(source).items():
        yield from limited(_domain(domain, files, source), source.max_bytes)


def domain_files(source: FilesText) -> dict[str, list[Path]]:
    """Files of each domain that ``source`` asks for.

    Raises
    ------
    InputError
        Folder or domain missing, or no text in the folder.
    """
    folder = Path(source.path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, source.path must name a folder of text files")
    found: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        files = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
        texts = [file for file in files if _is_text(file.relative_to(folder)) and file.is_file()]
        if texts:
            found.setdefault(entry.name if entry.is_dir() else entry.stem, []).extend(texts)
    if not found:
        raise InputError(f"{folder}: no text found, looked for NAME{', NAME'.join(ENDINGS)} and folders NAME/ of such files")
    if unknown := [name for name in source.domains if name not in found]:
        raise InputError(f"{folder}: no domain {unknown[0]!r}, there are {', '.join(sorted(found))}")
    return {name: found[name] for name in sorted(set(source.domains) or found)}


def fingerprint(source: FilesText) -> str:
    """Hash of the names, sizes and change times of the files, which tells without reading them that they are the same."""
    digest = hashlib.sha256()
    for files in domain_files(source).values():
        for file in files:
            stat = file.stat()
            digest.update(f"{file.relative_to(source.path).as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def text_of(value: object, where: str, column: str) -> str:
    """``value`` if it is a string that UTF-8 can hold.

    Raises
    ------
    InputError
        It is not; the message starts with ``where``.
    """
    if not isinstance(value, str):
        raise InputError(f"{where}: {column!r} holds {type(value).__name__}, a string is needed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: {column!r} holds half a surrogate pair, which is not valid Unicode text") from None
    return value


def _is_text(file: Path) -> bool:
    return file.suffix in ENDINGS and not any(part.startswith(".") for part in file.parts)


def _domain(domain: str, files: list[Path], source: FilesText) -> Iterator[Document]:
    for file in files:
        inside = file.relative_to(source.path).parts[1:]
        prefix = f"{'/'.join(inside)}:" if inside else ""
        if file.suffix == ".txt":
            keyed: Iterable[tuple[str, str]] = ((f"{prefix}{number}", text) for number, text in _blocks(file))
        else:
            rows = _json_rows(file, source.column) if file.suffix == ".jsonl" else _parquet_rows(file, source.column)
            keyed = ((content_key(text), text) for text in rows)
        empty = True
        for key, text in keyed:
            if text.strip():
                empty = False
                yield Document(domain, key, text)
        if empty:
            raise InputError(f"{file}: holds no text; fill or remove it")


def _blocks(file: Path) -> Iterator[tuple[int, str]]:
    with file.open("rb") as lines:
        number = start = 0
        while block := b"".join(islice(lines, BLOCK_LINES)):
            text = _decoded(block, file, start)
            yield number, text if number else text.removeprefix(_BYTE_ORDER_MARK)
            number, start = number + 1, start + len(block)


def _json_rows(file: Path, column: str) -> Iterator[str]:
    with file.open("rb") as lines:
        start = 0
        for number, line in enumerate(lines, 1):
            text = _decoded(line, file, start)
            start += len(line)
            if text.strip():
                yield _json_text(text, f"{file}, line {number}", column)


def _json_text(line: str, where: str, column: str) -> str:
    try:
        row = json.loads(line.removeprefix(_BYTE_ORDER_MARK))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: {type(row).__name__} was given, an object with the key {column!r} is needed")
    if column not in row:
        raise InputError(f"{where}: no key {column!r}, there are {', '.join(row) or 'none'}; set source.column")
    return text_of(row[column], where, column)


def _parquet_rows(file: Path, column: str) -> Iterator[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            if column not in table.schema_arrow.names:
                there = ", ".join(table.schema_arrow.names)
                raise InputError(f"{file}: no column {column!r}, there are {there}; set source.column")
            row = 0
            for batch in table.iter_batches(columns=[column], batch_size=1024, use_threads=False):
                for value in batch.column(0).to_pylist():
                    row += 1
                    yield text_of(value, f"{file}, row {row}", column)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file}: not a parquet file that can be read ({' '.join(str(error).split())})") from None


def _decoded(piece: bytes, file: Path, start: int) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 at byte {start + error.start}; convert the file to UTF-8") from None

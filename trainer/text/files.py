"""Text from a folder of the user's: UTF-8 lines, JSON lines or parquet.

``NAME.txt``, ``NAME.jsonl``, ``NAME.parquet`` and all such files below a folder ``NAME/`` make up the domain NAME. Hidden
files and other endings (``languages.csv``, ``README.md``) are ignored.

=========== ================================ ===========================================================================
ending      document                         split follows from
=========== ================================ ===========================================================================
.txt        block of consecutive lines (32)  the block's number (and, in a folder, the file's name inside it)
.jsonl      line                             the text, so that copies share a split
.parquet    row                              the text, so that copies share a split
=========== ================================ ===========================================================================

The key of a ``.txt`` block holds neither domain nor content. A parallel corpus, the same verse on the same line in each
language, thus splits alike in all of them, and no translation of a validation verse is trained on. This holds as far as the
lines are aligned: where one language lacks lines, later blocks drift apart.

For files that end alike but lack lines here and there, ``splits: ranges`` counts from the end: the last lines of every file
are its validation text, as many in each as `TextSpec` says of the shortest file. `TextSpec.gap_share` lines before them are
left out, more than files may drift apart in between. Blocks then come in the order of the sha256 of their number from the end,
so that the first ones are a fair sample, alike in all languages.
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
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def documents(source: FilesText) -> Iterator[Document]:
    """Documents of one domain after the other, domains and files in the order of their names.

    Raises
    ------
    InputError
        Folder or domain missing, or a file that is empty, not UTF-8, not JSON or parquet, or without the asked-for text; names
        the file and the place in it.
    """
    found = domain_files(source)
    if source.splits == "ranges":
        lengths = {domain: _length(files) for domain, files in found.items()}
        shortest = min(lengths.values())
        for domain, files in found.items():
            yield from limited(_ranges(domain, files[0], lengths[domain], shortest, source), source.max_bytes)
        return
    for domain, files in found.items():
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
            blocks = _blocks(file, source.block_lines)
            keyed: Iterable[tuple[str, str]] = ((f"{prefix}{number}", text) for number, text in enumerate(blocks))
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


def _ranges(domain: str, file: Path, length: int, shortest: int, source: FilesText) -> Iterator[Document]:
    """Blocks of a file, numbered from its end, in the order of the sha256 of their number."""
    lines = source.block_lines
    blocks = list(_blocks(file, lines, first=length % lines))
    numbered = zip(reversed(range(len(blocks))), blocks, strict=True)
    for number, text in sorted(numbered, key=lambda block: hashlib.sha256(f"{block[0]}".encode()).digest()):
        if text.strip():
            yield Document(domain, f"{number}", text, position=number * lines / shortest)


def _length(files: list[Path]) -> int:
    """Lines of the one file of a domain."""
    if len(files) > 1 or files[0].suffix != ".txt":
        raise InputError(f"{files[-1]}: source.splits is ranges, which takes one .txt file a domain; choose blocks")
    with files[0].open("rb") as lines:
        length = sum(1 for _ in lines)
    if length == 0:
        raise InputError(f"{files[0]}: holds no text; fill or remove it")
    return length


def _blocks(file: Path, size: int, *, first: int = 0) -> Iterator[str]:
    """Blocks of ``size`` lines each, the first of ``first`` lines where that is not 0."""
    with file.open("rb") as lines:
        start = 0
        while block := b"".join(islice(lines, size if start or not first else first)):
            text = _decoded(block, file, start)
            yield text if start else text.removeprefix(_BYTE_ORDER_MARK)
            start += len(block)


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

"""Text that every installation already has: docstrings and source of Python's standard library and of the dependencies.

One document a file. Domain ``prose`` holds the docstrings, domain ``code`` the source without docstrings and comments as
`ast.unparse` writes it, so layout is uniform and the result always parses. Domain ``comments`` holds the comments that have
lines of their own: prose too, written for other readers. A file has one key in all domains: the docstrings and the code of a
module never meet across a split.

The text depends on the Python version and the versions of `DISTRIBUTIONS`, and on nothing else of the machine: files come in
the order of the sha256 of their name, so that the first bytes are a fair sample of all, and files that installers or build
machines write are left out. A Python that a Linux distribution has patched may differ; the sha256 of the prepared text tells.
"""

import ast
import hashlib
import io
import os
import platform
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePath

from curselab.errors import InputError
from trainer.text.document import Document, limited
from trainer.text_spec import InstalledText

DISTRIBUTIONS = (
    "fonttools",
    "fsspec",
    "jinja2",
    "jsonschema",
    "lightning",
    "matplotlib",
    "mpmath",
    "networkx",
    "numpy",
    "pandas",
    "pyarrow",
    "ruamel.yaml",
    "scipy",
    "seaborn",
    "snakemake",
    "statsmodels",
    "sympy",
    "torch",
    "torchmetrics",
    "typer",
)
"""Required by curselab, directly or through its requirements, without extras."""

SMALLEST = 200
"""Bytes of UTF-8 below which a document is dropped."""

_LEFT_OUT_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "testing", "idle_test"}
# written by the build, and so different from machine to machine
_LEFT_OUT_NAMES = ("conftest.py", "version.py", "_version.py", "__config__.py")
_LEFT_OUT_STARTS = ("test_", "_sysconfigdata")

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documents(source: InstalledText) -> Iterator[Document]:
    """Documents of one domain after the other, without repeated docstrings, comments or files (``code``).

    Raises
    ------
    InputError
        A distribution of `DISTRIBUTIONS` is not installed.
    """
    files = _files()
    for domain in source.domains:
        yield from limited(_domain(domain, files), source.max_bytes)


def versions() -> dict[str, str]:
    """Versions that the text follows from: of Python and of each of `DISTRIBUTIONS`."""
    return {"python": platform.python_version()} | {name: _distribution(name).version for name in DISTRIBUTIONS}


def _domain(domain: str, files: list[tuple[str, Path]]) -> Iterator[Document]:
    pieces_of = {"prose": _docstrings, "code": _bare_code, "comments": _comments}[domain]
    seen: set[bytes] = set()
    for name, path in files:
        fresh = []
        for piece in pieces_of(path.read_bytes()):
            try:
                digest = hashlib.sha256(piece.encode()).digest()
            except UnicodeEncodeError:  # half a surrogate pair has no UTF-8
                continue
            if digest not in seen:
                seen.add(digest)
                fresh.append(piece)
        text = "\n\n".join(fresh)
        if len(text.encode()) >= SMALLEST:
            yield Document(domain, name, text)


def _docstrings(source: bytes) -> list[str]:
    """Docstrings of a module in the order of the file, cleaned as `inspect.cleandoc` does."""
    if b'"""' not in source and b"'''" not in source:  # spares parsing a fifth of all files
        return []
    return [docstring for node in _documented(_parsed(source)) if (docstring := ast.get_docstring(node))]


def _bare_code(source: bytes) -> list[str]:
    """Source of a module without docstrings and comments."""
    tree = _parsed(source)
    for node in list(_documented(tree)):
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    try:
        return [ast.unparse(tree)]
    except RecursionError:  # expressions of a thousand terms, in generated tables
        return []


def _comments(source: bytes) -> list[str]:
    """Comments of a module on lines of their own, neighbouring lines as one, without their ``#``; none of a broken file."""
    blocks: list[list[str]] = []
    last = -1
    try:
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            (row, column), text = token.start, token.string
            if token.type == tokenize.COMMENT and not token.line[:column].strip():
                if row != last + 1:
                    blocks.append([])
                blocks[-1].append(text.lstrip("#").strip())
                last = row
    except (SyntaxError, ValueError, tokenize.TokenError):
        return []
    return ["\n".join(block) for block in blocks]


def _parsed(source: bytes) -> ast.Module:
    """Syntax tree; empty for a file that does not decode or parse, such as a template."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _documented(node: ast.AST) -> Iterator[_Documented]:
    """Modules, classes and functions in the order of the file; only statements hold them, so expressions are not walked."""
    if isinstance(node, _Documented):
        yield node
    for part in ("body", "cases", "handlers", "orelse", "finalbody"):
        for statement in getattr(node, part, ()):
            yield from _documented(statement)


def _files() -> list[tuple[str, Path]]:
    """Name and place of every file, in the order of the sha256 of the name."""
    named = [(f"python:{file.as_posix()}", path) for file, path in _standard_library() if _wanted(file)]
    for name in DISTRIBUTIONS:
        files = [file for file in _distribution(name).files or () if _wanted(file)]
        named += [(f"{name}:{file.as_posix()}", Path(str(file.locate()))) for file in files]
    return sorted(named, key=lambda pair: hashlib.sha256(pair[0].encode()).digest())


def _standard_library() -> Iterator[tuple[PurePath, Path]]:
    root = Path(sysconfig.get_path("stdlib"))
    for folder, folders, names in os.walk(root):
        folders[:] = set(folders) - _LEFT_OUT_FOLDERS  # site-packages may be huge
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(root), path


def _wanted(file: PurePath) -> bool:
    *folders, name = file.parts
    machine_made = any(folder == ".." or folder.startswith("config-") for folder in folders)
    left_out = name in _LEFT_OUT_NAMES or name.startswith(_LEFT_OUT_STARTS) or _LEFT_OUT_FOLDERS.intersection(folders)
    return name.endswith(".py") and not machine_made and not left_out


def _distribution(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise InputError(f"{name}: not installed, but text kind 'installed' reads it; run: pip install {name}") from None

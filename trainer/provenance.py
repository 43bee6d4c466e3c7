"""Where a number comes from: code, text, versions, machine and time."""

import ast
import hashlib
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

HOUSE = ("analysis", "curselab", "figures", "sweeps", "trainer")
ROOT = Path(__file__).parents[1]


def code_hash(*modules: str) -> str:
    """Sha256 of what the modules and all they import from this project *do*.

    Comments, docstrings and formatting do not count, so editing them makes nothing stale. Imports inside functions count. A
    package's ``__init__`` only re-exports and is followed only where something is imported from it by name.

    Parameters
    ----------
    *modules : str
        Dotted names, such as ``analysis.laws.scaling``.
    """
    meanings: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in meanings:
            imports, meanings[name] = _read(_file_of(name))
            waiting.extend(imports)
    content = "\n".join(f"{name}\n{meanings[name]}" for name in sorted(meanings))
    return hashlib.sha256(content.encode()).hexdigest()


def _house_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in HOUSE)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in HOUSE:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if _is_module(submodule) else node.module


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _file_of(name: str) -> Path:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"


@cache
def _read(file: Path) -> tuple[tuple[str, ...], str]:
    """Modules of the house that a file imports, and its syntax tree without docstrings."""
    tree = ast.parse(file.read_bytes())
    imports = tuple(_house_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:]
    return imports, ast.dump(tree)


@cache
def git_state() -> dict[str, object]:
    """Revision of the checkout and whether it has uncommitted changes; "unknown" outside a checkout."""
    try:
        revision = _git("rev-parse", "HEAD")
        return {"git_revision": revision, "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"git_revision": "unknown", "git_dirty": None}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the bits of a run."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "lightning", "numpy", "curselab")},
    }

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
    digest = hashlib.sha256()
    for name in sorted(_closure(modules)):
        digest.update(f"{name}\n{_meaning(_file_of(name))}\n".encode())
    return digest.hexdigest()


def _closure(modules: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_house_imports(_file_of(name)))
    return found


def _house_imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
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
def _meaning(file: Path) -> str:
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:]
    return ast.dump(tree)


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

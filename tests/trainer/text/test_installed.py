import ast
import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from curselab.errors import InputError
from trainer.text import installed
from trainer.text_spec import InstalledText

MODULE = b'''# a comment
"""Module text."""
import os  # trailing

x = "# no comment"


class A:
    """Class
        text.
    """


async def f():
    """Function text."""
    if x:
        def inner():
            """Inner text."""
            return "kept"
    return """a string, no docstring"""


def g():
    try:
        pass
    finally:
        class B:
            \'\'\'Class in a block.\'\'\'
'''


@pytest.fixture(scope="module")
def sample():
    return list(installed.documents(InstalledText(domains=("prose", "code", "comments"), max_bytes=300_000)))


def test_docstrings_are_those_that_python_itself_sees():
    seen = installed._docstrings(MODULE)
    assert seen == ["Module text.", "Class\ntext.", "Function text.", "Inner text.", "Class in a block."]
    namespace: dict = {}
    exec(compile(MODULE, "module", "exec"), namespace)
    assert seen[1] == inspect.getdoc(namespace["A"])
    assert seen[2] == inspect.getdoc(namespace["f"])


def test_code_loses_docstrings_and_comments_and_nothing_else():
    (code,) = installed._bare_code(MODULE)
    for gone in ("a comment", "trailing", "Module text", "Class", "Function text", "Inner text"):
        assert gone not in code
    namespace: dict = {}
    exec(compile(code, "module", "exec"), namespace)
    assert namespace["x"] == "# no comment"
    assert namespace["A"].__doc__ is None
    assert "a string, no docstring" in namespace["f"].__code__.co_consts


def test_comments_are_those_on_lines_of_their_own_as_the_tokenizer_sees_them():
    source = b'''#!/usr/bin/env python
#: first
#   second

x = 1  # trailing
text = """
# no comment
"""
if x:
    # inside a block
    pass
'''
    assert installed._comments(source) == ["!/usr/bin/env python\n: first\nsecond", "inside a block"]
    assert installed._comments(b"# fine\nx = (") == []


@pytest.mark.parametrize("broken", [b"def f(:", b"# coding: no-such-codec\n", b"x = '\xff'\n", b"x\0y", b"((" * 400])
def test_a_file_that_does_not_decode_or_parse_is_skipped(broken):
    assert installed._docstrings(b'"""\n' + broken + b"'''") == []
    assert installed._bare_code(broken) == [""]
    assert installed._comments(b"# lost\n" + broken) in ([], ["lost"])  # a sound list of tokens may not parse


def test_invalid_escapes_in_other_peoples_files_raise_no_warning():
    assert installed._docstrings(b'"""a \\d b"""') == ["a \\d b"]


def test_sample_is_real_text_of_the_asked_size_without_repeats(sample):
    for domain in ("prose", "code", "comments"):
        texts = [document.text for document in sample if document.domain == domain]
        sizes = [len(text.encode()) for text in texts]
        assert min(sizes) >= 200
        assert sum(sizes) - sizes[-1] < 300_000 <= sum(sizes)
        assert len(set(texts)) == len(texts)
    for document in sample:
        assert not any(part in ("tests", "test", "testing") for part in document.key.split("/"))
        if document.domain == "code":
            ast.parse(document.text)


def test_keys_name_no_place_on_this_machine(sample):
    owners = {"python", *installed.DISTRIBUTIONS}
    for document in sample:
        owner, file = document.key.split(":")
        assert owner in owners
        assert not Path(file).is_absolute()
        assert ".." not in file


def test_same_text_in_another_process_place_and_locale(sample, tmp_path):
    program = (
        "import hashlib, json; from trainer.text_spec import InstalledText; from trainer.text import installed\n"
        "source = InstalledText(domains=('prose', 'code', 'comments'), max_bytes=300_000)\n"
        "print(json.dumps([d.key + ' ' + hashlib.sha256(d.text.encode()).hexdigest() for d in installed.documents(source)]))"
    )
    root = str(Path(__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": root, "PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    from trainer.text.document import content_key

    assert json.loads(done.stdout) == [f"{document.key} {content_key(document.text)}" for document in sample]


def test_repeated_docstrings_and_files_are_dropped(tmp_path, monkeypatch):
    shared, long = "shared " * 40 + "end", "own " * 60 + "end"
    for name, text in (
        ("a.py", f'"""{shared}"""'),
        ("b.py", f'"""{shared}"""\ndef f():\n    """{long}"""'),
        ("c.py", '"""x"""'),
    ):
        (tmp_path / name).write_text(text)
    files = [(name, tmp_path / name) for name in ("a.py", "b.py", "c.py")]
    monkeypatch.setattr(installed, "_files", lambda: files)
    found = list(installed.documents(InstalledText()))
    assert [(document.key, document.text) for document in found] == [("a.py", shared), ("b.py", long)]
    code = "x = 1\n" * 50
    for name, path in files:
        path.write_text(f"# {name}\n{code}")
    assert [document.key for document in installed.documents(InstalledText(domains=("code",)))] == ["a.py"]


def test_every_distribution_is_required_by_curselab_without_extras():
    found, todo = set(), ["curselab"]
    while todo:
        try:
            needs = [Requirement(line) for line in requires(todo.pop()) or ()]
        except PackageNotFoundError:  # for another platform
            continue
        needed = {canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})}
        todo += needed - found
        found |= needed
    assert {canonicalize_name(name) for name in installed.DISTRIBUTIONS} <= found


def test_a_missing_distribution_is_named(monkeypatch):
    monkeypatch.setattr(installed, "DISTRIBUTIONS", ("no-such-package",))
    with pytest.raises(InputError, match="no-such-package: not installed"):
        list(installed.documents(InstalledText()))

"""What is nowhere: loaders that run code, words run as code, and paths or shell commands made of what others hand over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.plan import load_plan
from tests.sweeps.tiny import tiny
from trainer.spec import ObjectiveSpec, StartSpec
from trainer.text import hub, prepare_text
from trainer.text_spec import HuggingFaceText, TextSpec

ROOT = Path(__file__).parents[1]
ROOMS = ("analysis", "benchmarks", "curselab", "figures", "sweeps", "trainer")
SOURCES = sorted(file for room in ROOMS for file in ROOT.glob(f"{room}/**/*.py"))
RULES = [ROOT / "Snakefile", *sorted(ROOT.glob("workflow/rules/*.smk"))]

MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
"""They run code that lies in data, if only when asked to; safetensors, JSON and safe YAML of ruamel do not."""
CALLS = {"eval", "exec", "compile"}
METHODS = {"system", "popen", "read_pickle", "to_pickle"}
TRUE = {"shell", "allow_pickle", "trust_remote_code"}
"""Keywords that may only be false."""
NEEDED = {"torch.load": ("weights_only", True), "YAML": ("typ", "safe")}
"""Calls that need a keyword with this value."""
UNQUOTED = {"params.digest", "params.laws"}
"""Hex digits, and names of the registry of laws."""


def forbidden(source: str) -> Iterator[str]:
    """Each forbidden thing in Python source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").split(".")[0]} & MODULES
        elif isinstance(node, ast.Call):
            name, keywords = ast.unparse(node.func), {each.arg: ast.unparse(each.value) for each in node.keywords}
            yield from {name} & CALLS | {name.rpartition(".")[2]} & METHODS
            yield from (word for word in TRUE & keywords.keys() if keywords[word] != "False")
            word, value = NEEDED.get(name, ("weights_only", True) if "ckpt_path" in keywords else ("", None))
            if word and keywords.get(word) != repr(value):
                yield f"{name} without {word}={value!r}"


def unquoted(rules: str) -> set[str]:
    """Files, folders and parameters that stand in a shell command without quotes."""
    return set(re.findall(r"\{((?:input|output|log|params)\b[^}:]*)\}", rules)) - UNQUOTED


def test_no_source_has_what_is_forbidden() -> None:
    assert len(SOURCES) > 200
    assert [f"{file.relative_to(ROOT)}: {what}" for file in SOURCES for what in forbidden(file.read_text())] == []


def test_rules_quote_what_they_put_into_shell_commands() -> None:
    assert len(RULES) > 9
    assert {file.name: words for file in RULES if (words := unquoted(file.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "import os.path, yaml", "eval(x)", "os.system(x)", "pd.read_pickle(x)",
        "run(x, shell=True)", "np.load(x, allow_pickle=yes)", "get(x, trust_remote_code=True)", "torch.load(x)",
        "torch.load(x, weights_only=False)", "YAML()", "YAML(typ='unsafe')", "trainer.fit(x, ckpt_path=y)",
    ],
)  # fmt: skip
def test_the_search_finds_what_is_forbidden(source: str) -> None:
    assert len(list(forbidden(source))) == 1
    assert list(forbidden("model.eval(); re.compile(x); torch.load(x, weights_only=True); run(x, shell=False)")) == []


def test_the_search_finds_what_is_not_quoted() -> None:
    assert unquoted('"fit {input} {input.runs} {output:q} {log} {params.out:q} {wildcards.law}"') == {
        "input",
        "input.runs",
        "log",
    }


HOSTILE = ["../../out", "/tmp/out", "..", "a/../../out", "a\0b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_out_of_the_results(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="teacher"):
        ObjectiveSpec(kind="distill", teacher=name)
    with pytest.raises(InputError, match="base"):
        StartSpec(base=name)
    monkeypatch.setattr(hub, "_texts", lambda source, subset: iter([f"{subset} {number}" for number in range(99)]))
    text = TextSpec(source=HuggingFaceText(name="owner/name", revision="1", subsets=(name,)))
    with pytest.raises(InputError, match="not usable in a file name"):
        prepare_text(text, tmp_path / "results" / text.text_id)
    grid, runs = tmp_path / "grid.yaml", "\n  scaling: {run: {size: [6k], training.tokens: [4096]}}"
    grid.write_text(tiny(runs).replace("grid: tiny", f"grid: {name!r}"))
    with pytest.raises(InputError, match="grid"):
        load_plan(grid)
    grid.write_text(tiny(runs))
    plan = load_plan(grid)
    with pytest.raises(InputError, match="not in"):
        plan.shard("scaling", name)
    assert [run.run_id for run in plan.runs] == [plan.runs[0].run_id]
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["grid.yaml"]
    assert list((tmp_path / "results").iterdir()) == []

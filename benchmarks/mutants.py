"""Do the tests notice a changed line? ``python -m benchmarks.mutants TARGET [--sample 100] [--seed 0]`` (needs mutmut 3.8.1).

mutmut changes one operator, number, argument, assignment or keyword of a function at a time, in a clone of the last commit,
and runs the tests that reach the function. Changes of texts and of what an error says are left out, and mutmut itself leaves
out decorated functions and what stands outside functions. The sample has one mutant of each of equal strata of the mutants in
the order of the source, of all files or of ``--files`` drawn first. Run again, it tests those that nothing has noticed so far.
"""

import argparse
import ast
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.stats import status_by_exit_code
from statsmodels.stats.proportion import proportion_confint

ROOT = Path(__file__).resolve().parents[1]
MUTMUT = Path(sys.executable).with_name("mutmut")
TARGETS = {"packing": "trainer/packing.py", "fitting": "analysis/fitting/*.py", "laws": "analysis/laws/*.py"}
MEMORY_BYTES = 16 * 2**30  # of address space: a mutant may grow without end
SETTINGS = """[mutmut]
source_paths =
    analysis
    curselab
    figures
    sweeps
    trainer
only_mutate =
    {files}
also_copy =
    benchmarks
    config
    docs
    results
    workflow
pytest_add_cli_args_test_selection =
    {tests}
timeout_multiplier = 5
"""


class Logic(ast.NodeTransformer):
    """A syntax tree without its texts and without what its errors say."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:  # noqa: D102
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:  # noqa: D102
        return ast.Constant("")

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:  # noqa: D102
        return ast.Raise()


def room(path: Path) -> list[str]:
    """Tests of a file: those whose names begin with its law's, or with its own."""
    tests, own = sorted(Path("tests", path.parent).glob("test_*.py")), f"test_{path.stem}_"
    law = min((f"{test.stem}_" for test in tests if own.startswith(f"{test.stem}_")), key=len, default=own)
    return [str(test) for test in tests if f"{test.stem}_".startswith(law)]


def outcomes(path: Path) -> dict[str, int | None]:
    """Exit code of the tests of each mutant of a file, None where they did not run."""
    data = SourceFileMutationData(path=path)
    data.load()
    return data.exit_code_by_key


def mutants(path: Path) -> list[str]:
    """Names of the mutants of a file whose logic is changed; makes them."""
    from mutmut.__main__ import create_file_mutants  # reads the settings when it is imported

    if error := create_file_mutants(path).error:
        raise error
    logic = {
        node.name: [ast.dump(Logic().visit(part)) for part in (node.args, *node.body)]
        for node in ast.walk(ast.parse(Path("mutants", path).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    names = {name: name.rpartition(".")[2] for name in outcomes(path)}
    return [name for name, mutant in names.items() if logic[mutant] != logic[f"{mutant.rpartition('_')[0]}_orig"]]


def noticed_by_files(name: str, more: list[str]) -> bool:
    """Whether the files of tests notice a mutant: mutmut knows of no call by a shared fixture or an import."""
    path = Path(*name.rpartition(".")[0].split(".")).with_suffix(".py")
    tests, under = [*room(path), *more], {**os.environ, "MUTANT_UNDER_TEST": name}
    words = [sys.executable, "-m", "pytest", "-x", "-q", *tests]
    # 1 where a test fails, 2 or 4 where a module cannot be imported
    return bool(tests) and subprocess.run(words, cwd="mutants", env=under, stdout=subprocess.DEVNULL).returncode != 0


def main() -> None:
    """Clone, draw, run, and print the score as a row of Markdown, and the mutants that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--sample", type=int, default=100, help="mutants, all where there are fewer")
    parser.add_argument("--files", type=int, default=1000, help="files, all where there are fewer")
    parser.add_argument("--tests", nargs="*", default=[], help="more tests than those of the files' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "curselab-mutants"), help="of the clones")
    arguments = parser.parse_args()
    clone = arguments.folder / arguments.target
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        (clone / "shared").symlink_to(ROOT.parent / "shared")
    os.chdir(clone)
    draw = random.Random(arguments.seed)
    paths = sorted(path for path in Path().glob(TARGETS[arguments.target]) if path.stem != "__init__")
    paths = sorted(draw.sample(paths, min(arguments.files, len(paths))))
    tests = sorted({test for path in paths for test in room(path)}.union(arguments.tests))
    Path("setup.cfg").write_text(SETTINGS.format(files="\n    ".join(map(str, paths)), tests="\n    ".join(tests)))
    population = [name for path in paths for name in mutants(path)]
    size = min(arguments.sample, len(population))
    edges = [len(population) * number // size for number in range(size + 1)]
    sample = [population[draw.randrange(*stratum)] for stratum in pairwise(edges)]

    def status() -> dict[str, str]:
        codes = {name: code for path in paths for name, code in outcomes(path).items()}
        return {name: status_by_exit_code[codes[name]] for name in sample}

    left = [name for name, word in status().items() if word in ("not checked", "survived", "no tests")]
    if left:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        subprocess.run([MUTMUT, "run", "--max-children", str(arguments.jobs), *left], check=True)
    survivors = [name for name, word in status().items() if word in ("survived", "no tests")]
    survivors = [name for name in survivors if not noticed_by_files(name, arguments.tests)]
    noticed = size - len(survivors)
    low, high = proportion_confint(noticed, size, method="wilson")
    for name in survivors:
        subprocess.run([MUTMUT, "show", name], check=True)
    print(dict(Counter(status().values())))
    print("| target | files | mutants | sample | seed | noticed | score | 95 % |\n|---|---|---|---|---|---|---|---|")
    score = f"{noticed} | {noticed / size:.1%} | {low:.1%} to {high:.1%} |"
    print(f"| {TARGETS[arguments.target]} | {len(paths)} | {len(population)} | {size} | {arguments.seed} | {score}")


if __name__ == "__main__":
    main()

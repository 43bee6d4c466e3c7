import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from curselab.cli import app, command
from tests.curselab.cli.asking import refused
from tests.pages import PAGES

ROOT_COMMAND = typer.main.get_command(app)


def leaves(group: Any, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in group.commands.items():
        words = (*above, name)
        yield from leaves(child, *words) if hasattr(child, "commands") else [(words, child)]


COMMANDS = dict(leaves(ROOT_COMMAND))


def example(words: tuple[str, ...]) -> str:
    """The one example that a command's help gives."""
    (found,) = re.findall(r"^Example: `(curselab .*)`$", COMMANDS[words].help or "", re.M)
    return found


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself_that_parses(ask, words: tuple[str, ...]) -> None:
    done = ask(*words, "--help")
    assert done.returncode == 0
    assert "Usage: curselab " + " ".join(words) in done.stdout
    _, *given = shlex.split(example(words))
    assert tuple(given[: len(words)]) == words
    COMMANDS[words].make_context(words[-1], given[len(words) :])  # refuses what is missing, unknown or of another type


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_misspelt_option_is_status_2(ask, words: tuple[str, ...]) -> None:
    done = ask(*words, "--gravity")
    assert done.returncode == 2
    assert "--gravity" in done.stderr


def test_the_manual_lists_every_command(root: Path) -> None:
    lines = [f"| `{' '.join(words)}` | {first_line(words)} | `{example(words)}` |" for words in COMMANDS]
    manual = (root / "docs" / "cli.md").read_text()
    found = [line for line in manual.splitlines() if line.startswith("| `")]
    assert found == lines, "docs/cli.md should say:\n" + "\n".join(lines)


def first_line(words: tuple[str, ...]) -> str:
    return (COMMANDS[words].help or "").splitlines()[0].rstrip(".")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("docs/cli.md", "docs/log.md")])  # help; the past
def test_every_command_line_that_a_page_shows_parses(root: Path, page: str) -> None:
    shown = re.findall(r"^(?:\S+/)?curselab ([^#\n]+)|`curselab ([^`]+)`", (root / page).read_text(), re.M)
    for line in ("".join(pair) for pair in shown):
        given = shlex.split(line)
        words = next(words for words in COMMANDS if tuple(given[: len(words)]) == words)
        if given[len(words) :]:
            COMMANDS[words].make_context(words[-1], given[len(words) :])


@pytest.mark.parametrize(("words", "completed"), [("laws s", "show"), ("laws show capa", "capacity_gap")])
def test_the_shell_completes_commands_and_laws(ask, monkeypatch: pytest.MonkeyPatch, words: str, completed: str) -> None:
    monkeypatch.setenv("_CURSELAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"curselab {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    assert ask().stdout.split() == [completed]


def test_what_the_system_refuses_is_one_line(ask, grid: Path) -> None:
    (grid.parent / "folder").mkdir()
    refused(ask("sweep", "expand", "--config", "folder"), "folder")


def test_a_signal_is_one_line_and_its_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = {}
    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.update({number: handler}))
    monkeypatch.setattr(command, "app", lambda prog_name: handlers[signal.SIGTERM](signal.SIGTERM, None))
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err.startswith("curselab: stopped by SIGTERM; complete runs are kept")


def test_planning_and_help_load_neither_torch_nor_pandas(root: Path) -> None:
    code = (
        "import sys; import curselab.cli; assert not {'torch', 'numpy'} & set(sys.modules);"
        "import sweeps.plan, sweeps.standing, trainer.spec, trainer.text, analysis; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

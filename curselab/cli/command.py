"""The command ``curselab``: its groups, and how it ends."""

import signal
import sys
from typing import NoReturn

import typer

from curselab.cli import doctor, grids, laws, plan, stages
from curselab.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")
for group in (stages.app, grids.app, plan.app, laws.app, doctor.app):
    app.add_typer(group)


@app.callback()
def curselab() -> None:
    """Scaling laws of where more stops helping: sweeps, fits, figures.

    `snakemake` runs all stages; each command here is one stage by itself, or a look at grids, runs and fits.

    Exit status: 0 done, 1 the input or a file has to be mended (one line says which), 2 the command was misspelt,
    128 and more: stopped by that signal.
    """


class _Stop(BaseException):
    """A signal asked the process to stop."""


def _stop(number: int, frame: object) -> NoReturn:
    raise _Stop(number)


def main() -> NoReturn:
    """Run the command line; what a person can mend is one line and exit status 1."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app(prog_name="curselab")
    except InputError as error:
        _leave(str(error), 1)
    except OSError as error:
        _leave(f"{error.filename or 'files'}: {error.strerror or str(error).splitlines()[0]}", 1)
    except _Stop as stop:
        received = signal.Signals(stop.args[0])
        _leave(f"stopped by {received.name}; complete runs are kept, and the same command goes on from there", 128 + received)
    sys.exit(0)


def _leave(line: str, status: int) -> NoReturn:
    # what was given may hold line breaks, or orders to the terminal
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    print(f"curselab: {printable}", file=sys.stderr)
    sys.exit(status)

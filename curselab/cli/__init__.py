"""The command line. Each command imports what it needs when it runs, so help and planning never pay for torch."""

from curselab.cli.command import app, main

__all__ = ["app", "main"]

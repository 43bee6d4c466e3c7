"""``python -m curselab`` is the command ``curselab``."""

from curselab.cli import main

main()

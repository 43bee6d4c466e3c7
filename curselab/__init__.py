"""Common ground of the rooms (errors, files, the results contract) and the command line."""

from importlib.metadata import version

__version__ = version("curselab")

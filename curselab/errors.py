"""The one error that a person, not a bug, can cause."""


class InputError(ValueError):
    """Bad input: one line that says what was given, what is allowed and where to look."""

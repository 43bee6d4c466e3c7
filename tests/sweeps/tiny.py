"""A grid of a few tiny runs."""


def tiny(sweeps: str) -> str:
    """YAML of a grid with these sweeps, indented below their key."""
    text = "{source: {kind: languages, families: 1, languages_per_family: 1, bytes_per_language: 60000}}"
    return f"grid: tiny\nshards: 1\ntext: {text}\nsweeps:{sweeps}"

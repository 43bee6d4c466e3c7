"""Figure of a law of the loss that was fitted to a researcher's own table."""

from pathlib import Path
from typing import Any

import pandas as pd

from curselab.errors import InputError
from figures.scaling import draw
from figures.style import save


def draw_form(fit: Any, runs: pd.DataFrame, stem: Path, *, venue: str = "neurips") -> tuple[Path, ...]:
    """Draw a law of parameters and tokens that was fitted to a researcher's own table, as ``stem.pdf`` and ``stem.png``."""
    if tuple(fit.form.inputs) != ("params", "tokens"):
        raise InputError(
            f"figure: law {fit.form.name} reads {', '.join(fit.form.inputs)}, a law of params and tokens is drawn"
        )
    axes, _ = draw(fit, runs, venue=venue)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return save(figure, stem)

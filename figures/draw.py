"""Figure files: a law's figure from its fit and its runs."""

import importlib
from pathlib import Path

import numpy as np

from analysis.fit import read_beside, read_fit, read_table
from analysis.laws.registry import find
from figures.style import save


def draw_file(law: str, fit_path: Path, runs_path: Path, stem: Path, *, venue: str = "neurips") -> tuple[Path, ...]:
    """Draw a law's figure as ``stem.pdf``, ``stem.png`` and ``stem.svg``.

    Parameters
    ----------
    law : str
        A name of ``analysis.laws.registry``; its figure is the module of the law's name here.
    fit_path, runs_path : Path
        Fit file and the table of runs that it was made from; other tables of the law lie beside it.
    stem : Path
        Path of the figure without its ending.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.
    """
    draw = importlib.import_module(f"figures.{find(law).room}").draw
    axes, _ = draw(read_fit(fit_path), read_table(law, runs_path), **read_beside(law, runs_path), venue=venue)
    return save(np.ravel(axes)[0].get_figure(root=True), stem)

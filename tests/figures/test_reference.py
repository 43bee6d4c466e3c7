"""Figures of the full grids, from their committed tables."""

import importlib

import numpy as np
import pytest

from analysis.fit import read_beside, read_table
from analysis.laws.registry import find

_SLOW = [pytest.mark.slow, pytest.mark.timeout(3600)]
LONG = [pytest.param(law, marks=_SLOW) for law in ("depth", "multilinguality", "stability_gap")]


@pytest.mark.parametrize("law", ["capacity_gap", "kernel_toy", "mapping", "prepacking", *LONG])
def test_the_figure_of_a_full_grid_is_legible(root, law, legible):
    runs, entry = root / "results" / "reference" / law / "runs.csv", find(law)
    table, beside = read_table(law, runs), read_beside(law, runs)
    fit = entry.load_fit()(table, **beside, **entry.options)
    for venue in ("acl", "neurips"):
        axes, _ = importlib.import_module(f"figures.{entry.room}").draw(fit, table, **beside, venue=venue)
        legible(np.ravel(axes))

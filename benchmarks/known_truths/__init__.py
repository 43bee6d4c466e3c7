"""Simulated tables whose truth is known: null hypotheses that hold exactly, and what every interval should hold.

A study draws one table, fits it as the project does by default, and says of each of its questions how many of so many
independent answers were hits: a false positive, or an interval that holds the truth. Designs are those of the full grids where
there is one.
"""

from benchmarks.known_truths import (
    capacity_gap,
    depth,
    learning_rate,
    multilinguality,
    prepacking,
    scaling,
    stability_gap,
)

MODULES = (capacity_gap, depth, learning_rate, multilinguality, prepacking, scaling, stability_gap)
STUDIES = {name: study for module in MODULES for name, study in module.STUDIES.items()}

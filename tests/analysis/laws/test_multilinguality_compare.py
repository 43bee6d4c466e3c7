from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, simulate
from analysis.laws.multilinguality_compare import compare_forms
from analysis.laws.multilinguality_transfer import cells_of

DESIGN = Design(languages=3, noise=0.002, seeds=2, tokens=(20e3, 63e3, 200e3, 630e3), ratios=(1.0, 10.0, 30.0))


def _compare(truth, design=DESIGN):
    rng = np.random.default_rng(0)
    cells = cells_of(simulate(languages_of(truth, design, rng), design, rng), "added")[1]
    return pd.DataFrame([(r.form, r.held_out, r.error, r.r2, r.n) for r in compare_forms(cells, "added", rng=rng)]).set_axis(
        ["form", "held_out", "error", "r2", "n"], axis=1
    )


def test_the_form_that_made_the_data_predicts_best_what_it_has_not_seen():
    table = _compare(TRUTH)
    assert set(table["held_out"]) == {"random", "params", "tokens", "compute", "mixture"}
    best = table.loc[table.groupby("held_out")["error"].idxmin(), "form"]
    assert set(best) == {"saturating_capacity"}
    assert table.loc[table["form"] == "saturating_capacity", "error"].max() < 0.006
    assert (table.loc[table["form"] == "flat", "error"] > 0.01).all()


def test_where_nothing_is_added_in_effect_no_form_is_much_better():
    """But for unseen sizes: from two sizes no form knows the exponent of N."""
    table = _compare(replace(TRUTH, gain=0.0, cost=0.0)).pivot_table(index="held_out", columns="form", values="error")
    inside = table.drop(index="params")
    assert (inside["flat"] < 1.1 * inside.min(axis=1)).all()


def test_a_hold_out_that_cannot_be_made_is_left_out():
    table = _compare(TRUTH, replace(DESIGN, params=(75e3, 450e3), ratios=(10.0,)))
    assert set(table["held_out"]) == {"random", "tokens", "compute"}

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.laws.multilinguality import fit_runs
from curselab.errors import InputError
from figures.multilinguality import draw
from figures.style import context
from tests.analysis.multilinguality_factories import EPOCHS, multilinguality_runs, passes

TOKENS = (20_000, 80_000, 320_000, 1_280_000)


@pytest.fixture(scope="module")
def found():
    """A fit of artificial languages with a ladder of sizes and a run that diverged, and its runs."""
    options = {"sizes": (6_000, 56_000), "ladder": (443_000,), "languages": 4, "seeds": 2}
    runs = multilinguality_runs(tokens=TOKENS, artificial=True, **options)
    runs.loc[0, ["status", "loss_bits_per_byte"]] = ["diverged", np.nan]
    return fit_runs(runs, bootstrap=100, form="chinchilla"), runs


@pytest.fixture(scope="module")
def unknown():
    """A fit of one language and one arm, without the control, and its runs."""
    options = {"sizes": (6_000,), "tokens": TOKENS[:2], "languages": 1, "seeds": 1, "ratios": (1,), "matched": None}
    runs = multilinguality_runs(**options)
    runs = runs[runs["stage"].isin(["monolingual", "null_language"])]
    # four runs may show a crossover by chance
    return replace(fit_runs(runs, bootstrap=100), crossovers=()), runs


def test_the_control_stands_first_beside_the_arms(found):
    axes, drawn = draw(*found)
    control = drawn[drawn["series"] == "control"]
    assert len(control) == 2 * 4 * 2  # sizes, data, ratios
    np.testing.assert_allclose(control["value"], [passes(r) for r in control["added"] / control["tokens"] / EPOCHS], atol=0.15)
    _, labels = axes[0].get_legend_handles_labels()
    assert labels[:4] == ["alone, more passes", "similar", "dissimilar", "null language"]
    seen = np.concatenate([line.get_xydata() for line in axes[0].lines])
    here = control[(control["params"] == 6_000) & (control["tokens"] == 20_000)]
    assert set(here["value"]) <= set(seen[:, 1])


def test_a_cell_that_was_not_run_says_so(found):
    fit, runs = found
    N, D = max(v.params for v in fit.verdicts), TOKENS[1]
    there = {
        name: [v for v in getattr(fit, name) if (v.params, v.tokens) != (N, D)] for name in ("runs", "controls", "verdicts")
    }
    axes, _ = draw(replace(fit, **there), runs)
    said = [[text.get_text() for text in ax.texts] for ax in axes[:-2]]
    place = 2 * len(TOKENS) + 1  # the third size
    assert [number for number, words in enumerate(said) if "not run" in words] == [place]


def test_what_is_returned_is_what_is_drawn(found):
    fit, runs = found
    axes, drawn = draw(fit, runs)
    assert (drawn["series"] == "run").sum() == fit.counts.n_runs
    (verdict,) = (v for v in fit.verdicts if (v.mixture, v.params, v.tokens) == ("similar", 56_000, 80_000) and v.added < 1e5)
    row = drawn[(drawn["series"] == "gain") & (drawn["mixture"] == "similar") & (drawn["params"] == 56_000)]
    row = row[(row["tokens"] == 80_000) & (row["added"] < 1e5)].iloc[0]
    assert (row["value"], row["lower"], row["upper"]) == (verdict.gain, verdict.lower, verdict.upper)
    crossovers = drawn[drawn["series"] == "crossover"]
    points = np.concatenate([line.get_xydata() for line in axes[-2].lines])
    assert set(crossovers["value"]) <= set(points[:, 1])
    likeness = drawn[drawn["series"] == "likeness"]
    assert list(likeness["mixture"]) == ["syntax_similarity, 1 over 0", "lexical_similarity, 1 over 0"]
    assert set(likeness["value"]) <= {x for line in axes[-1].lines for x in line.get_xdata()}
    assert set(drawn["series"]) >= {"published crossover", "published contrast", "contrast of a cell", "law"}


def test_laws_are_solid_inside_the_data_and_dashed_outside(found):
    axes, _ = draw(*found)
    solid = [line for line in axes[0].lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 10]
    dashed = [line for line in axes[0].lines if line.get_linestyle() == "--" and len(line.get_xdata()) > 10]
    assert len(solid) == len(dashed) == 3
    for inner, outer in zip(solid, dashed, strict=True):
        assert inner.get_xdata()[0] >= 1
        assert inner.get_xdata()[-1] <= 10.01
        assert outer.get_xdata()[0] < 1
        assert outer.get_xdata()[-1] > 10.01


def test_axes_have_units_and_all_words_can_be_read(found, texts):
    axes, _ = draw(*found)
    assert (axes[-2].get_xlabel(), axes[-2].get_ylabel()) == ("size $N$ (parameters)", "crossover $D_c$ (target tokens)")
    assert axes[-1].get_xlabel() == "ratio of equivalent data"
    figure = axes[0].get_figure(root=True)
    figure.draw_without_rendering()
    words = texts(figure)
    assert min(words.values()) >= 6
    assert {"added over own target data", "equivalent over own target data", "$D$ = 20k", "$N$ = 443k", "unresolved"} <= set(
        words
    )
    joined = " ".join(words)
    for needed in ("censored: ", "diverged: 1", "bars: 95 %", "null language", "Chang et al."):
        assert needed in joined


def test_what_cannot_be_told_is_said(unknown, texts):
    axes, drawn = draw(*unknown)
    words = " ".join(texts(axes[0].get_figure(root=True)))
    assert "no crossover found" in words
    assert "no two mixtures" in words
    assert not drawn["series"].isin(["control", "crossover", "contrast"]).any()


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible(found, unknown, venue, legible):
    for case in (found, unknown):
        axes, _ = draw(*case, venue=venue)
        legible(axes)
        with context():
            rows = [label.get_window_extent() for label in axes[-1].get_yticklabels()]
        assert all(upper.y0 > lower.y1 - 1 for upper, lower in zip(rows[:-1], rows[1:], strict=True))


def test_it_draws_where_it_is_told(found):
    given = Figure().subplots(2, 7).ravel()
    axes, _ = draw(*found, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 14 are needed"):
        draw(*found, ax=given[0])

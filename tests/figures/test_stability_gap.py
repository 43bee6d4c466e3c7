import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.laws.stability_gap import fit_runs
from curselab.errors import InputError
from figures.stability_gap import draw
from tests.analysis.stability_gap_factories import stability_gap_tables

FEW = ((), ("subset",), ("mixture",), ("subset", "mixture"))


@pytest.fixture(scope="module")
def found():
    """A fit of four cells with a control, and its tables."""
    tables = stability_gap_tables(arms=FEW, budgets=(100_000,))
    return fit_runs(*tables), *tables


@pytest.fixture(scope="module")
def bare():
    """A fit of one seed without a control or a strategy, and its tables."""
    runs, metrics = stability_gap_tables(arms=((),), budgets=(100_000,), seeds=1)
    runs = runs[runs["stage"].isin(["annealed", "strong"])]
    return fit_runs(runs, metrics), runs, metrics


def test_axes_have_units_and_all_words_can_be_read(found, texts):
    axes, _ = draw(*found)
    assert [ax.get_ylabel() for ax in axes] == [
        "loss on prose (nats/token)",
        "loss on code (nats/token)",
        "",
        "last loss on code (nats/token)",
    ]
    assert axes[2].get_xlabel() == "effect (nats/token), below 0 is better"
    axes[0].figure.draw_without_rendering()
    words = texts(axes[0].figure)
    assert min(words.values()) >= 6
    for needed in ("plain: gap", "old text (control)", "subset", "mixture", "bars: 95 %\nfilled: not 0 (Holm)"):
        assert needed in words


def test_what_is_returned_is_what_is_drawn(found):
    fit, _, metrics = found
    axes, drawn = draw(*found)
    condition = fit.conditions[0]
    plain = drawn[(drawn["series"] == "old") & (drawn["arm"] == "plain")]
    scored = metrics[(metrics["domain"] == "prose") & (metrics["step"] == 400)]
    last = plain.set_index("x").loc[100_000]
    assert last["value"] == pytest.approx(condition.end("plain").old_loss.value)
    assert scored["value"].min() <= last["lower"] <= last["value"] <= last["upper"]
    low = drawn[(drawn["series"] == "minimum") & (drawn["arm"] == "plain")].iloc[0]
    assert low["x"] == condition.gap("plain").time_to_minimum.value
    assert low["value"] == pytest.approx(plain["value"].max(), abs=0.01)
    effect = drawn[(drawn["series"] == "effect on new_loss") & (drawn["arm"] == "subset")].iloc[0]
    (own,) = (e for e in condition.effects if (e.outcome, e.term) == ("new_loss", "subset"))
    assert (effect["value"], effect["lower"], effect["upper"]) == (own.estimate.value, own.estimate.lower, own.estimate.upper)
    seen = {tuple(point) for line in axes[3].lines for point in line.get_xydata()}
    ends = drawn[drawn["series"] == "end"]
    assert set(zip(ends["x"], ends["value"], strict=True)) <= seen
    assert set(ends["arm"]) == {"plain", "subset", "mixture", "subset + mixture"}


def test_an_effect_that_is_shown_is_filled_and_one_that_is_not_is_hollow(found):
    axes, _ = draw(*found)
    faces = {
        (line.get_color(), round(float(line.get_ydata()[0]))): line.get_markerfacecolor()
        for line in axes[2].lines
        if len(line.get_xdata()) == 1
    }
    blue = "#0072B2"
    assert faces[blue, 0] == blue
    assert faces["#009E73", 0] == "white"


def test_a_bare_table_is_drawn_and_says_what_it_lacks(bare, texts):
    axes, drawn = draw(*bare)
    words = texts(axes[0].figure)
    assert "no strategies to compare" in words
    assert "plain: gap, no control" in words
    assert drawn.loc[drawn["series"] == "end", "lower"].isna().all()
    without, _ = draw(bare[0], bare[1])
    assert all(np.size(line.get_xdata()) <= 1 for line in without[0].lines)


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible(found, bare, venue, legible):
    for case in (found, bare):
        legible(draw(*case, venue=venue)[0])


def test_it_draws_where_it_is_told(found):
    given = Figure().subplots(2, 2).ravel()
    axes, _ = draw(*found, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 4 are needed"):
        draw(*found, ax=given[0])

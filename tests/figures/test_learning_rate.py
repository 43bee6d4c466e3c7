import numpy as np
import pytest
from matplotlib.figure import Figure

from curselab.errors import InputError
from figures.learning_rate import draw


def _points(ax):
    """Lines of one point in data coordinates: markers of the cost panel."""
    return [tuple(line.get_xydata()[0]) for line in ax.lines if len(line.get_xdata()) == 1]


def test_axes_have_units_and_all_words_can_be_read(rates, texts):
    (loss, cost), _ = draw(*rates)
    assert loss.get_xlabel() == "learning rate (multiples of the rule's)"
    assert loss.get_ylabel() == "loss above the lowest (%)"
    assert cost.get_xlabel() == "size $N$ (parameters)"
    assert cost.get_ylabel() == "cost of the rule (%)"
    loss.figure.draw_without_rendering()
    words = texts(loss.figure)
    assert min(words.values()) >= 6
    assert {"$N$ = 6k", "$N$ = 101k", "bars: 95 %\nrule below 1 %: shown"} <= set(words)


def test_what_is_returned_is_what_is_drawn(rates):
    fit, runs = rates
    (loss, cost), drawn = draw(fit, runs)
    assert drawn.groupby("series").size()["run"] == fit.counts.n_runs
    seen = np.concatenate([line.get_xydata() for line in loss.lines if line.get_alpha() == 0.4])
    expected = drawn.loc[drawn["series"] == "run", ["factor", "percent"]].to_numpy()
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(expected, axis=0))
    assert _points(cost) == [(s.size, 100 * s.cost) for s in fit.sizes]
    for s in fit.sizes:
        mine = drawn[drawn["size"] == s.size]
        optimum = mine[mine["series"] == "optimum"].iloc[0]
        assert optimum["factor"] * s.chosen == pytest.approx(s.optimum)
        # the curve touches zero at the best rate, and is the rule's cost at the rule's rate
        curve = mine[mine["series"] == "curve"]
        assert np.interp(optimum["factor"], curve["factor"], curve["percent"]) == pytest.approx(0, abs=0.01)
        assert np.interp(1, curve["factor"], curve["percent"]) == pytest.approx(100 * s.cost, abs=0.01)
        bar = mine[mine["series"] == "cost"].iloc[0]
        assert (bar["lower"], bar["upper"]) == (100 * s.cost_lower, 100 * s.cost_upper)


def test_nothing_identified_is_said_and_no_optimum_is_drawn(no_rates, texts):
    (loss, cost), drawn = draw(*no_rates)
    assert not drawn["series"].isin(["optimum", "curve"]).any()
    words = " ".join(texts(loss.figure))
    assert "hollow, not identified: 3 of 3" in words
    assert "diverged, not drawn: 12" in words
    assert "rule below 1 %: refuted" in words  # its own rate diverges at one size
    assert len(_points(cost)) == 2
    assert {line.get_markerfacecolor() for line in cost.lines if line.get_marker() != "None"} == {"white"}


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible(rates, no_rates, venue, legible):
    for case in (rates, no_rates):
        (loss, cost), _ = draw(*case, venue=venue)
        legible((loss, cost))
        assert (cost.get_position().x0 > loss.get_position().x1) == (venue == "neurips")


def test_it_draws_where_it_is_told(rates):
    given = Figure().subplots(1, 2)
    axes, _ = draw(*rates, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 2 are needed"):
        draw(*rates, ax=given[0])

import numpy as np
import pytest
from matplotlib.figure import Figure

from curselab.errors import InputError
from figures.capacity_gap import draw
from figures.style import context


def test_axes_have_units_and_all_words_can_be_read(gap, texts):
    (loss, best), _ = draw(*gap)
    assert loss.get_xlabel() == "teacher $N_T$ (parameters)"
    assert loss.get_ylabel() == "loss minus plain training (nats/token)"
    assert best.get_xlabel() == "student $N_S$ (parameters)"
    assert best.get_ylabel() == "best teacher $N_T^*$ (parameters)"
    loss.figure.draw_without_rendering()
    words = texts(loss.figure)
    assert min(words.values()) >= 6
    assert {"Zhang et al. 2023, $k$ = 2.5", "Busbridge et al. 2025, $k$ = 9", "$N_S$ = 546M"} <= set(words)


def test_what_is_returned_is_what_is_drawn(gap):
    fit, runs = gap
    (loss, best), drawn = draw(fit, runs)
    series = drawn.groupby("series").size()
    assert series["run"] == fit.counts.n_runs
    seen = np.concatenate([line.get_xydata() for line in loss.lines if line.get_alpha() == 0.4 and line.get_linewidth() != 3])
    expected = drawn.loc[drawn["series"] == "run", ["teacher", "loss"]].to_numpy()
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(expected, axis=0))
    optima = drawn[drawn["series"] == "optimum"]
    assert optima["teacher"].tolist() == [s.optimum for s in fit.students]
    marked = [tuple(line.get_xydata()[0]) for line in best.lines if len(line.get_xdata()) == 1]
    assert marked == list(zip(optima["student"], optima["teacher"], strict=True))
    # the curve is the fit's own parabola: its lowest sampled point is the optimum, up to the sampling
    for _, curve in drawn[drawn["series"] == "curve"].groupby("student"):
        nearest = curve.loc[curve["loss"].idxmin(), "teacher"]
        assert np.abs(np.log(optima["teacher"] / nearest)).min() < 0.05


def test_published_laws_are_drawn_as_published(gap):
    _, drawn = draw(*gap)
    zhang = drawn[drawn["series"].str.startswith("Zhang")]
    np.testing.assert_allclose(zhang["teacher"], 2.498 * zhang["student"] - 11.498e6)
    busbridge = drawn[drawn["series"].str.startswith("Busbridge")]
    np.testing.assert_allclose(busbridge["teacher"], 9 * busbridge["student"])


def test_nothing_identified_is_said_and_no_optimum_is_drawn(no_gap, texts):
    (loss, _), drawn = draw(*no_gap)
    assert not drawn["series"].isin(["optimum", "curve", "law"]).any()
    words = " ".join(texts(loss.figure))
    assert words.count(", not identified") == 3
    assert "law not identified" in words
    assert "0 of 3 optima found" in words
    # an offset of millions would make the teacher of a miniature negative
    assert "(no offset)" in words
    assert (drawn.loc[drawn["series"].str.startswith("Zhang"), "teacher"] > 0).all()


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_words_stay_on_the_page(no_gap, venue):
    (loss, best), _ = draw(*no_gap, venue=venue)
    figure = loss.figure
    with context():  # as save does: fonts are looked up when a figure is drawn
        figure.draw_without_rendering()
        boxes = [ax.get_tightbbox() for ax in (loss, best)]
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1 + 1
    assert (best.get_position().x0 > loss.get_position().x1) == (venue == "neurips")


def test_it_draws_where_it_is_told(gap):
    given = Figure().subplots(1, 2)
    axes, _ = draw(*gap, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 2 are needed"):
        draw(*gap, ax=given[0])

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.laws.capacity_gap import fit_capacity_gap
from curselab.errors import InputError
from figures.capacity_gap import draw
from tests.analysis.factories import capacity_gap_runs


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
    # the curve is the fit's own cubic: its lowest sampled point is the optimum, up to the sampling
    for _, curve in drawn[drawn["series"] == "curve"].groupby("student"):
        nearest = curve.loc[curve["loss"].idxmin(), "teacher"]
        assert np.abs(np.log(optima["teacher"] / nearest)).min() < 0.05


def test_published_laws_are_drawn_as_published(gap):
    _, drawn = draw(*gap)
    zhang = drawn[drawn["series"].str.startswith("Zhang")]
    np.testing.assert_allclose(zhang["teacher"], 2.498 * zhang["student"] - 11.498e6)
    busbridge = drawn[drawn["series"].str.startswith("Busbridge")]
    np.testing.assert_allclose(busbridge["teacher"], 9 * busbridge["student"])
    # with the ratios that the paper's coefficients support
    np.testing.assert_allclose(busbridge["lower"], 8.3 * busbridge["student"])
    np.testing.assert_allclose(busbridge["upper"], 11 * busbridge["student"])


def test_the_noise_and_what_it_lets_see_stand_beside_the_law(gap, texts):
    fit, runs = gap
    (_, best), _ = draw(fit, runs)
    words = " ".join(texts(best.figure))
    assert f"noise of a run: {max(s.sigma for s in fit.students):.2g}" in words
    assert f"least rise found: {max(s.detectable for s in fit.students):.2g}" in words


def test_a_bracketed_optimum_has_no_curve():
    """Runs too quiet for any cubic: the lowest teacher and its neighbours are drawn, at its own mean."""
    runs = capacity_gap_runs(noise=1e-6)
    fit = fit_capacity_gap(runs, bootstrap=50)
    (student,) = fit.students
    assert student.curve == ()
    _, drawn = draw(fit, runs)
    assert "curve" not in set(drawn["series"])
    (optimum,) = drawn[drawn["series"] == "optimum"].to_dict("records")
    assert optimum["teacher"] == pytest.approx(student.lowest)
    assert optimum["loss"] == pytest.approx(min(student.means) - student.plain_loss)


def test_nothing_identified_is_said_and_no_optimum_is_drawn(no_gap, texts):
    (loss, _), drawn = draw(*no_gap)
    assert not drawn["series"].isin(["optimum", "curve", "law"]).any()
    words = " ".join(texts(loss.figure))
    assert "hollow, not identified: 3 of 3 law not identified" in " ".join(words.split())
    markers = [line for line in loss.lines if line.get_markersize() == 3.5]
    assert {line.get_markerfacecolor() for line in markers} == {"white"}
    # an offset of millions would make the teacher of a miniature negative
    assert "(no offset)" in words
    assert (drawn.loc[drawn["series"].str.startswith("Zhang"), "teacher"] > 0).all()


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible(no_gap, venue, legible):
    (loss, best), _ = draw(*no_gap, venue=venue)
    legible((loss, best))
    assert (best.get_position().x0 > loss.get_position().x1) == (venue == "neurips")


def test_it_draws_where_it_is_told(gap):
    given = Figure().subplots(1, 2)
    axes, _ = draw(*gap, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 2 are needed"):
        draw(*gap, ax=given[0])

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.laws.scaling import fit_runs
from figures.scaling import draw
from tests.analysis.factories import scaling_runs


def test_axes_have_units_and_all_words_can_be_read(scaling, texts):
    ax, _ = draw(*scaling)
    assert ax.get_xlabel() == "training tokens $D$ (tokens)"
    assert ax.get_ylabel() == "validation loss $L$ (nats/token)"
    ax.figure.draw_without_rendering()
    words = texts(ax.figure)
    assert min(words.values()) >= 6
    assert {"$N$ = 10k", "$N$ = 1M"} <= set(words)
    assert any("95 %" in word and "diverged, not drawn: 1" in word for word in words)


def test_what_is_returned_is_what_is_drawn(scaling):
    fit, runs = scaling
    ax, drawn = draw(fit, runs)
    points = np.concatenate([line.get_xydata() for line in ax.lines if line.get_linestyle() == "None"])
    expected = drawn.loc[drawn["series"] == "run", ["tokens", "loss"]].to_numpy()
    np.testing.assert_array_equal(np.sort(points, axis=0), np.sort(expected, axis=0))
    assert len(points) == fit.nobs == len(runs) - 1
    solid = [line.get_xydata() for line in ax.lines if line.get_linestyle() == "-"]
    inside = drawn[(drawn["series"] == "fit") & ~drawn["extrapolated"]]
    assert sum(map(len, solid)) == len(inside)
    np.testing.assert_allclose(inside["loss"], fit.predict(inside["params"], inside["tokens"])["loss"])


def test_solid_lines_end_at_the_runs(scaling):
    fit, runs = scaling
    _, drawn = draw(fit, runs)
    inside = drawn[(drawn["series"] == "fit") & ~drawn["extrapolated"]]
    assert inside["tokens"].min() == runs["tokens"].min()
    assert inside["tokens"].max() == runs["tokens"].max()
    outside = drawn[(drawn["series"] == "fit") & drawn["extrapolated"]]
    assert outside["tokens"].max() > runs["tokens"].max()


def test_it_draws_where_it_is_told(scaling):
    ax = Figure().add_subplot()
    given, _ = draw(*scaling, ax=ax)
    assert given is ax


def test_what_is_not_identified_is_said(texts):
    runs = scaling_runs(noise=0.003)[lambda d: d["params_total"] <= 30_000]
    ax, _ = draw(fit_runs(runs, bootstrap=30), runs)
    assert any(r"not identified: $E$, $A$, $\alpha$" in word for word in texts(ax.figure))


def test_no_band_is_announced_where_none_is_drawn(texts):
    runs = scaling_runs(noise=0.003)
    ax, drawn = draw(fit_runs(runs, bootstrap=0), runs)
    assert drawn["lower"].isna().all()
    assert any("no band" in word for word in texts(ax.figure))
    assert not any("band:" in word for word in texts(ax.figure))


@pytest.mark.parametrize("venue", ["acl", "neurips"])
def test_the_page_is_legible(scaling, venue, legible):
    legible([draw(*scaling, venue=venue)[0]])

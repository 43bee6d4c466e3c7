import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.laws.depth import fit_depth
from curselab.errors import InputError
from figures.depth import draw
from tests.analysis.depth_factories import CURED, CURSED, PLAIN, Truth, depth_tables


@pytest.fixture(scope="module")
def found():
    """A fit of four schemes, one of which diverges at its largest depth, and its tables."""
    broken = Truth(PLAIN.loss, PLAIN.variance, diverges=((24, 1.0),))
    schemes = {"pre": CURSED, "lns": CURED, "pre + scaled init": CURSED, "post": broken}
    runs, layers = depth_tables(schemes, depths=(12, 24), rates=(1.0,))
    return fit_depth(runs, layers), runs, layers


@pytest.fixture(scope="module")
def unknown():
    """A fit of one seed, where nothing is identified, and its tables."""
    runs, layers = depth_tables({"pre": PLAIN, "lns": CURED}, depths=(12,), rates=(1.0,), seeds=1)
    return fit_depth(runs, layers), runs, layers


def test_axes_have_units_and_all_words_can_be_read(found, texts):
    axes, _ = draw(*found)
    assert [ax.get_xlabel() for ax in axes] == [
        "block",
        "block taken out",
        "deep share of removal loss (of $L$)",
        "blocks $L$",
    ]
    assert axes[1].get_ylabel() == "rise of the loss (nats/token)"
    assert axes[3].get_ylabel() == "loss less that of pre (nats/token)"
    axes[0].figure.draw_without_rendering()
    words = texts(axes[0].figure)
    assert min(words.values()) >= 6
    assert {"lns (24)", "post (12)"} <= set(words)
    joined = " ".join(words)
    for needed in ("lns: linear", "bars: 95 %", "hollow: second hand", "crosses: diverged there", "diverged here: 3"):
        assert needed in joined


def test_what_is_returned_is_what_is_drawn(found):
    fit, _, _ = found
    axes, drawn = draw(*found)
    for scheme in ("pre", "lns"):
        arm = fit.arm(scheme, 24)
        part = drawn[(drawn["scheme"] == scheme) & (drawn["series"] == "variance")]
        np.testing.assert_allclose(part["value"], arm.growth.variance)
        share = drawn[(drawn["scheme"] == scheme) & (drawn["series"] == "share")].iloc[0]
        assert (share["value"], share["lower"]) == (arm.effective.deep_share.value, arm.effective.deep_share.lower)
    seen = {tuple(point) for line in axes[1].lines for point in line.get_xydata()}
    assert {(1.0, fit.arm("pre", 24).effective.deltas[0])} <= seen
    gap = drawn[(drawn["scheme"] == "lns") & (drawn["series"] == "loss") & (drawn["x"] == 24)].iloc[0]
    assert gap["lower"] < gap["value"] < gap["upper"] < 0


def test_published_rows_are_marked_by_what_they_are(found):
    _, drawn = draw(*found)
    post = drawn[drawn["scheme"] == "post"].groupby("series").size()
    assert post["published, diverged"] == 5
    assert post["published, secondary"] == 2
    assert drawn.loc[drawn["series"] == "published, diverged", "value"].isna().all()


def test_nothing_identified_is_said(unknown, texts):
    axes, drawn = draw(*unknown)
    words = " ".join(texts(axes[0].figure))
    assert "pre: not identified" in words
    assert "pre: not resolved" in words
    assert drawn.loc[drawn["series"] == "share", "lower"].isna().all()
    markers = [line for line in axes[2].lines if line.get_marker() not in ("None", None)]
    assert {line.get_markerfacecolor() for line in markers} == {"white"}


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible(found, unknown, venue, legible):
    for case in (found, unknown):
        legible(draw(*case, venue=venue)[0])


def test_it_draws_where_it_is_told(found):
    given = Figure().subplots(2, 2).ravel()
    axes, _ = draw(*found, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 4 are needed"):
        draw(*found, ax=given[0])

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.laws.prepacking import fit_prepacking
from curselab.errors import InputError
from figures.prepacking import draw
from figures.style import context
from tests.analysis.prepacking_factories import times


@pytest.fixture(scope="module")
def found():
    """A fit with intervals, and its table."""
    table = times(noise=0.02, batches=(8,))
    rank = {"token_stream": 1, "buckets": 2, "prepacking": 4}
    table = table.assign(
        time_over_limit=1.0 + table["method"].map(rank).fillna(6) / 10,
        peak_bytes=table["method"].map(rank).fillna(10).astype(int) * 1000,
    )
    return fit_prepacking(table, bootstrap=10), table


def test_axes_have_units_and_all_words_can_be_read(found, texts):
    axes, _ = draw(*found)
    assert axes[0].get_xlabel() == "padding ratio (slots / real tokens)"
    assert axes[0].get_ylabel() == "speed-up over left padding"
    assert [ax.get_xlabel() for ax in axes[1:]] == ["time / limit", "memory / padding"]
    axes[0].figure.draw_without_rendering()
    words = texts(axes[0].figure)
    assert min(words.values()) >= 6
    joined = " ".join(words)
    for needed in ("token stream", "bars: the law, crosses: published", "law on held-out lengths:"):
        assert needed in joined


def test_what_is_returned_is_what_is_drawn(found):
    fit, table = found
    axes, drawn = draw(fit, table)
    speedups = fit.speedups(table)
    stream = speedups[speedups["method"] == "token_stream"]
    measured = drawn[(drawn["series"] == "measured") & (drawn["method"] == "token_stream")]
    np.testing.assert_allclose(measured["value"], stream["measured"])
    np.testing.assert_allclose(measured["x"], stream["padding_ratio"])
    seen = {tuple(point) for line in axes[0].lines for point in line.get_xydata()}
    assert set(zip(measured["x"], measured["value"], strict=True)) <= seen
    memory = drawn[drawn["series"] == "memory"].set_index("method")
    assert memory.loc[["token_stream", "buckets", "prepacking", "padded_left"], "value"].tolist() == [0.1, 0.2, 0.4, 1.0]
    assert (drawn["series"] == "published").sum() == 50


def test_it_is_drawn_on_axes_of_one_s_own_and_in_one_column(found):
    with context():
        axes = Figure().subplots(1, 3)
        assert draw(*found, ax=axes)[0][0] is axes[0]
    assert len(draw(*found, venue="icml")[0]) == 3
    with pytest.raises(InputError, match="ax: 2 axes were given, 3 are needed"):
        draw(*found, ax=axes[:2])


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible(found, venue, legible):
    legible(draw(*found, venue=venue)[0])

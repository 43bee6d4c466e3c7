import itertools
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.fit import fit_file
from analysis.laws.registry import LAWS
from analysis.laws.scaling import fit_runs as fit_scaling
from curselab.contract import check_frame
from curselab.errors import InputError
from figures.overview import draw, draw_files
from figures.style import COLOURS, NOTE_PT, context
from tests.analysis.factories import scaling_runs


@pytest.fixture(scope="module")
def page(laws):
    """The overview of all of them."""
    return draw(*laws)


def words(ax):
    return ax.get_legend().get_title().get_text()


def test_every_law_has_a_panel_with_its_units_and_all_words_can_be_read(page, texts):
    axes, drawn = page
    assert list(drawn["law"].unique()) == list(LAWS)
    labels = dict(zip(LAWS, [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes], strict=True))
    assert labels["scaling"] == ("training tokens $D$", "loss (nats/token)")
    assert labels["learning_rate"] == ("rate / the rule's", "loss rise (%)")
    axes[0].figure.draw_without_rendering()
    assert min(texts(axes[0].figure).values()) >= NOTE_PT
    said = {" ".join(text.split()) for text in texts(axes[0].figure)}  # wrapped where there is no room
    assert "bars and bands: 95 % stability gap: lowest and highest seed" in said


def test_panels_say_what_their_laws_found(laws, page):
    fits, _ = laws
    axes, _ = page
    said = {law: " ".join(words(ax).split()) for law, ax in zip(LAWS, axes, strict=True)}
    alpha = float(re.findall(r"alpha=([\d.]+)", said["scaling"])[0])
    assert alpha == pytest.approx(fits["scaling"].params["alpha"], abs=0.01)
    assert f"4 of 4 best teachers found, law b = {fits['capacity_gap'].across.b:.2f}" in said["capacity_gap"]
    assert "3 of 3 best rates found; rule within 1 %: shown" in said["learning_rate"]
    assert f"pre at 12 blocks: {fits['depth'].curse.call}" in said["depth"]
    assert "shown: similar, $N$ = 6k" in said["multilinguality"]
    assert "to code: gap" in said["stability_gap"]
    assert f"law {100 * fits['prepacking'].held_out.median:.1f} % off" in said["prepacking"]


def test_what_is_returned_is_what_is_drawn(page):
    axes, drawn = page
    for law, ax in zip(LAWS, axes, strict=True):
        lines = [
            line.get_xydata() for line in ax.lines if line.get_marker() not in ("None", None) or len(line.get_xdata()) > 2
        ]
        mine = drawn.loc[drawn["law"] == law, ["x", "value"]]
        np.testing.assert_array_equal(np.unique(np.concatenate(lines), axis=0), np.unique(mine, axis=0))


def test_the_numbers_are_those_of_the_fits(laws, page):
    fits, _ = laws
    _, drawn = page
    gap = drawn[(drawn["law"] == "capacity_gap") & (drawn["series"] == "mean")]
    first = fits["capacity_gap"].students[0]
    np.testing.assert_allclose(gap["value"][: len(first.means)], np.array(first.means) - min(first.means))
    gain = drawn[drawn["law"] == "multilinguality"].iloc[0]
    (verdict,) = (
        v
        for v in fits["multilinguality"].verdicts
        if (v.mixture, v.tokens) == ("similar", 20_000) and v.added / v.tokens == gain["x"]
    )
    assert (gain["value"], gain["lower"]) == (2**verdict.gain, 2**verdict.lower)


def test_labels_differ_in_colour_and_in_marker(page):
    axes, drawn = page
    for law, ax in zip(LAWS, axes, strict=True):
        handles, labels = ax.get_legend_handles_labels()
        assert labels == list(drawn.loc[drawn["law"] == law, "label"].unique())
        assert len(labels) >= 2
        assert (
            len({handle.get_marker() for handle in handles}) == len({handle.get_color() for handle in handles}) == len(labels)
        )
        assert {handle.get_color() for handle in handles} <= set(COLOURS)


def test_a_law_without_a_fit_is_left_out_and_named(laws, texts):
    fits, tables = laws
    axes, drawn = draw({law: fit for law, fit in fits.items() if law not in ("depth", "prepacking")}, tables)
    assert len(axes) == len(LAWS) - 2
    assert not {"depth", "prepacking"} & set(drawn["law"])
    said = " ".join(" ".join(texts(axes[0].figure)).split())
    assert "left out, no fit: curse of depth, prepacking" in said
    with pytest.raises(InputError, match="fits: none of a law was given"):
        draw({}, tables)


def test_what_is_not_identified_is_said(no_gap, no_rates):
    few = scaling_runs(noise=0.003)[lambda d: d["params_total"] <= 30_000]
    fits = {"scaling": fit_scaling(few, bootstrap=30), "capacity_gap": no_gap[0], "learning_rate": no_rates[0]}
    axes, _ = draw(
        fits, {"scaling": {"runs": few}, "capacity_gap": {"runs": no_gap[1]}, "learning_rate": {"runs": no_rates[1]}}
    )
    said = [" ".join(words(ax).split()) for ax in axes]
    assert "not identified: E, A" in said[0]
    assert "0 of 3 best teachers found, law not identified" in said[1]
    assert "0 of 3 best rates found" in said[2]


def test_a_panel_with_nothing_to_draw_says_so(laws, texts):
    fits, tables = laws
    axes, drawn = draw({"stability_gap": fits["stability_gap"]}, {"stability_gap": {"runs": tables["stability_gap"]["runs"]}})
    assert drawn.empty
    assert "nothing to draw" in texts(axes[0].figure)


@pytest.mark.parametrize("venue", ["icml", "neurips"])
def test_the_page_is_legible_and_panels_are_apart(laws, venue, legible):
    axes, _ = draw(*laws, venue=venue)
    legible(axes)
    with context():
        boxes = [ax.get_tightbbox() for ax in axes]
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)


def test_it_draws_where_it_is_told(laws):
    given = Figure().subplots(1, 7)
    axes, _ = draw(*laws, ax=given)
    assert list(axes) == list(given)
    with pytest.raises(InputError, match="1 axes were given, 7 are needed"):
        draw(*laws, ax=given[0])


def test_it_is_drawn_from_a_folder_of_results_and_repeats(tmp_path):
    runs = tmp_path / "tables" / "scaling" / "runs.parquet"
    runs.parent.mkdir(parents=True)
    check_frame("runs", scaling_runs(noise=0.01), where="x").to_parquet(runs)
    with pytest.raises(InputError, match="no fit of scaling, capacity_gap"):
        draw_files(None, tmp_path, tmp_path / "x")
    fit_file("scaling", runs, tmp_path / "fits" / "scaling.json")
    first = draw_files(None, tmp_path, tmp_path / "a")
    second = draw_files(["scaling", "depth"], tmp_path, tmp_path / "b")
    assert [path.name for path in first] == ["a.pdf", "a.png", "a.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    with pytest.raises(InputError, match="law: 'kernel_toy' was given"):
        draw_files(["kernel_toy"], tmp_path, tmp_path / "x")

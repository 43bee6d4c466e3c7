import re

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import pytest
from matplotlib.image import imread

from curselab.errors import InputError
from figures.style import COLOURS, MARKERS, WIDTHS_IN, context, new_figure, save, si, si_log_axis


def _draw(venue="neurips"):
    with context():
        figure = new_figure(venue, aspect=0.5)
        ax = figure.add_subplot()
        ax.plot([1e3, 1e6], [1, 2], label="$N_S$ is a size")
        si_log_axis(ax.xaxis, 1e3, 1e6)
        ax.set(xlabel="tokens $D$ (tokens)", ylabel="loss (nats/token)")
        ax.legend()
    return figure


@pytest.mark.parametrize("venue", WIDTHS_IN)
def test_the_page_has_exactly_the_venue_s_width(tmp_path, venue):
    pdf, png, svg = save(_draw(venue), tmp_path / "figure.v1")
    box = re.search(rb"/MediaBox \[ ?([\d. ]+?) ?\]", pdf.read_bytes()).group(1).split()
    assert float(box[2]) == pytest.approx(72 * WIDTHS_IN[venue], abs=1e-3)
    assert [file.name for file in (pdf, png, svg)] == ["figure.v1.pdf", "figure.v1.png", "figure.v1.svg"]
    assert f'width="{72 * WIDTHS_IN[venue]:g}' in svg.read_text()
    assert abs(imread(png).shape[1] - 300 * WIDTHS_IN[venue]) <= 1


def test_fonts_are_embedded_truetype_and_bytes_repeat(tmp_path):
    first, second = save(_draw(), tmp_path / "a"), save(_draw(), tmp_path / "b")
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    content = first[0].read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content
    assert b"CreationDate" not in content


def test_matplotlib_is_as_it_was(tmp_path):
    before = dict(mpl.rcParams)
    save(_draw(), tmp_path / "a")
    assert dict(mpl.rcParams) == before


def test_an_unknown_venue_names_the_known_ones():
    with pytest.raises(InputError, match="neurips, iclr"):
        new_figure("nature", aspect=1)


def test_colours_differ_in_hue_and_each_has_its_marker():
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in COLOURS])
    distance = np.linalg.norm(rgb[:, None] - rgb, axis=-1)
    assert distance[~np.eye(len(rgb), dtype=bool)].min() > 0.25
    assert len(set(MARKERS)) == len(COLOURS)


@pytest.mark.parametrize(
    ("value", "text"), [(6000, "6k"), (12345, "12.3k"), (5.46e8, "546M"), (7.75e9, "7.75G"), (999.6, "1k")]
)
def test_si_letters(value, text):
    assert si(value) == text

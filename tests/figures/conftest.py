import itertools

import numpy as np
import pytest
from matplotlib.legend import Legend
from matplotlib.text import Text

from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.depth import fit_depth
from analysis.laws.learning_rate import fit_learning_rate
from analysis.laws.multilinguality import fit_runs as fit_multilinguality
from analysis.laws.prepacking import fit_prepacking
from analysis.laws.scaling import fit_runs
from analysis.laws.stability_gap import fit_runs as fit_stability_gap
from figures.style import context
from tests.analysis.depth_factories import CURED, CURSED, depth_tables
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs
from tests.analysis.multilinguality_factories import multilinguality_runs
from tests.analysis.prepacking_factories import times
from tests.analysis.stability_gap_factories import stability_gap_tables

FOUR = (198_000_000, 546_000_000, 1_820_000_000, 7_750_000_000)


@pytest.fixture(scope="session")
def scaling():
    """A fit with a band, and its runs, one of them diverged."""
    runs = scaling_runs(noise=0.01, seeds=2)
    runs.loc[0, ["status", "loss_nats_per_token"]] = ["diverged", np.nan]
    return fit_runs(runs, bootstrap=40), runs


@pytest.fixture(scope="session")
def gap():
    """A fit where all is identified, and its runs."""
    runs = capacity_gap_runs(FOUR)
    return fit_capacity_gap(runs, bootstrap=200), runs


@pytest.fixture(scope="session")
def no_gap():
    """A fit of miniature students where nothing is identified, and its runs."""
    runs = capacity_gap_runs((6000, 12000, 25000), ratios=2.0 ** np.arange(5), noise=0.02, loss=lambda s, d, t: 2.3)
    return fit_capacity_gap(runs, bootstrap=200), runs


@pytest.fixture(scope="session")
def rates():
    """A fit where all sizes are identified, and its runs."""
    runs = learning_rate_runs((6_000, 25_000, 101_000))
    return fit_learning_rate(runs, bootstrap=200), runs


@pytest.fixture(scope="session")
def no_rates():
    """A fit where nothing is identified, one size for its diverged runs, and its runs."""
    runs = learning_rate_runs((6_000, 25_000, 101_000), bend=0.0, noise=(0.05,) * 3, seed=1)
    lost = runs["params_non_embedding"] == 6_000
    runs = runs.assign(status=np.where(lost, "diverged", "ok"), loss_nats_per_token=runs["loss_nats_per_token"].mask(lost))
    return fit_learning_rate(runs, bootstrap=200), runs


@pytest.fixture(scope="session")
def laws(scaling, gap, rates):
    """Fits of all laws, and their tables."""
    deep, layers = depth_tables({"pre": CURSED, "lns": CURED}, depths=(12,), rates=(1.0,))
    languages = multilinguality_runs(sizes=(6_000,), tokens=(20_000, 80_000), languages=2, seeds=2)
    prefills = times(noise=0.02, batches=(8,)).assign(time_over_limit=1.5, peak_bytes=1000)
    runs, metrics = stability_gap_tables(arms=((), ("subset",)), budgets=(100_000,))
    fits = {
        "prepacking": fit_prepacking(prefills, bootstrap=10),
        "scaling": scaling[0],
        "capacity_gap": gap[0],
        "learning_rate": rates[0],
        "depth": fit_depth(deep, layers),
        "multilinguality": fit_multilinguality(languages, bootstrap=100),
        "stability_gap": fit_stability_gap(runs, metrics),
    }
    tables = {
        "scaling": {"runs": scaling[1]},
        "capacity_gap": {"runs": gap[1]},
        "learning_rate": {"runs": rates[1]},
        "depth": {"runs": deep, "layers": layers},
        "multilinguality": {"runs": languages},
        "stability_gap": {"runs": runs, "metrics": metrics},
        "prepacking": {"runs": prefills},
    }
    return fits, tables


@pytest.fixture
def texts():
    """All visible words of a figure with their size in points."""

    def read(figure):
        found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        return {text.get_text(): text.get_fontsize() for text in found}

    return read


@pytest.fixture
def legible(monkeypatch):
    """Assert that the page of some axes can be read as it is printed, in colour and in grey."""
    drawn, draw = [], Text.draw

    def record(text, renderer):
        if text.get_text().strip():
            drawn.append((text, text.get_window_extent(renderer)))
        draw(text, renderer)

    def check(axes):
        figure = axes[0].get_figure(root=True)
        drawn.clear()
        with context(), monkeypatch.context() as patch:  # as save does: fonts are looked up when a figure is drawn
            patch.setattr(Text, "draw", record)
            figure.draw_without_rendering()
        assert drawn
        for text, box in drawn:
            assert text.get_fontsize() >= 6, text
            assert _inside(box, figure.bbox), f"{text} leaves the page"
        for (first, box), (second, other) in itertools.combinations(drawn, 2):
            assert not _overlap(box, other), f"{first} and {second} overlap"
        for ax in axes:
            points = _marked(ax)
            assert ((points > ax.bbox.p0 - 1) & (points < ax.bbox.p1 + 1)).all(), "a point lies outside its axes"
            for text, box in drawn:
                covered = box.width and ((points > box.p0) & (points < box.p1)).all(axis=1).any()
                assert not covered, f"{text} covers a point"
        for legend in figure.findobj(Legend):
            assert not any(_overlap(legend.get_window_extent(), ax.bbox) for ax in axes), "a legend covers data"
            looks = [_grey_look(handle) for handle in legend.legend_handles]
            assert len(set(looks)) == len(looks), f"entries that grey makes equal: {looks}"

    return check


def _inside(box, page, slack=0.5):
    return box.x0 > -slack and box.y0 > -slack and box.x1 < page.x1 + slack and box.y1 < page.y1 + slack


def _overlap(a, b, slack=1):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack


def _marked(ax):
    """Points of the axes' lines that have a marker, in pixels."""
    marked = [line.get_transform().transform(line.get_xydata()) for line in ax.lines if line.get_marker() not in ("None", "")]
    points = np.concatenate([np.empty((0, 2)), *marked])
    return points[np.isfinite(points).all(axis=1)]


def _grey_look(handle):
    """What tells an entry of a legend from the others without its hue."""
    colour, face = handle.get_color(), handle.get_markerfacecolor()
    line = handle.get_linestyle(), str(handle._unscaled_dash_pattern)  # the first calls every pattern of dashes '--'
    return handle.get_marker(), *line, "own" if face == colour else face

import numpy as np
import pytest
from matplotlib.text import Text

from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.learning_rate import fit_learning_rate
from analysis.laws.scaling import fit_runs
from figures.style import context
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs

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


@pytest.fixture
def texts():
    """All visible words of a figure with their size in points."""

    def read(figure):
        found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        return {text.get_text(): text.get_fontsize() for text in found}

    return read


@pytest.fixture
def on_the_page():
    """Assert that nothing of the axes' words and drawings leaves the figure, but for some pixels of slack."""

    def check(axes, slack=1):
        figure = axes[0].get_figure(root=True)
        with context():  # as save does: fonts are looked up when a figure is drawn
            figure.draw_without_rendering()
            boxes = [ax.get_tightbbox() for ax in axes]
        for box in boxes:
            assert box.x0 >= -slack
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y1 <= figure.bbox.y1 + 1

    return check

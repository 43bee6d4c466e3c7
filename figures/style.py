"""House style: widths of the venues, colours, axes with SI letters, and files whose bytes repeat.

Nothing here changes matplotlib's global settings; figures are built and saved inside ``context()``.
"""

from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from curselab.errors import InputError
from curselab.files import write_with

STYLE = Path(__file__).with_name("paper.mplstyle")

WIDTHS_IN = {
    "neurips": 5.5,  # neurips.sty, text width
    "iclr": 5.5,  # iclr_conference.sty, text width
    "icml": 3.25,  # icml.sty, one column
    "icml_wide": 6.75,  # icml.sty, both columns
    "aaai": 3.3,  # aaai.sty, one column
    "aaai_wide": 6.975,
    "acl": 3.03,  # acl.sty, one column of 7.7 cm
    "acl_wide": 6.3,  # 16 cm
    "tmlr": 6.5,  # tmlr.sty, text width
    "jmlr": 6.0,  # jmlr2e.sty, text width
    "cvpr": 3.25,  # cvpr.sty, one column
    "cvpr_wide": 6.875,
    "beamer": 5.51,  # beamer.cls at 16:9, 160 mm less its two margins of 10 mm
}
"""Width of a figure by venue, inches, from the style files of the venues."""

NARROW_IN = 4.5
"""Below this width two panels stand on each other, not beside each other, inches."""

# Okabe and Ito (2008), Color Universal Design, without yellow, which is faint on paper; a marker says the same again
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#767676"
NOTE_PT = 7

_VARYING = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}
"""Kind of file -> what matplotlib would write into it that differs from one time or machine to another."""


def context() -> AbstractContextManager[None]:
    """Return the house style as a context; outside it matplotlib is as it was."""
    return mpl.rc_context(fname=STYLE)


def new_figure(venue: str, *, aspect: float) -> Figure:
    """Make an empty figure of exactly the width of a venue.

    Parameters
    ----------
    venue : str
        A key of ``WIDTHS_IN``.
    aspect : float
        Height over width.

    Raises
    ------
    InputError
        There is no such venue.
    """
    if venue not in WIDTHS_IN:
        raise InputError(f"venue: {venue!r} was given (allowed: {', '.join(WIDTHS_IN)}; see figures/style.py)")
    width = WIDTHS_IN[venue]
    return Figure(figsize=(width, width * aspect))


def save(figure: Figure, stem: Path) -> tuple[Path, ...]:
    """Save ``stem.pdf``, ``stem.png`` and ``stem.svg``; the same figure gives the same bytes.

    Returns
    -------
    tuple of Path
        The three files.
    """
    files = tuple(stem.with_name(f"{stem.name}.{ending}") for ending in _VARYING)
    with context():
        for file, name in zip(files, _VARYING.values(), strict=True):
            write_with(file, partial(figure.savefig, metadata={name: None}))
    return files


def si_log_axis(axis: Axis, low: float, high: float) -> None:
    """Make an axis logarithmic with SI letters (k, M, G), and more labels where it spans little."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]
    decades = np.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 1.5 else (1.0, 3.0) if decades < 2.5 else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_formatter(NullFormatter())


def si(value: float) -> str:
    """Three significant digits with an SI letter: 12300 -> ``12.3k``."""
    return EngFormatter(sep="", places=None)(float(f"{value:.3g}"))


def note(axes: Axes, text: str) -> None:
    """Write a remark above the axes, on the right, where no data are."""
    axes.annotate(
        text,
        (1, 1),
        xycoords="axes fraction",
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=NOTE_PT,
        linespacing=1.0,
        color=GREY,
    )

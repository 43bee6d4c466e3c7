"""Speed-up against padding ratio with the law and published numbers; time over the limit, and peak memory, by method."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from analysis.laws.prepacking_published import compare_data_sets
from curselab.errors import InputError
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, WIDTHS_IN, context, new_figure, note

METHODS = (
    "token_stream",
    "buckets",
    "prepacking",
    "length_sorted",
    "dynamic_padding",
    "padded_micro",
    "padded_right",
    "padded_left",
)
_DRAWN = METHODS[:5]  # the others have no gain to draw
_COLUMNS = ["series", "method", "x", "value", "lower", "upper"]
_BOUND: dict[str, Any] = {"color": GREY, "linewidth": 0.6, "linestyle": (0, (4, 2)), "zorder": 0}


def draw(
    fit: Any, runs: pd.DataFrame, *, ax: NDArray[Any] | None = None, venue: str = "neurips"
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw what methods of prefill gain.

    Parameters
    ----------
    fit : analysis.laws.prepacking.PrepackingFit
        What was fitted.
    runs : pandas.DataFrame
        The table that was fitted.
    ax : sequence of three Axes, optional
        Where to draw; a new figure of the venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of array of three Axes and DataFrame
        The axes, and what was drawn: ``series`` (measured, predicted or published speed-up at padding ratio ``x``; time over
        limit; memory, a share of that of padding), ``method``, ``x``, ``value``, ``lower``, ``upper``: the interval of a
        prediction, or the range over batches, whose median is the value.
    """
    if ax is not None and np.size(ax) != 3:
        raise InputError(f"ax: {np.size(ax)} axes were given, 3 are needed (speed-up, time over limit, memory)")
    drawn = pd.concat([_speedups(fit, runs), _published(), _ranges(runs)], ignore_index=True)
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        _paint_speedups(axes[0], drawn)
        _paint_range(axes[1], drawn, "time over limit", "time / limit")
        _paint_range(axes[2], drawn, "memory", "memory / padding")
        error = "" if fit.held_out is None else f"law on held-out lengths: {100 * fit.held_out.median:.1f} % off (median)\n"
        note(axes[0], f"{error}bars: the law, crosses: published")
    return axes, drawn


def _new_axes(venue: str) -> NDArray[Any]:
    narrow = WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN
    figure = new_figure(venue, aspect=2.4 if narrow else 0.42)
    axes = np.ravel(np.asarray(figure.subplots(3, 1) if narrow else figure.subplots(1, 3, width_ratios=(1.6, 1, 1))))
    axes[2].tick_params(labelleft=narrow)  # else the names stand beside it
    return axes


def _speedups(fit: Any, runs: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = fit.speedups(runs)
    found = found[found["method"].isin(_DRAWN)].rename(columns={"padding_ratio": "x"})
    measured = found.assign(series="measured", value=found["measured"], lower=np.nan, upper=np.nan)
    predicted = found.assign(series="predicted", value=found["predicted"])
    return pd.concat([measured, predicted], ignore_index=True)[_COLUMNS]


def _published() -> pd.DataFrame:
    found = compare_data_sets(draws=50)
    found = found.rename(columns={"padding_ratio": "x", "published": "value"})
    found = found.assign(series="published", method="prepacking", lower=np.nan, upper=np.nan)
    return found[_COLUMNS]


def _ranges(runs: pd.DataFrame) -> pd.DataFrame:
    cell = ["model", "distribution", "batch", "draw"]
    padded = runs.loc[runs["method"] == "padded_left", [*cell, "peak_bytes"]]
    both = runs.merge(padded, on=cell, suffixes=("", "_padded"))
    both = both.assign(memory=both["peak_bytes"].astype(float) / both["peak_bytes_padded"].astype(float))
    rows = []
    for series, column in (("time over limit", "time_over_limit"), ("memory", "memory")):
        for method in METHODS:
            values = both.loc[both["method"] == method, column].to_numpy(dtype=float)
            if len(values):
                rows.append((series, method, np.nan, np.median(values), values.min(), values.max()))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _paint_speedups(ax: Axes, drawn: pd.DataFrame) -> None:
    published = drawn[drawn["series"] == "published"]
    ax.plot(published["x"], published["value"], color=GREY, marker="x", linestyle="none", markersize=2.5, alpha=0.6)
    for method in _DRAWN:
        for series, change in (("measured", {"markerfacecolor": "none"}), ("predicted", {"marker": "_"})):
            part, look = drawn[(drawn["series"] == series) & (drawn["method"] == method)], _look(method) | change
            ax.plot(part["x"], part["value"], linestyle="none", markersize=3, markeredgewidth=0.6, **look)
    ratios = drawn["x"].dropna()
    ends = np.array([ratios.min(), ratios.max()])
    ax.plot(ends, ends, **_BOUND)
    ax.axhline(1, **_BOUND)
    for axis in (ax.xaxis, ax.yaxis):
        _factor_axis(axis)
    ax.set(xlabel="padding ratio (slots / real tokens)", ylabel="speed-up over left padding")


def _paint_range(ax: Axes, drawn: pd.DataFrame, series: str, label: str) -> None:
    part = drawn[drawn["series"] == series].reset_index(drop=True)
    for place, row in enumerate(part.to_dict("records")):
        look = _look(row["method"])
        ax.plot([row["lower"], row["upper"]], [place, place], color=look["color"], linewidth=1)
        ax.plot(row["value"], place, **look | {"markersize": 3.5})
    ax.axvline(1, **_BOUND)
    _factor_axis(ax.xaxis)
    ax.yaxis.set_major_locator(FixedLocator(list(range(len(part)))))
    ax.set_yticklabels([_name(method) for method in part["method"]])
    ax.set(xlabel=label, ylim=(len(part) - 0.5, -0.5))


def _factor_axis(axis: Axis) -> None:
    """Make an axis logarithmic with a label at 1, 2 and 5 of each decade."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]
    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def _name(method: str) -> str:
    return method.replace("_", " ")


def _look(method: str) -> dict[str, Any]:
    number = METHODS.index(method)
    return {"color": (*COLOURS, GREY)[number], "marker": (*MARKERS, "*")[number]}

"""All laws on one page: of each, one quantity against what there is more of, and what was found in a few words."""

import textwrap
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray

from analysis.fit import read_beside, read_fit, read_table
from analysis.laws.registry import LAWS
from curselab.errors import InputError
from figures.headlines import HEADLINES, Headline
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, save, si_log_axis

_COLUMNS = ["law", "series", "label", "x", "value", "lower", "upper"]
_CURVES = ("fit", "curve", "law")  # lines; other series are points
_LETTER_PT = 3.3  # mean width of a letter of a note
_LEGEND: dict[str, Any] = {
    "borderpad": 0,
    "handlelength": 1.2,
    "handletextpad": 0.3,
    "columnspacing": 0.7,
    "labelspacing": 0.2,
}


def draw(
    fits: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, pd.DataFrame]],
    *,
    ax: NDArray[Any] | None = None,
    venue: str = "neurips",
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw the headline of each law.

    Parameters
    ----------
    fits : mapping of str to result
        Fits by the law's name, at least one; laws that are not there are left out, and a note says so.
    tables : mapping of str to mapping of str to DataFrame
        Of each of these laws, ``runs`` and the other tables that its own figure reads, by name.
    ax : sequence of Axes, optional
        Where to draw: one a fit, in the order of ``analysis.laws.registry.LAWS``, without the note; a new figure of the
        venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of array of Axes and DataFrame
        The axes, one a fit, and what was drawn: ``law``, ``series`` (as in the law's own figure), ``label``, ``x``, ``value``,
        ``lower``, ``upper``, in the units of the axes.
    """
    laws = [law for law in LAWS if law in fits]
    if not laws:
        raise InputError(f"fits: none of a law was given (allowed: {', '.join(LAWS)})")
    if ax is not None and np.size(ax) != len(laws):
        raise InputError(f"ax: {np.size(ax)} axes were given, {len(laws)} are needed ({', '.join(laws)})")
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue, laws, fits) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        parts = []
        for law, place in zip(laws, axes, strict=True):
            panel = HEADLINES[law]
            _, drawn = panel.draw(fits[law], **tables[law])
            chosen = panel.choose(fits[law], drawn).assign(law=law)[_COLUMNS].reset_index(drop=True)
            _paint(place, panel, chosen, panel.words(fits[law], drawn))
            parts.append(chosen)
    return axes, pd.concat(parts, ignore_index=True)


def draw_files(laws: Sequence[str] | None, results: Path, stem: Path, *, venue: str = "neurips") -> tuple[Path, ...]:
    """Draw the laws whose fit is in a folder of results, as ``stem.pdf`` and ``stem.png``.

    Parameters
    ----------
    laws : sequence of str, optional
        Names of ``analysis.laws.registry.LAWS``; all when left out.
    results : Path
        Folder with ``fits/LAW.json`` and ``tables/LAW/runs.parquet``, other tables of the law beside it.
    stem : Path
        Path of the figure without its ending.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Raises
    ------
    InputError
        There is no such law, or none of them has a fit.
    """
    laws = laws or list(LAWS)
    for law in laws:
        if law not in LAWS:
            raise InputError(f"law: {law!r} was given (allowed: {', '.join(LAWS)})")
    fits = {law: read_fit(path) for law in laws if (path := results / "fits" / f"{law}.json").is_file()}
    if not fits:
        raise InputError(f"{results / 'fits'}: no fit of {', '.join(laws)} is there ('curselab fit' writes them)")
    tables = {}
    for law in fits:
        runs = results / "tables" / law / "runs.parquet"
        tables[law] = {"runs": read_table(law, runs)} | read_beside(law, runs)
    axes, _ = draw(fits, tables, venue=venue)
    return save(axes[0].get_figure(root=True), stem)


def _new_axes(venue: str, laws: list[str], fits: Mapping[str, Any]) -> NDArray[Any]:
    """Axes of the laws; the place after the last is the note's."""
    columns = min(2 if WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN else 3, len(laws) + 1)
    rows = -(-(len(laws) + 1) // columns)
    figure = new_figure(venue, aspect=(0.33 if columns > 2 else 0.55) * rows)
    places = np.ravel(np.asarray(figure.subplots(rows, columns)))
    for place in places[len(laws) :]:
        place.set_axis_off()
    levels = sorted({100 * fits[law].level for law in laws})
    lines = [f"bars and bands: {' or '.join(f'{level:g}' for level in levels)} %"]
    if "stability_gap" in laws:
        lines.append("stability gap: lowest and highest seed")
    missing = [HEADLINES[law].title.lower() for law in LAWS if law not in fits]
    if missing:
        lines.append(f"left out, no fit: {', '.join(missing)}")
    room = _letters(places[0])
    wrapped = [part for line in lines for part in textwrap.wrap(line, room)]
    places[len(laws)].text(0, 1, "\n".join(wrapped), va="top", fontsize=NOTE_PT, color=GREY, linespacing=1.0)
    return places[: len(laws)]


def _paint(ax: Axes, panel: Headline, chosen: pd.DataFrame, words: str) -> None:
    if panel.reference is not None:
        ax.axhline(panel.reference, color=GREY, linewidth=0.6, zorder=0)
    for number, label in enumerate(chosen["label"].unique()):
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        mine = chosen[chosen["label"] == label]
        curves = mine["series"].isin(_CURVES)
        for _, curve in mine[curves].groupby("series"):
            ax.fill_between(curve["x"], curve["lower"], curve["upper"], color=look["color"], alpha=0.2, linewidth=0)
            ax.plot(curve["x"], curve["value"], color=look["color"], linewidth=0.9)
        points = mine[~curves]
        joined = panel.joined and not curves.any()
        many = len(points) > 12
        if many and joined:
            ax.fill_between(points["x"], points["lower"], points["upper"], color=look["color"], alpha=0.2, linewidth=0)
        else:
            ax.vlines(points["x"], points["lower"], points["upper"], color=look["color"], linewidth=0.7)
        ax.plot(
            points["x"],
            points["value"],
            label=label,
            linestyle="-" if joined else "none",
            linewidth=0.7,
            markersize=2.5,
            markevery=max(1, len(points) // 6) if many and joined else 1,
            **look,
        )
    if chosen.empty:
        ax.text(0.5, 0.5, "nothing to draw", transform=ax.transAxes, ha="center", fontsize=NOTE_PT, color=GREY)
    else:
        _scale(ax, panel, chosen)
    ax.set_xlabel(panel.x, fontsize=NOTE_PT)
    ax.set_ylabel(panel.y, fontsize=NOTE_PT)
    room, (handles, labels) = _letters(ax), ax.get_legend_handles_labels()
    fitting = (n for n in (len(labels), 2) if n * (max(map(len, labels), default=0) + 4) <= room)
    legend = ax.legend(
        handles,
        labels,
        title="\n".join([_bold(panel.title), *textwrap.wrap(words + (panel.key and f"; by {panel.key}:"), room)]),
        title_fontsize=NOTE_PT,
        alignment="left",
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=next(fitting, 1) or 1,
        **_LEGEND,
    )
    legend.get_title().set_linespacing(1.0)


def _letters(ax: Axes) -> int:
    """How many fit into the width of the axes."""
    return int(ax.get_window_extent().width * 72 / ax.figure.dpi / _LETTER_PT)


def _bold(words: str) -> str:
    return rf"$\bf{{{words.replace(' ', '~')}}}$"


def _scale(ax: Axes, panel: Headline, chosen: pd.DataFrame) -> None:
    """Few ticks, since panels are small."""
    for axis, scale, values in ((ax.xaxis, panel.xscale, chosen["x"]), (ax.yaxis, panel.yscale, chosen["value"])):
        if scale == "linear":
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            continue
        si_log_axis(axis, float(values.min()), float(values.max()))
        decades = np.log10(values.max() / values.min())
        axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if decades < 0.8 else (1, 3) if decades < 1.6 else (1,)))
        if scale == "factor":
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

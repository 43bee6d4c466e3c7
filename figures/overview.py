"""All laws on one page: of each, one quantity against what there is more of, and what was found in a few words."""

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray

from analysis.fit import read_beside, read_fit, read_table
from analysis.laws.multilinguality_runs import SIMILAR
from analysis.laws.registry import LAWS
from analysis.typeset import with_uncertainty
from curselab.errors import InputError
from figures import capacity_gap, depth, learning_rate, multilinguality, prepacking, scaling, stability_gap
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, save, si, si_log_axis

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


@dataclass(frozen=True, slots=True)
class _Panel:
    """How a law is drawn small."""

    title: str
    key: str
    """What the labels are, where they do not say it themselves."""
    draw: Callable[..., tuple[Any, pd.DataFrame]]
    """The law's own figure, whose frame is drawn."""
    choose: Callable[[Any, pd.DataFrame], pd.DataFrame]
    """Rows of that frame, with label, x, value, lower and upper."""
    words: Callable[[Any, pd.DataFrame], str]
    """What was found."""
    x: str
    y: str
    xscale: str = "si"
    """``si``, ``factor`` (logarithmic) or ``linear``."""
    yscale: str = "linear"
    reference: float | None = None
    """Value at which more changes nothing."""
    joined: bool = False
    """Points of a label follow each other."""


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
            panel = _PANELS[law]
            _, drawn = panel.draw(fits[law], **tables[law])
            chosen = panel.choose(fits[law], drawn).assign(law=law)[_COLUMNS].reset_index(drop=True)
            _paint(place, panel, chosen, panel.words(fits[law], drawn))
            parts.append(chosen)
    return axes, pd.concat(parts, ignore_index=True)


def draw_files(laws: Sequence[str] | None, results: Path, stem: Path, *, venue: str = "neurips") -> tuple[Path, Path]:
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
    missing = [_PANELS[law].title.lower() for law in LAWS if law not in fits]
    if missing:
        lines += textwrap.wrap(f"left out, no fit: {', '.join(missing)}", _letters(places[0]))
    places[len(laws)].text(0, 1, "\n".join(lines), va="top", fontsize=NOTE_PT, color=GREY, linespacing=1.0)
    return places[: len(laws)]


def _paint(ax: Axes, panel: _Panel, chosen: pd.DataFrame, words: str) -> None:
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


def _scale(ax: Axes, panel: _Panel, chosen: pd.DataFrame) -> None:
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


def _scaling(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """The smallest, the middle and the largest size, each with its law inside its runs."""
    runs = drawn[drawn["series"] == "run"]
    sizes = np.unique(runs["params"])
    parts = []
    for size in np.unique(sizes[[0, len(sizes) // 2, -1]]):
        mine = runs[runs["params"] == size]
        line = fit.predict(size, np.geomspace(mine["tokens"].min(), mine["tokens"].max(), 41)).assign(series="fit")
        parts.append(pd.concat([mine, line], ignore_index=True).assign(label=si(size)))
    chosen: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return chosen.rename(columns={"tokens": "x", "loss": "value"})


def _scaling_words(fit: Any, drawn: pd.DataFrame) -> str:
    if fit.unidentified:
        return f"not identified: {', '.join(fit.unidentified)}"
    exponents = [name for name in ("alpha", "beta") if name in fit.symbols]
    return ", ".join(rf"$\{name}={with_uncertainty(fit.params[name], fit.bse[name])}$" for name in exponents)


def _capacity_gap(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    chosen = drawn[drawn["series"].isin(["mean", "curve"])]
    lowest = chosen[chosen["series"] == "mean"].groupby("student")["loss"].min()
    chosen = chosen.assign(value=chosen["loss"] - chosen["student"].map(lowest), lower=np.nan, upper=np.nan)
    return chosen.assign(x=chosen["teacher"], label=[si(size) for size in chosen["student"]])


def _capacity_gap_words(fit: Any, drawn: pd.DataFrame) -> str:
    found = f"{fit.across.n_students} of {len(fit.students)} best teachers found"
    return f"{found}, law {f'b = {fit.across.b:.2f}' if fit.status == 'ok' else 'not identified'}"


def _learning_rate(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    chosen = drawn[drawn["series"].isin(["mean", "curve"])]
    chosen = chosen.rename(columns={"factor": "x", "percent": "value"})
    return chosen.assign(label=[si(size) for size in chosen["size"]])


def _learning_rate_words(fit: Any, drawn: pd.DataFrame) -> str:
    found = sum(s.optimum is not None for s in fit.sizes)
    return (
        f"{found} of {len(fit.sizes)} best rates found; rule within {100 * fit.tolerance:g}\N{NO-BREAK SPACE}%: {fit.verdict}"
    )


def _depth(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """The baseline and the scheme with the lowest last variance."""
    chosen = drawn[drawn["series"].isin(["variance", "law"])]
    last = chosen[chosen["series"] == "variance"].groupby("scheme")["value"].last()
    schemes = dict.fromkeys([fit.curse.scheme, *last.sort_values().index[:1]])
    chosen = chosen[chosen["scheme"].isin(list(schemes))]
    return chosen.assign(label=chosen["scheme"]).sort_values("scheme", key=lambda names: names.map(list(schemes).index))


def _depth_words(fit: Any, drawn: pd.DataFrame) -> str:
    return f"{fit.curse.scheme} at {fit.curse.depth} blocks: {fit.curse.call}"


def _multilinguality(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """One mixture, that of similar languages where it is there, at the size of model with the most cells."""
    gains: pd.DataFrame = drawn[drawn["series"] == "gain"]
    gains = gains[gains["mixture"] == (SIMILAR if SIMILAR in fit.mixtures else fit.mixtures[0])]
    counts = gains["params"].value_counts()
    gains = gains[gains["params"] == counts[counts == counts.max()].index.max()]
    chosen = gains.assign(x=gains["added"] / gains["tokens"], label=[si(tokens) for tokens in gains["tokens"]])
    return chosen.assign(**{name: 2 ** chosen[name] for name in ("value", "lower", "upper")})


def _multilinguality_words(fit: Any, drawn: pd.DataFrame) -> str:
    shown = _multilinguality(fit, drawn).iloc[0]
    found = Counter(v.verdict for v in fit.verdicts or fit.by_language)
    cells = ", ".join(f"{number}\N{NO-BREAK SPACE}{verdict}" for verdict, number in found.most_common())
    return f"{cells}; shown: {shown['mixture']}, $N$\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{si(shown['params'])}"


def _stability_gap(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """Old text under the arm without a strategy, and under the control."""
    shown = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    controls = [end.arm for end in shown.ends if end.role == "control"]
    names = {shown.baseline: "new text"} | dict.fromkeys(controls, "old text (control)")
    chosen = drawn[(drawn["series"] == "old") & drawn["arm"].isin(list(names)) & (drawn["x"] > 0)]
    return chosen.assign(label=chosen["arm"].map(names))


def _stability_gap_words(fit: Any, drawn: pd.DataFrame) -> str:
    shown = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    return f"to {shown.new}: {shown.reading}"


def _prepacking(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    chosen = drawn[(drawn["series"] == "measured") & drawn["method"].isin(["prepacking", "token_stream"])]
    return chosen.assign(label=chosen["method"].str.replace("_", " "))


def _prepacking_words(fit: Any, drawn: pd.DataFrame) -> str:
    best = _prepacking(fit, drawn)["value"].max()
    error = "" if fit.held_out is None else f"; law {100 * fit.held_out.median:.1f}\N{NO-BREAK SPACE}% off on lengths left out"
    return f"up to {best:.2g} times as fast{error}"


_PANELS = {
    "scaling": _Panel(
        "Plain scaling",
        "size\N{NO-BREAK SPACE}$N$",
        scaling.draw,
        _scaling,
        _scaling_words,
        x="training tokens $D$",
        y="loss (nats/token)",
    ),
    "capacity_gap": _Panel(
        "Capacity gap",
        "student\N{NO-BREAK SPACE}$N_S$",
        capacity_gap.draw,
        _capacity_gap,
        _capacity_gap_words,
        x="teacher $N_T$ (parameters)",
        y="loss rise (nats/token)",
        joined=True,
    ),
    "learning_rate": _Panel(
        "Learning rate",
        "size\N{NO-BREAK SPACE}$N$",
        learning_rate.draw,
        _learning_rate,
        _learning_rate_words,
        x="rate / the rule's",
        y="loss rise (%)",
        xscale="factor",
        joined=True,
    ),
    "depth": _Panel(
        "Curse of depth",
        "scheme",
        depth.draw,
        _depth,
        _depth_words,
        x="block",
        y="variance of the stream",
        xscale="linear",
        yscale="factor",
    ),
    "multilinguality": _Panel(
        "Multilinguality",
        "own data\N{NO-BREAK SPACE}$D$",
        multilinguality.draw,
        _multilinguality,
        _multilinguality_words,
        x="added / own data",
        y="equivalent / own data",
        xscale="factor",
        yscale="factor",
        reference=1.0,
        joined=True,
    ),
    "stability_gap": _Panel(
        "Stability gap",
        "",
        stability_gap.draw,
        _stability_gap,
        _stability_gap_words,
        x="tokens",
        y="old loss (nats/token)",
        joined=True,
    ),
    "prepacking": _Panel(
        "Prepacking",
        "",
        prepacking.draw,
        _prepacking,
        _prepacking_words,
        x="slots / real tokens",
        y="speed-up",
        xscale="factor",
        reference=1.0,
    ),
}

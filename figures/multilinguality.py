"""Gains beside the compute-matched control, crossovers by size of model, and what similarity is worth."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from analysis.laws.multilinguality_published import published_brackets, published_contrast
from analysis.laws.multilinguality_runs import ARMS, DISSIMILAR, SIMILAR
from curselab.errors import InputError
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, note, si, si_log_axis

_MOST_SIZES, _MOST_DATA = 3, 4
_STEPS = (0.1, 0.25, 0.5, *(2.0**k for k in range(20)))  # between ticks, log2
_BESIDE = 0.03  # distance of arms of one ratio, of the width of an axis
_OUTSIDE = (0, (3, 2))
_CONTROL = "alone, more passes"
_FACES = {"equivalent": "#c8c8c8", "unresolved": "white"}  # of markers; the arm's own colour where there is an effect
_LEGEND: dict[str, Any] = {"borderpad": 0, "handletextpad": 0.2, "columnspacing": 0.8}
_COLUMNS = ["series", "mixture", "params", "tokens", "added", "value", "lower", "upper", "verdict"]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Sizes of model and of target data that are drawn: one small panel each."""

    params: tuple[float, ...]
    tokens: tuple[float, ...]

    @property
    def cells(self) -> list[tuple[float, float]]:
        return [(N, D) for N in self.params for D in self.tokens]


def draw(
    fit: Any, runs: pd.DataFrame, *, ax: NDArray[Any] | None = None, venue: str = "neurips"
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw what was found about adding languages.

    Parameters
    ----------
    fit : analysis.laws.multilinguality.MultilingualityFit
        What was fitted; all that is drawn stands in it.
    runs : pandas.DataFrame
        The table that was fitted.
    ax : sequence of Axes, optional
        Where to draw: one for each size of model (three at most) and of target data (four at most), row by row, then
        crossovers and similarity; a new figure of the venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of array of Axes and DataFrame
        The axes, and what was drawn: ``series`` (run, control, gain, law, crossover, crossover law, contrast, contrast of a
        cell, likeness, published crossover, published contrast), ``mixture``, ``params``, ``tokens``, ``added``, ``value``,
        ``lower``, ``upper``, ``verdict``; gains and contrasts in log2 of target data, crossovers in target tokens.
    """
    grid = _grid(fit)
    needed = len(grid.cells) + 2
    if ax is not None and np.size(ax) != needed:
        raise InputError(f"ax: {np.size(ax)} axes were given, {needed} are needed (gains, crossover, similarity)")
    drawn = pd.concat([_gains(fit, grid), _crossovers(fit), _similarity(fit)], ignore_index=True)[_COLUMNS]
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue, grid) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        _paint_grid(fit, axes[:-2], drawn, grid)
        _paint_crossovers(fit, axes[-2], drawn)
        _paint_similarity(fit, axes[-1], drawn)
        if ax is None:
            columns = 2 if WIDTHS_IN[venue] < NARROW_IN else 4
            figure = axes[0].get_figure(root=True)
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=columns, **_LEGEND)
    return axes, drawn


def _new_axes(venue: str, grid: _Grid) -> NDArray[Any]:
    narrow = WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN
    rows, columns = len(grid.params), len(grid.tokens)
    top, bottom = 0.05 + rows * (0.32 if narrow else 0.23), 1.6 if narrow else 0.47
    figure = new_figure(venue, aspect=0.1 + top + bottom)
    gains, others = np.ravel(np.asarray(figure.subfigures(2, 1, height_ratios=(top, bottom))))
    gains.supxlabel("added over own target data", fontsize="medium")
    gains.supylabel("equivalent over own target data", fontsize="medium")
    small = np.asarray(gains.subplots(rows, columns, sharex=True, sharey=True, squeeze=False))
    below = np.asarray(others.subplots(*((2, 1) if narrow else (1, 2))))
    return np.concatenate([small.ravel(), below.ravel()])


def _grid(fit: Any) -> _Grid:
    cells = fit.verdicts or fit.by_language
    return _Grid(
        *(_spaced({getattr(v, name) for v in cells}, most) for name, most in (("params", _MOST_SIZES), ("tokens", _MOST_DATA)))
    )


def _spaced(values: set[float], most: int) -> tuple[float, ...]:
    """At most so many of the values, from the smallest to the largest."""
    rising = sorted(values)
    return tuple(rising[i] for i in np.unique(np.linspace(0, len(rising) - 1, most).round().astype(int)))


def _gains(fit: Any, grid: _Grid) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    shown = set(grid.cells)
    for run in fit.runs:
        if (run.params, run.tokens) in shown:
            rows.append(("run", run.mixture, run.params, run.tokens, run.added, run.gain, None, None, ""))
    for series, verdicts in (("control", fit.controls), ("gain", fit.verdicts or fit.by_language)):
        for v in verdicts:
            if (v.params, v.tokens) in shown:
                rows.append((series, v.mixture, v.params, v.tokens, v.added, v.gain, v.lower, v.upper, v.verdict))
    for law in fit.laws:
        ratios = np.geomspace(law.ratio_range[0] / 1.5, law.ratio_range[1] * 1.5, 61)
        for N, D in grid.cells:
            values = law.gains(N, D, ratios)
            rows += [("law", law.mixture, N, D, r * D, value, None, None, "") for r, value in zip(ratios, values, strict=True)]
    return _frame(rows)


def _crossovers(fit: Any) -> pd.DataFrame:
    """Crossovers at one ratio of added to target data: that with the most within the data, the largest of several."""
    found = [(round(c.ratio, 6), not c.notes) for c in fit.crossovers if c.tokens is not None]
    if not found:
        return _frame([])
    ratio = max({r for r, _ in found}, key=lambda r: (found.count((r, True)), r))
    rows: list[tuple[Any, ...]] = []
    for c in fit.crossovers:
        if np.isclose(c.ratio, ratio) and c.tokens is not None:
            rows.append(("crossover", c.mixture, c.params, c.tokens, ratio * c.tokens, c.tokens, c.lower, c.upper, ""))
    for law in fit.laws:
        for N in np.geomspace(law.params_range[0] / 2, law.params_range[1] * 2, 41):
            D = law.crossing(float(N), ratio)
            if D is not None:
                rows.append(("crossover law", law.mixture, float(N), D, ratio * D, D, None, None, ""))
    for b in published_brackets().itertuples():
        rows.append(("published crossover", f"Chang et al., {b.size}", b.params, np.nan, np.nan, np.nan, b.helps, b.hurts, ""))
    return _frame(rows)


def _similarity(fit: Any) -> pd.DataFrame:
    """Contrasts of mixtures over all cells and in each, what likeness is worth, and what is published of it."""
    rows: list[tuple[Any, ...]] = []
    for c in fit.contrasts:
        series = "contrast" if c.tokens is None else "contrast of a cell"
        rows.append((series, f"{c.first} over {c.second}", c.params, c.tokens, None, c.value, c.lower, c.upper, c.answer))
    for m in fit.likeness:
        answer = "unresolved" if m.p is None or m.p > 1 - fit.level else "more" if m.value > 0 else "less"
        rows.append(("likeness", f"{m.measure}, 1 over 0", None, None, None, m.value, m.lower, m.upper, answer))
    if any((c.first, c.second) == (SIMILAR, DISSIMILAR) for c in fit.contrasts):
        for b in published_contrast().to_dict("records"):
            name = f"Chang et al., {si(b['tokens'])} tokens"
            rows.append(("published contrast", name, b["params"], b["tokens"], None, b["value"], None, None, ""))
    return _frame(rows)


def _frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_COLUMNS).astype(dict.fromkeys(_COLUMNS[2:-1], float))


def _paint_grid(fit: Any, axes: NDArray[Any], drawn: pd.DataFrame, grid: _Grid) -> None:
    some = drawn[drawn["series"].isin(["run", "control", "gain"])]
    ratios = (some["added"] / some["tokens"])[some["added"] > 0]
    nothing = ratios.min() / 4  # where runs without additions stand on an axis that has no zero
    ends = some[["value", "lower", "upper"]].to_numpy()
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    columns = len(grid.tokens)
    for place, (ax, (N, D)) in enumerate(zip(axes, grid.cells, strict=True)):
        here = (drawn["params"] == N) & (drawn["tokens"] == D)
        ax.set(xscale="log", xlim=(nothing / 1.6, ratios.max() * 1.6))
        _paint_gains(fit, ax, drawn[here], nothing)
        if not here[some.index].any():
            ax.text(0.5, 0.4, "not run", transform=ax.transAxes, ha="center", fontsize=NOTE_PT, color=GREY)
        ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        _ratio_ticks(ax, ratios, nothing)
        _factor_ticks(ax.yaxis, low, high)
        if place < columns:
            ax.set_title(f"$D$ = {si(D)}", fontsize=NOTE_PT + 1)
        if place % columns == columns - 1:
            side = {"xycoords": "axes fraction", "rotation": 270, "ha": "left", "va": "center", "fontsize": NOTE_PT + 1}
            ax.annotate(f"$N$ = {si(N)}", (1.02, 0.5), **side)


def _paint_gains(fit: Any, ax: Axes, drawn: pd.DataFrame, nothing: float) -> None:
    ax.axhspan(-np.log2(1 + fit.margin), np.log2(1 + fit.margin), color=GREY, alpha=0.2, linewidth=0, zorder=0)
    names = ["", fit.settings["matched"], *_ordered(fit)]
    left, right = ax.get_xlim()
    beside = (right / left) ** _BESIDE
    for number, name in enumerate(names):
        mine = drawn[drawn["mixture"] == name]
        look, shift = _look(fit, name), beside ** (number - len(names) / 2) if name else 1.0
        run = mine[mine["series"] == "run"]
        at = (run["added"] / run["tokens"]).replace(0.0, nothing) * shift
        ax.plot(at, run["value"], linestyle="none", markersize=1.5, markeredgewidth=0, alpha=0.35, **look, rasterized=True)
        law = mine[mine["series"] == "law"]
        found = mine[mine["series"].isin(["control", "gain"])]
        if found.empty:
            continue
        ratio = found["added"] / found["tokens"]
        ax.vlines(ratio * shift, found["lower"], found["upper"], color=look["color"], linewidth=0.8)
        if len(law):
            x = law["added"] / law["tokens"]
            inside = x.between(ratio.min(), ratio.max())
            ax.plot(x, law["value"], color=look["color"], linewidth=0.6, linestyle=_OUTSIDE)
            ax.plot(x[inside], law["value"][inside], color=look["color"], linewidth=0.9)
        else:
            ax.plot(ratio * shift, found["value"], color=look["color"], linewidth=0.6)
        _marks(ax, ratio * shift, found, look, size=3)
        ax.plot([], [], markersize=3, label=_CONTROL if name == fit.settings["matched"] else _words(name), **look)
    for words, face in (("help or hurt", GREY), ("equivalent", "#c8c8c8"), ("unresolved", "white")):
        ax.plot([], [], linestyle="none", marker="o", markersize=3, color=GREY, markerfacecolor=face, label=words)
    ax.plot([], [], linestyle="none", label=f"censored: {100 * fit.censored:.0f} %{_lost(fit)}")


def _marks(ax: Axes, at: "pd.Series[float]", rows: pd.DataFrame, look: dict[str, Any], *, size: float) -> None:
    """Markers filled by their verdicts."""
    faces = rows["verdict"].map(_FACES).fillna(look["color"])
    for face in faces.unique():
        here = faces == face
        ax.plot(at[here], rows["value"][here], linestyle="none", markersize=size, markerfacecolor=face, **look)


def _lost(fit: Any) -> str:
    return f", diverged: {fit.counts.n_diverged}" if fit.counts.n_diverged else ""


def _ratio_ticks(ax: Axes, ratios: "pd.Series[float]", nothing: float) -> None:
    low, high = ratios.min() / 1.05, ratios.max() * 1.05
    steps = (1, 3) if high < 30 * low else (1,)
    ticks = [nothing, *(n * 10.0**k for k in range(-3, 5) for n in steps if low <= n * 10.0**k <= high)]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "0" if x == nothing else f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _factor_ticks(axis: Axis, low: float, high: float) -> None:
    """Label an axis of log2 by the factors themselves, finer where it spans little."""
    step = next(step for step in _STEPS if (high - low) / step <= 6)
    ticks = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    axis.set_major_locator(FixedLocator(ticks.tolist()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _factor(value)))


def _factor(log2: float) -> str:
    if abs(log2) > 9:
        return f"$2^{{{log2:g}}}$"
    return f"1/{2**-log2:g}" if log2 in range(-9, 0) else f"{2**log2:.3g}" if log2 > 6 else f"{2**log2:.2g}"


def _paint_crossovers(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    part = {name: drawn[drawn["series"] == name] for name in ("crossover", "crossover law", "published crossover")}
    points, published = part["crossover"], part["published crossover"]
    ax.set(xlabel="size $N$ (parameters)", ylabel="crossover $D_c$ (target tokens)")
    if points.empty:
        ax.text(0.5, 0.5, "no crossover found", transform=ax.transAxes, ha="center", va="center", fontsize=NOTE_PT, color=GREY)
        ax.xaxis.set_major_locator(NullLocator())
        ax.yaxis.set_major_locator(NullLocator())
        return
    measured = (min(law.tokens_range[0] for law in fit.laws), max(law.tokens_range[1] for law in fit.laws))
    ends = np.array([*measured, *points["value"], *published["lower"], *published["upper"]])
    sizes = np.array([*points["params"], *published["params"]])
    si_log_axis(ax.yaxis, ends.min() / 2, ends.max() * 2)
    si_log_axis(ax.xaxis, sizes.min() / 3, sizes.max() * 3)
    ax.set(xlim=(sizes.min() / 3, sizes.max() * 3), ylim=(ends.min() / 2, ends.max() * 2))
    ax.axhspan(*measured, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    for row in published[["params", "lower", "upper"]].to_numpy():
        ax.plot([row[0], row[0]], row[1:], color=GREY, linewidth=1, marker="_", markersize=6)
    for number, name in enumerate(_ordered(fit)):
        look = _look(fit, name)
        line = part["crossover law"][part["crossover law"]["mixture"] == name]
        mine = points[points["mixture"] == name]
        if mine.empty:
            continue
        inside = line["params"].between(mine["params"].min(), mine["params"].max()) & line["value"].between(*measured)
        ax.plot(line["params"], line["value"], color=look["color"], linewidth=0.6, linestyle=_OUTSIDE)
        ax.plot(line["params"][inside], line["value"][inside], color=look["color"], linewidth=0.9)
        at = mine["params"] * (sizes.max() / sizes.min() * 9) ** (_BESIDE * (number - (len(fit.mixtures) - 1) / 2))
        # an end that is open runs to the edge of the panel
        ax.vlines(
            at, mine["lower"].fillna(ends.min() / 2), mine["upper"].fillna(ends.max() * 2), color=look["color"], linewidth=1
        )
        for known, face in ((True, look["color"]), (False, "white")):
            here = mine["value"].between(*measured) == known
            ax.plot(at[here], mine["value"][here], linestyle="none", markersize=3.5, markerfacecolor=face, **look)
    note(ax, _crossover_remark(fit, points, published))


def _crossover_remark(fit: Any, points: pd.DataFrame, published: pd.DataFrame) -> str:
    ratio = points["added"].iloc[0] / points["tokens"].iloc[0]
    none = [_words(name) for name in _ordered(fit) if name not in set(points["mixture"])]
    words = [f"none found: {', '.join(none)}"] if none else []
    words += ["grey: Chang et al."] if len(published) else []
    return f"{ratio:.3g} times own data added, bars: {100 * fit.level:g} %\n" + "; ".join(words)


def _paint_similarity(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    """One row a question, with the cells behind it as faint points."""
    wanted = {"contrast": "o", "likeness": "D", "published contrast": "s"}
    rows = drawn[drawn["series"].isin(list(wanted))].reset_index(drop=True)
    if rows.empty:
        ax.text(0.5, 0.5, "no two mixtures", transform=ax.transAxes, ha="center", va="center", fontsize=NOTE_PT, color=GREY)
        ax.yaxis.set_major_locator(NullLocator())
        ax.xaxis.set_major_locator(NullLocator())
        return
    ax.axvspan(-np.log2(1 + fit.margin), np.log2(1 + fit.margin), color=GREY, alpha=0.2, linewidth=0, zorder=0)
    cells = drawn[drawn["series"] == "contrast of a cell"]
    for place, row in enumerate(rows.to_dict("records")):
        ours = row["series"] != "published contrast"
        look: dict[str, Any] = {"color": COLOURS[0] if ours else GREY, "marker": wanted[row["series"]]}
        behind = cells.loc[cells["mixture"] == row["mixture"], "value"]
        ax.plot(
            behind, np.full(len(behind), place + 0.22), linestyle="none", markersize=1.8, markeredgewidth=0, alpha=0.5, **look
        )
        if np.isnan(row["value"]):
            ax.text(0, place, "not identified", ha="center", va="center", fontsize=NOTE_PT, color=GREY)
            continue
        ax.plot([row["lower"], row["upper"]], [place, place], color=look["color"], linewidth=1)
        face = _FACES.get(row["verdict"], look["color"]) if ours else "white"
        ax.plot(row["value"], place, markersize=3.5, markerfacecolor=face, **look)
    ends = drawn.loc[drawn["series"].isin(["contrast of a cell", *wanted]), ["value", "lower", "upper"]].to_numpy()
    low, high = min(float(np.nanmin(ends)), -0.1), max(float(np.nanmax(ends)), 0.1)
    ax.set(xlim=(low - 0.05 * (high - low), high + 0.05 * (high - low)), ylim=(len(rows) - 0.4, -0.6))
    ax.set_xlabel("ratio of equivalent data")
    _factor_ticks(ax.xaxis, low, high)
    ax.yaxis.set_major_locator(FixedLocator(list(range(len(rows)))))
    ax.set_yticklabels([_broken(name) for name in rows["mixture"]], fontsize=6.5, linespacing=0.95)


def _broken(label: str) -> str:
    """A label in two lines, for rows that stand in little room."""
    words = _words(label)
    for mark in (" over ", ", "):
        if mark in words and "1 over" not in words:
            return words.replace(mark, f"{mark.rstrip()}\n", 1)
    return words.replace(", ", ",\n", 1)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _look(fit: Any, mixture: str) -> dict[str, Any]:
    """Colour and marker of an arm; black for the target alone."""
    if mixture not in fit.mixtures:
        return {"color": "#000000", "marker": "d"}  # a face that shows whether it is filled
    number = _ordered(fit).index(mixture)
    return {"color": COLOURS[number % 6], "marker": MARKERS[number % 6]}


def _ordered(fit: Any) -> list[str]:
    """Mixtures in the order of what is expected of them."""
    return sorted(fit.mixtures, key=(*ARMS, *fit.mixtures).index)

"""Loss of each size against its learning rate, as a multiple of the rule's, and what the rule costs beside the best rate."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from curselab.errors import InputError
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, WIDTHS_IN, context, new_figure, note, si, si_log_axis

_TOLERANCE: dict[str, Any] = {"color": GREY, "linewidth": 0.6, "linestyle": (0, (4, 2)), "zorder": 0}


def draw(
    fit: Any, runs: pd.DataFrame, *, ax: NDArray[Any] | None = None, venue: str = "neurips"
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw what was found about the learning rate.

    Parameters
    ----------
    fit : analysis.laws.learning_rate.LearningRateFit
        What was fitted; its settings name the columns.
    runs : pandas.DataFrame
        The table that was fitted.
    ax : sequence of two Axes, optional
        Where to draw; a new figure of the venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of array of two Axes and DataFrame
        The axes, and what was drawn: ``series`` (run, mean, curve, optimum or cost), ``size`` (parameters), ``factor``,
        ``lower``, ``upper`` (multiples of the rule's rate; percent for cost), ``percent`` (of loss above the lowest).
    """
    if ax is not None and np.size(ax) != 2:
        raise InputError(f"ax: {np.size(ax)} axes were given, 2 are needed (loss, and cost of the rule)")
    drawn = pd.concat([_losses(fit, runs), _found(fit)], ignore_index=True)
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        _paint_losses(fit, axes[0], drawn)
        _paint_costs(fit, axes[1], drawn)
    return axes, drawn


def _new_axes(venue: str) -> NDArray[Any]:
    if WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN:
        return np.asarray(new_figure(venue, aspect=1.6).subplots(2, 1))
    return np.asarray(new_figure(venue, aspect=0.5).subplots(1, 2, width_ratios=(1.4, 1)))


def _losses(fit: Any, runs: pd.DataFrame) -> pd.DataFrame:
    c = fit.settings
    fine = runs[runs["status"] == "ok"] if "status" in runs else runs
    points = fine[[c["size"], c["learning_rate"], c["loss"]]].astype(float)
    points.columns = ["size", "rate", "loss"]
    parts = []
    for s in fit.sizes:
        mine = points[points["size"] == s.size]
        series = [("run", mine["rate"], mine["loss"]), ("mean", s.rates, s.means)]
        if s.optimum is not None:
            rates = np.geomspace(s.rates[0], s.rates[-1], 61)
            series.append(("curve", rates, np.polynomial.Polynomial(s.curve)(np.log(rates / s.chosen))))
        for name, rates, losses in series:
            factor, percent = np.asarray(rates) / s.chosen, 100 * (np.asarray(losses) / s.minimum - 1)
            parts.append(pd.DataFrame({"series": name, "size": s.size, "factor": factor, "percent": percent}))
    return pd.concat(parts, ignore_index=True)


def _found(fit: Any) -> pd.DataFrame:
    rows = []
    for s in fit.sizes:
        if s.optimum is not None:
            rows.append(("optimum", s.size, s.optimum / s.chosen, s.lower / s.chosen, s.upper / s.chosen, 0.0))
        if s.cost is not None:
            low, high = (np.nan if cost is None else 100 * cost for cost in (s.cost_lower, s.cost_upper))
            rows.append(("cost", s.size, 1.0, low, high, 100 * s.cost))
    columns = ["series", "size", "factor", "lower", "upper", "percent"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:], float))


def _paint_losses(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    for i, s in enumerate(fit.sizes):
        look, known = _look(i, s), s.optimum is not None
        parts = {name: drawn[(drawn["size"] == s.size) & (drawn["series"] == name)] for name in ("run", "mean", "curve")}
        faint = {**look, "markerfacecolor": look["color"]}
        ax.plot(*_xy(parts["run"]), linestyle="none", markersize=2, markeredgewidth=0, alpha=0.4, **faint)
        ax.plot(*_xy(parts["mean"]), linestyle="none", markersize=3.5, label=f"$N$ = {si(s.size)}", **look)
        ax.plot(*_xy(parts["curve" if known else "mean"]), color=look["color"], linewidth=1.2 if known else 0.6, zorder=1)
        if known:
            # below the curves, one under the other, in points
            bar = offset_copy(ax.get_xaxis_transform(), ax.get_figure(root=True), y=4 + 4 * i, units="points")
            ax.plot([s.lower / s.chosen, s.upper / s.chosen], [0, 0], color=look["color"], transform=bar)
            ax.plot(s.optimum / s.chosen, 0, markersize=3, transform=bar, **look)
    ax.axvline(1, color=GREY, linewidth=0.6, zorder=0)
    ax.axhline(100 * fit.tolerance, **_TOLERANCE)
    _factor_axis(ax, drawn)
    # room for the bars
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.05 * (1 + len(fit.sizes)) * (high - low), high)
    ax.set(xlabel="learning rate (multiples of the rule's)", ylabel="loss above the lowest (%)")
    columns = 2 if len(fit.sizes) > 2 else 1
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderpad=0, handletextpad=0.2, columnspacing=0.8)


def _xy(part: pd.DataFrame) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    return part["factor"], part["percent"]


def _factor_axis(ax: Axes, drawn: pd.DataFrame) -> None:
    factors = np.unique(np.round(drawn.loc[drawn["series"] == "mean", "factor"], 2))
    ax.set_xscale("log")
    ax.set_xlim(factors[0] / 1.25, factors[-1] * 1.25)
    ax.xaxis.set_major_locator(FixedLocator(factors.tolist()))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda factor, _: f"{factor:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _paint_costs(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    costs = drawn[drawn["series"] == "cost"].set_index("size")
    for i, s in enumerate(fit.sizes):
        if s.size in costs.index:
            row, look = costs.loc[s.size], _look(i, s)
            ax.plot([s.size] * 2, [row["lower"], row["upper"]], color=look["color"], linewidth=1)
            ax.plot(s.size, row["percent"], markersize=3.5, **look)
    ax.axhline(100 * fit.tolerance, **_TOLERANCE)
    sizes = [s.size for s in fit.sizes]
    si_log_axis(ax.xaxis, min(sizes) / 1.5, max(sizes) * 1.5)
    ax.set_xlim(min(sizes) / 1.5, max(sizes) * 1.5)
    highest = float(np.nanmax([100 * fit.tolerance, *costs["percent"], *costs["upper"]]))
    ax.set_ylim(-0.04 * highest, 1.1 * highest)
    ax.set(xlabel="size $N$ (parameters)", ylabel="cost of the rule (%)")
    note(ax, _remark(fit))


def _remark(fit: Any) -> str:
    missing = sum(s.optimum is None for s in fit.sizes)
    lines = [f"bars: {100 * fit.level:g} %", f"rule below {100 * fit.tolerance:g} %: {fit.verdict}"]
    if missing:
        lines.append(f"hollow, not identified: {missing} of {len(fit.sizes)}")
    if fit.counts.n_diverged:
        lines.append(f"diverged, not drawn: {fit.counts.n_diverged}")
    return "\n".join(lines)


def _look(number: int, s: Any) -> dict[str, Any]:
    colour = COLOURS[number % len(COLOURS)]
    face = colour if s.optimum is not None else "white"
    return {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markerfacecolor": face}

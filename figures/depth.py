"""Variance by layer with its laws, use of each block, deep share by scheme, and loss by depth beside published numbers."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from analysis.laws.depth_published import published_gaps
from curselab.errors import InputError
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, note

_PANELS = 4
_LINEAR = 0.01  # rises of the loss are on a linear scale below this, nats/token
_BESIDE = 1.03  # factor between bars of one depth
_LEGEND: dict[str, Any] = {"borderpad": 0, "handletextpad": 0.2, "columnspacing": 0.8}
_COLUMNS = ["series", "scheme", "x", "value", "lower", "upper"]


def draw(
    fit: Any,
    runs: pd.DataFrame,
    layers: pd.DataFrame | None = None,
    *,
    ax: NDArray[Any] | None = None,
    venue: str = "neurips",
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw what was found about the use of depth.

    Parameters
    ----------
    fit : analysis.laws.depth.DepthFit
        What was fitted; all that is drawn stands in it.
    runs, layers : pandas.DataFrame
        The tables that were fitted.
    ax : sequence of four Axes, optional
        Where to draw; a new figure of the venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of array of four Axes and DataFrame
        The axes, and what was drawn: ``series`` (variance and law by layer, delta by layer, share by scheme, loss by depth,
        published by depth), ``scheme``, ``x``, ``value``, ``lower``, ``upper``; loss is less that of the baseline, nats/token.
    """
    if ax is not None and np.size(ax) != _PANELS:
        raise InputError(f"ax: {np.size(ax)} axes were given, {_PANELS} are needed (variance, blocks, deep share, loss)")
    arms = _deepest(fit)
    drawn = pd.concat([_profiles(arms), _shares(arms), _losses(fit)], ignore_index=True)
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        _paint_variance(fit, axes[0], drawn, arms, legend=ax is not None)
        _paint_blocks(fit, axes[1], drawn)
        _paint_shares(fit, axes[2], drawn)
        _paint_losses(fit, axes[3], drawn)
        if ax is None:
            figure, columns = axes[0].figure, 1 if WIDTHS_IN[venue] < NARROW_IN else 3
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=columns, **_LEGEND)
    return axes, drawn


def _new_axes(venue: str) -> NDArray[Any]:
    narrow = WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN
    figure = new_figure(venue, aspect=3.0 if narrow else 0.85)
    return np.ravel(np.asarray(figure.subplots(*((4, 1) if narrow else (2, 2)))))


def _deepest(fit: Any) -> list[Any]:
    """The deepest arm of each scheme that has a loss."""
    best: dict[str, Any] = {}
    for arm in fit.arms:
        if arm.n_seeds and (arm.scheme not in best or arm.depth > best[arm.scheme].depth):
            best[arm.scheme] = arm
    return list(best.values())


def _profiles(arms: list[Any]) -> pd.DataFrame:
    parts = []
    for arm in arms:
        if arm.growth is not None:
            x = np.asarray(arm.growth.x)
            fine = np.linspace(x[0], x[-1], 61)
            parts.append(pd.DataFrame({"series": "variance", "scheme": arm.scheme, "x": x, "value": arm.growth.variance}))
            # of the families that are left, the best; one whose words are not earned would draw what was not found
            if arm.growth.family or arm.growth.growth:
                law = arm.growth.predict(fine, arm.growth.candidates[0])
                parts.append(pd.DataFrame({"series": "law", "scheme": arm.scheme, "x": fine, "value": law}))
        if arm.effective is not None:
            at = np.arange(1, arm.depth + 1)
            parts.append(pd.DataFrame({"series": "delta", "scheme": arm.scheme, "x": at, "value": arm.effective.deltas}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)


def _shares(arms: list[Any]) -> pd.DataFrame:
    rows = [_row("share", arm.scheme, arm.depth, arm.effective.deep_share) for arm in arms if arm.effective is not None]
    known = [row for row in rows if row[3] is not None]
    return pd.DataFrame(known, columns=_COLUMNS).astype(dict.fromkeys(_COLUMNS[2:], float))


def _losses(fit: Any) -> pd.DataFrame:
    baseline = fit.curse.scheme
    rows = [_row("loss", fall.scheme, fall.depth, fall.estimate, sign=-1) for fall in fit.falls]
    for scheme in dict.fromkeys(fall.scheme for fall in fit.falls):
        for gap in published_gaps(scheme, baseline).dropna(subset="layers").to_dict("records"):
            series = "published, diverged" if gap["status"] == "diverged" else f"published, {gap['trust']}"
            rows.append((series, scheme, gap["layers"], gap["gap"], np.nan, np.nan))
    return pd.DataFrame(rows, columns=_COLUMNS).astype(dict.fromkeys(_COLUMNS[2:], float))


def _row(series: str, scheme: str, x: float, e: Any, *, sign: int = 1) -> tuple[Any, ...]:
    value, lower, upper = (None if number is None else sign * number for number in (e.value, e.lower, e.upper))
    return (series, scheme, x, value, *((lower, upper) if sign > 0 else (upper, lower)))


def _paint_variance(fit: Any, ax: Axes, drawn: pd.DataFrame, arms: list[Any], *, legend: bool) -> None:
    for arm in arms:
        if arm.growth is None:
            continue
        look = _look(fit, arm.scheme)
        points, law = (_of(drawn, series, arm.scheme) for series in ("variance", "law"))
        label = f"{arm.scheme}: {arm.growth.family or arm.growth.growth or 'not identified'}"
        ax.plot(points["x"], points["value"], linestyle="none", markersize=2.5, label=label, **look)
        dashes = "-" if arm.growth.family else (0, (3, 2))
        ax.plot(law["x"], law["value"], color=look["color"], linestyle=dashes, linewidth=0.9, zorder=1)
    ax.set(xlabel="block", ylabel="variance of the stream", yscale="log")
    if legend:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, **_LEGEND)


def _paint_blocks(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    for scheme in _schemes(drawn, "delta"):
        part, look = _of(drawn, "delta", scheme), _look(fit, scheme)
        ax.plot(part["x"], part["value"], markersize=2.5, linewidth=0.7, **look)
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    ax.set(xlabel="block taken out", ylabel="rise of the loss (nats/token)")
    ax.set_yscale("symlog", linthresh=_LINEAR, linscale=0.5)
    rises = drawn.loc[drawn["series"] == "delta", "value"]
    if len(rises):
        ax.set_ylim(min(-_LINEAR / 2, 2 * rises.min()), 2 * rises.max())


def _paint_shares(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    names = _schemes(drawn, "share")
    for place, scheme in enumerate(names):
        row, look = _of(drawn, "share", scheme).iloc[0], _look(fit, scheme)
        known = np.isfinite(row["lower"])
        if known:
            ax.plot([row["lower"], row["upper"]], [place, place], color=look["color"], linewidth=1)
        ax.plot(row["value"], place, markersize=3.5, markerfacecolor=look["color"] if known else "white", **look)
    ax.axvline(0.5, color=GREY, linewidth=0.6, linestyle=(0, (4, 2)), zorder=0)
    ax.set(xlabel="deep share of removal loss (of $L$)", ylim=(len(names) - 0.5, -0.5))
    ax.yaxis.set_major_locator(FixedLocator(list(range(len(names)))))
    ax.set_yticklabels([f"{name} ({_of(drawn, 'share', name)['x'].iloc[0]:g})" for name in names])
    note(ax, f"{fit.curse.scheme}: {fit.curse.call}")


def _paint_losses(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    ours = drawn[drawn["series"] == "loss"]
    schemes = _schemes(drawn, "loss")
    for number, scheme in enumerate(schemes):
        part, look = _of(drawn, "loss", scheme), _look(fit, scheme)
        beside = part["x"] * _BESIDE ** (number - (len(schemes) - 1) / 2)
        ax.plot(beside, part["value"], markersize=3, linewidth=0.9, **look)
        ax.vlines(beside, part["lower"], part["upper"], color=look["color"], linewidth=0.8)
    faint: dict[str, Any] = {"linestyle": "none", "markersize": 3, "alpha": 0.6}
    for scheme in dict.fromkeys(drawn.loc[drawn["series"].str.startswith("published"), "scheme"]):
        look = _look(fit, scheme)
        for trust, face in (("primary", GREY), ("secondary", "white")):
            part = _of(drawn, f"published, {trust}", scheme)
            ax.plot(part["x"], part["value"], **faint | {"marker": look["marker"], "color": GREY, "markerfacecolor": face})
        dead = _of(drawn, "published, diverged", scheme)
        ax.plot(
            dead["x"],
            np.full(len(dead), 0.97),
            transform=ax.get_xaxis_transform(),
            **faint | {"marker": "x", "color": look["color"]},
        )
    if len(ours):
        _depth_axis(ax, drawn)
        # room for the remark
        low, high = ax.get_ylim()
        ax.set_ylim(low - 0.7 * (high - low), high)
    ax.set(xlabel="blocks $L$", ylabel=f"loss less that of {fit.curse.scheme} (nats/token)")
    ax.text(0.02, 0.02, _remark(fit, drawn), transform=ax.transAxes, ha="left", va="bottom", fontsize=NOTE_PT, color=GREY)


def _depth_axis(ax: Axes, drawn: pd.DataFrame) -> None:
    depths = np.unique(drawn.loc[drawn["series"].str.match("loss|published"), "x"])
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(depths.tolist()))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def _remark(fit: Any, drawn: pd.DataFrame) -> str:
    lines = [f"bars: {100 * fit.level:g} %"]
    if drawn["series"].str.startswith("published").any():
        lines.append("grey, not joined: published")
    if (drawn["series"] == "published, secondary").any():
        lines.append("hollow: second hand")
    if (drawn["series"] == "published, diverged").any():
        lines.append("crosses: diverged there")
    if fit.counts.n_diverged:
        lines.append(f"diverged here: {fit.counts.n_diverged}")
    return "\n".join(lines)


def _of(drawn: pd.DataFrame, series: str, scheme: str) -> pd.DataFrame:
    return drawn[(drawn["series"] == series) & (drawn["scheme"] == scheme)]


def _schemes(drawn: pd.DataFrame, series: str) -> list[str]:
    return list(dict.fromkeys(drawn.loc[drawn["series"] == series, "scheme"]))


def _look(fit: Any, scheme: str) -> dict[str, Any]:
    number = [s.scheme for s in fit.schemes].index(scheme)
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]}

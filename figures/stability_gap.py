"""Old and new loss along tokens with the gap and its control, effects of strategies at equal compute, and the front."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

from analysis.laws.stability_gap_runs import LOSS, read_conditions
from curselab.errors import InputError
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, note, si_log_axis

_PANELS = 4
_COLUMNS = ["series", "arm", "x", "value", "lower", "upper"]
_LEGEND: dict[str, Any] = {"borderpad": 0, "handletextpad": 0.3, "columnspacing": 0.9}
_OUTCOMES = {"new_loss": "new loss, end", "old_loss": "old loss, end", "depth": "depth of the gap"}


def draw(
    fit: Any,
    runs: pd.DataFrame,
    metrics: pd.DataFrame | None = None,
    *,
    ax: NDArray[Any] | None = None,
    venue: str = "neurips",
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw one condition of the sweep: the first new text, at its largest budget.

    Parameters
    ----------
    fit : analysis.laws.stability_gap_sweep.StabilityGapSweep
        What was fitted.
    runs, metrics : pandas.DataFrame
        The tables that were fitted; the curves are drawn from them.
    ax : sequence of four Axes, optional
        Where to draw; a new figure of the venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of array of four Axes and DataFrame
        The axes, and what was drawn: ``series`` (old or new along tokens, minimum, effect on an outcome, end), ``arm`` (or
        strategy), ``x`` (tokens, or the old loss of an end), ``value`` (of an end the new loss), ``lower``, ``upper``.
    """
    if ax is not None and np.size(ax) != _PANELS:
        raise InputError(f"ax: {np.size(ax)} axes were given, {_PANELS} are needed (old loss, new loss, effects, ends)")
    shown = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    drawn = pd.concat([_curves(shown, runs, metrics), _effects(shown), _ends(shown)], ignore_index=True)
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        _paint_curves(shown, axes, drawn)
        _paint_effects(fit, shown, axes[2], drawn)
        _paint_ends(shown, axes[3], drawn)
        if ax is None:
            columns = 2 if WIDTHS_IN[venue] < NARROW_IN else 4
            axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=columns, **_LEGEND)
        else:
            axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, **_LEGEND)
    return axes, drawn


def _new_axes(venue: str) -> NDArray[Any]:
    narrow = WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN
    figure = new_figure(venue, aspect=3.1 if narrow else 0.9)
    return np.ravel(np.asarray(figure.subplots(*((4, 1) if narrow else (2, 2)))))


def _chosen(shown: Any) -> list[str]:
    """Arms whose curves are drawn: without a strategy, the control, and of the rest the least deep and the lowest new loss."""
    known = {gap.arm for gap in shown.losses.gaps}
    ends = [end for end in shown.ends if end.arm in known]
    control = [end.arm for end in ends if end.role == "control"]
    plain = [shown.baseline] if shown.baseline in known else []
    rest = [end for end in ends if end.role == "strategy" and end.strategies]
    best = [
        min(rest, key=lambda end: shown.gap(end.arm).depth.value).arm,
        min(rest, key=lambda end: end.new_loss.value).arm,
    ] if rest else []  # fmt: skip
    own = [arm for arm in control if "," not in arm] or control
    return list(dict.fromkeys([*plain, *own[:1], *best]))


def _curves(shown: Any, runs: pd.DataFrame, metrics: pd.DataFrame | None) -> pd.DataFrame:
    """Means over seeds at every evaluation, with the lowest and the highest seed, and the minimum of each gap."""
    parts: list[pd.DataFrame] = []
    if metrics is not None:
        log = next(c.log for c in read_conditions(runs, metrics) if (c.name, c.tokens) == (shown.name, shown.tokens))
        for series, split in (("old", shown.old[0]), ("new", shown.new)):
            for arm in _chosen(shown):
                own = log[(log["arm"] == arm) & (log["split"] == split)].groupby("tokens")[LOSS]
                spread = own.agg(["mean", "min", "max"]).dropna().reset_index()
                names = {"tokens": "x", "mean": "value", "min": "lower", "max": "upper"}
                parts.append(spread.rename(columns=names).assign(series=series, arm=arm))
    for arm in _chosen(shown):
        gap = shown.gap(arm)
        if gap.depth.lower is not None and gap.depth.lower > 0:
            row = ("minimum", arm, gap.time_to_minimum.value, gap.depth.value - gap.start.value, np.nan, np.nan)
            parts.append(_rows([row]))
    return pd.concat(parts, ignore_index=True) if parts else _rows([])


def _effects(shown: Any) -> pd.DataFrame:
    own = [e for e in shown.effects if e.outcome in _OUTCOMES and len(e.strategies) == 1]
    return _rows(
        [
            (f"effect on {e.outcome}", e.term, np.nan, e.estimate.value, _end(e.estimate.lower), _end(e.estimate.upper))
            for e in own
        ]
    )


def _ends(shown: Any) -> pd.DataFrame:
    known = [end for end in shown.ends if None not in (end.old_loss.value, end.new_loss.value) and end.role == "strategy"]
    return _rows(
        [
            ("end", end.arm, end.old_loss.value, end.new_loss.value, _end(end.new_loss.lower), _end(end.new_loss.upper))
            for end in known
        ]
    )


def _rows(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_COLUMNS).astype(dict.fromkeys(_COLUMNS[2:], float))


def _end(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _paint_curves(shown: Any, axes: NDArray[Any], drawn: pd.DataFrame) -> None:
    for ax, series, split in ((axes[0], "old", shown.old[0]), (axes[1], "new", shown.new)):
        first = drawn.loc[(drawn["series"] == series) & (drawn["x"] > 0), "x"].min()
        for arm in _chosen(shown):
            look = _look(shown, arm)
            part = drawn[(drawn["series"] == series) & (drawn["arm"] == arm)]
            at = part["x"].where(part["x"] > 0, first / 2)  # the start has no place on a logarithmic axis
            ax.fill_between(at, part["lower"], part["upper"], alpha=0.15, linewidth=0, color=look["color"])
            few = {"markersize": 3, "markevery": max(1, len(part) // 8)}
            ax.plot(at, part["value"], linewidth=1, label=_label(shown, arm), **few, **look)
            if series == "old":
                low = drawn[(drawn["series"] == "minimum") & (drawn["arm"] == arm)]
                ax.plot(low["x"], low["value"], linestyle="none", marker="v", markersize=5, color=look["color"])
        if np.isfinite(first):
            si_log_axis(ax.xaxis, float(first), float(shown.tokens))
        ax.set(xlabel="tokens of continual pre-training", ylabel=f"loss on {split} (nats/token)")
    if shown.baseline is not None and shown.baseline in _chosen(shown):
        note(axes[0], f"{shown.baseline}: {shown.gap(shown.baseline).verdict}")


def _paint_effects(fit: Any, shown: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    series = [name for name in _OUTCOMES if (drawn["series"] == f"effect on {name}").any()]
    terms = list(dict.fromkeys(drawn.loc[drawn["series"].str.startswith("effect"), "arm"]))
    ax.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    for number, outcome in enumerate(series):
        look: dict[str, Any] = {"color": COLOURS[number], "marker": MARKERS[number]}
        part = drawn[drawn["series"] == f"effect on {outcome}"].set_index("arm")
        for place, term in enumerate(terms):
            if term not in part.index:
                continue
            at, row = place + 0.22 * (number - (len(series) - 1) / 2), part.loc[term]
            answer = next(e.answer for e in shown.effects if (e.outcome, e.term) == (outcome, term))
            face = look["color"] if answer in ("up", "down") else "white"
            ax.hlines(at, row["lower"], row["upper"], color=look["color"], linewidth=0.9)
            ax.plot(row["value"], at, linestyle="none", markersize=3.5, markerfacecolor=face, **look)
        ax.plot([], [], linestyle="none", markersize=3.5, label=_OUTCOMES[outcome], **look)
    if not terms:
        ax.text(0.5, 0.5, "no strategies to compare", transform=ax.transAxes, ha="center", fontsize=NOTE_PT, color=GREY)
    ax.yaxis.set_major_locator(FixedLocator(list(range(len(terms)))))
    ax.set_yticklabels(terms)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    # the last place is the remark's
    ax.set(xlabel="effect (nats/token), below 0 is better", ylim=(len(terms) + 0.3, -0.5))
    if terms:
        ax.legend(loc="lower left", bbox_to_anchor=(-0.3, 1), ncols=len(series), fontsize=NOTE_PT, **_LEGEND)
    text = f"bars: {100 * fit.level:g} %\nfilled: not 0 (Holm)"
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.text(0.98, 0.02, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=NOTE_PT, color=GREY, bbox=ground)


def _paint_ends(shown: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    ends = drawn[drawn["series"] == "end"].set_index("arm")
    for end in (end for end in shown.ends if end.arm in ends.index):
        look = _look(shown, end.arm) if end.arm in _chosen(shown) else {"color": "black", "marker": ".", "markersize": 6}
        row, colour = ends.loc[end.arm], look["color"]
        face = colour if end.front else "white"
        if end.old_loss.lower is not None:
            ax.hlines(row["value"], end.old_loss.lower, end.old_loss.upper, color=colour, linewidth=0.5, alpha=0.6, zorder=1)
            ax.vlines(row["x"], row["lower"], row["upper"], color=colour, linewidth=0.5, alpha=0.6, zorder=1)
        ax.plot(row["x"], row["value"], **{"markersize": 4} | look | {"markerfacecolor": face, "linestyle": "none"})
    ax.set(xlabel=f"last loss on {shown.old[0]} (nats/token)", ylabel=f"last loss on {shown.new} (nats/token)")
    note(ax, "filled: no other strategy has both lower")


def _look(shown: Any, arm: str) -> dict[str, Any]:
    """Colour and marker of an arm whose curve is drawn; the control is grey and dashed."""
    if _is_control(shown, arm):
        return {"color": GREY, "marker": "none", "linestyle": (0, (3, 1))}
    number = _chosen(shown).index(arm)
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "linestyle": "-"}


def _is_control(shown: Any, arm: str) -> bool:
    return any(end.arm == arm and end.role == "control" for end in shown.ends)


def _label(shown: Any, arm: str) -> str:
    return f"{arm.replace('_', ' ')} (control)" if _is_control(shown, arm) else arm

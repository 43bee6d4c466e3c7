"""Loss of each student against its teacher's size, and best teachers against students beside the published laws."""

import itertools
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.laws.capacity_gap import PUBLISHED
from curselab.errors import InputError
from figures.style import COLOURS, GREY, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, si, si_log_axis

_DASHES = ((0, (4, 2)), (0, (1, 1.2)))
_PUBLISHED_UNIT = "nats/token"
_SAME_SIZE = "teacher = student"


def draw(
    fit: Any, runs: pd.DataFrame, *, ax: NDArray[Any] | None = None, venue: str = "neurips"
) -> tuple[NDArray[Any], pd.DataFrame]:
    """Draw what was found about the capacity gap.

    Parameters
    ----------
    fit : analysis.laws.capacity_gap.CapacityGapFit
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
        The axes, and what was drawn: ``series`` (run, mean, curve, optimum, bound, law, a published law, teacher = student),
        ``student``, ``teacher``, ``lower``, ``upper`` (sizes), ``loss`` (minus plain training where all students have it), in
        the units of the fit. Published laws are of language models: other fits have the line teacher = student in their place.
    """
    if ax is not None and np.size(ax) != 2:
        raise InputError(f"ax: {np.size(ax)} axes were given, 2 are needed (loss, and best teacher)")
    drawn = pd.concat([_losses(fit, runs), _optima(fit), _laws(fit)], ignore_index=True)
    with nullcontext() if ax is not None else context():
        axes = _new_axes(venue) if ax is None else np.ravel(np.asarray(ax, dtype=object))
        _paint_losses(fit, axes[0], drawn)
        _paint_optima(fit, axes[1], drawn)
    return axes, drawn


def _new_axes(venue: str) -> NDArray[Any]:
    if WIDTHS_IN.get(venue, NARROW_IN) < NARROW_IN:
        return np.asarray(new_figure(venue, aspect=1.6).subplots(2, 1))
    return np.asarray(new_figure(venue, aspect=0.5).subplots(1, 2, width_ratios=(1.25, 1)))


def _baselines(fit: Any) -> dict[float, float]:
    """Loss of plain training by student, or zero for all where one has none: curves must share their meaning."""
    known = all(s.plain_loss is not None for s in fit.students)
    return {s.student: s.plain_loss if known else 0.0 for s in fit.students}


def _losses(fit: Any, runs: pd.DataFrame) -> pd.DataFrame:
    base, c = _baselines(fit), fit.settings
    fine = runs[runs["objective"] == "distill"] if "objective" in runs else runs
    fine = fine[fine["status"] == "ok"] if "status" in fine else fine
    fine = fine[fine["stage"] == c.get("stage")] if "stage" in fine else fine
    points: pd.DataFrame = fine[[c["student"], c["teacher"], c["loss"]]].astype(float)
    points.columns = ["student", "teacher", "loss"]
    parts: list[pd.DataFrame] = [points.assign(series="run", loss=points["loss"] - points["student"].map(base))]
    for s in fit.students:
        means = np.asarray(s.means) - base[s.student]
        parts.append(pd.DataFrame({"series": "mean", "student": s.student, "teacher": s.teachers, "loss": means}))
        if s.optimum is None or not s.curve:
            continue
        grid = np.geomspace(s.window[0], s.window[1], 41)
        curve = _curve(s, grid) - base[s.student]
        parts.append(pd.DataFrame({"series": "curve", "student": s.student, "teacher": grid, "loss": curve}))
    return pd.concat(parts, ignore_index=True)


def _curve(student: Any, teacher: ArrayLike) -> Any:
    return np.polynomial.polynomial.polyval(np.log(np.asarray(teacher) / student.lowest), student.curve)


def _optima(fit: Any) -> pd.DataFrame:
    base, rows = _baselines(fit), []
    for s in fit.students:
        if s.optimum is not None:
            # where no curve fits, the optimum is the lowest teacher itself
            loss = (_curve(s, s.optimum) if s.curve else min(s.means)) - base[s.student]
            rows.append(("optimum", s.student, s.optimum, s.lower, s.upper, loss))
        elif s.above is not None or s.below is not None:
            rows.append(("bound", s.student, s.above or s.below, s.above, s.below, np.nan))
    columns = ["series", "student", "teacher", "lower", "upper", "loss"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:], float))


def _laws(fit: Any) -> pd.DataFrame:
    sizes = [s.student for s in fit.students]
    grid = np.geomspace(min(sizes) / 1.5, max(sizes) * 1.5, 50)
    parts = []
    if fit.loss_unit != _PUBLISHED_UNIT:
        parts.append(pd.DataFrame({"series": _SAME_SIZE, "student": grid, "teacher": grid, "lower": grid, "upper": grid}))
    for law in PUBLISHED if fit.loss_unit == _PUBLISHED_UNIT else ():
        # an offset in parameters that is larger than a miniature student leaves only the ratio to compare with
        offset = law.offset if law.ratio * grid[0] + 2 * law.offset > 0 else 0.0
        label = f"{law.label}, $k$ = {law.ratio:.2g}" + (" (no offset)" if offset != law.offset else "")
        teacher, (lower, upper) = law.ratio * grid + offset, (ratio * grid + offset for ratio in law.span)
        line = {"series": label, "student": grid, "teacher": teacher, "lower": lower, "upper": upper}
        parts.append(pd.DataFrame(line))
    if fit.status == "ok":
        parts.append(fit.predict(grid).assign(series="law"))
    return pd.concat(parts, ignore_index=True)


def _paint_losses(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    for i, s in enumerate(fit.students):
        look = _look(i)
        mine = drawn[drawn["student"] == s.student].groupby("series")
        parts = {name: part for name, part in mine if name in ("run", "mean", "curve", "optimum")}
        ax.plot(
            parts["run"]["teacher"], parts["run"]["loss"], linestyle="none", markersize=2, markeredgewidth=0, alpha=0.4, **look
        )
        ax.plot(
            parts["mean"]["teacher"],
            parts["mean"]["loss"],
            linestyle="none",
            markersize=3.5,
            label=f"$N_S$ = {si(s.student)}",
            markerfacecolor=look["color"] if s.optimum is not None else "white",
            **look,
        )
        if "curve" in parts:
            ax.plot(parts["curve"]["teacher"], parts["curve"]["loss"], color=look["color"])
        else:
            ax.plot(parts["mean"]["teacher"], parts["mean"]["loss"], color=look["color"], linewidth=0.6, zorder=1)
        if "optimum" in parts:
            best = parts["optimum"].iloc[0]
            ax.plot([best["lower"], best["upper"]], [best["loss"]] * 2, color=look["color"], linewidth=3, alpha=0.4, zorder=1)
            ax.plot(best["teacher"], best["loss"], marker="|", color=look["color"], markersize=12, markeredgewidth=1.2)
    teachers = drawn.loc[drawn["series"] == "run", "teacher"]
    si_log_axis(ax.xaxis, float(teachers.min()), float(teachers.max()))
    against_plain = any(_baselines(fit).values())
    if against_plain:
        ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    what = "loss minus plain training" if against_plain else "student's loss"
    ax.set(xlabel=f"teacher $N_T$ ({fit.size_unit})", ylabel=f"{what} ({fit.loss_unit})")
    columns = 2 if len(fit.students) > 2 else 1
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderpad=0, handletextpad=0.2, columnspacing=0.8)


def _paint_optima(fit: Any, ax: Axes, drawn: pd.DataFrame) -> None:
    compared = drawn["series"].str.contains("et al") | (drawn["series"] == _SAME_SIZE)
    for label, dashes in zip(drawn["series"][compared].unique(), itertools.cycle(_DASHES), strict=False):
        line = drawn[drawn["series"] == label]
        ax.fill_between(line["student"], line["lower"], line["upper"], color=GREY, alpha=0.15, linewidth=0, zorder=0)
        ax.plot(line["student"], line["teacher"], linestyle=dashes, color=GREY, linewidth=1, label=label)
    law = drawn[drawn["series"] == "law"]
    if len(law):
        inside = law["student"].between(*_range(fit))
        ax.fill_between(law["student"], law["lower"], law["upper"], color=COLOURS[0], alpha=0.15, linewidth=0)
        ax.plot(law["student"], law["teacher"], color=COLOURS[0], linestyle=(0, (3, 2)), linewidth=0.8)
        text = f"this fit, $b$ = {fit.across.b:.2f}, {100 * fit.level:g} % band"
        ax.plot(law["student"][inside], law["teacher"][inside], color=COLOURS[0], label=text)
    for i, s in enumerate(fit.students):
        look = _look(i)
        if s.optimum is not None:
            ax.plot(s.student, s.optimum, **look)
            ax.plot([s.student] * 2, [s.lower, s.upper], color=look["color"], linewidth=1)
            continue
        side = s.above or s.below
        if side is not None:
            ax.plot(s.student, side, markerfacecolor="white", **look)
            ax.annotate(
                "",
                (s.student, side),
                xytext=(0, 14 if s.above else -14),
                textcoords="offset points",
                arrowprops={"arrowstyle": "<-", "color": look["color"], "shrinkB": 2},
            )
    shown = drawn[drawn["series"].isin(["optimum", "bound", "law"]) | compared]
    si_log_axis(ax.xaxis, float(shown["student"].min()), float(shown["student"].max()))
    si_log_axis(ax.yaxis, float(shown["teacher"].min()), float(shown["teacher"].max()))
    ax.set(xlabel=f"student $N_S$ ({fit.size_unit})", ylabel=f"best teacher $N_T^*$ ({fit.size_unit})")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    small: dict[str, Any] = {"fontsize": NOTE_PT, "linespacing": 1.0, "color": GREY}
    ax.text(0.98, 0.02, _remark(fit), transform=ax.transAxes, ha="right", va="bottom", **small)


def _remark(fit: Any) -> str:
    lines = [f"bars: {100 * fit.level:g} %"] if fit.across.n_students else []
    missing = sum(s.optimum is None for s in fit.students)
    if missing:
        lines.append(f"hollow, not identified: {missing} of {len(fit.students)}")
    if fit.status != "ok":
        lines.append("law not identified")
    tested = [s.p_no_rise for s in fit.students if s.p_no_rise is not None]
    if tested:
        ends = dict.fromkeys(f"{p:.2g}" for p in (min(tested), max(tested)))
        lines.append(f"$p$ of no rise: {' to '.join(ends)}")
    noise = [(s.sigma, s.detectable) for s in fit.students if s.sigma is not None]
    if noise:
        # of the noisiest student; a rise is found in 80 % of cases (StudentGap.detectable)
        sigma, rise = (max(values) for values in zip(*noise, strict=True))
        lines.append(f"noise of a run: {sigma:.2g}\nleast rise found: {rise:.2g}")
    if fit.counts.n_diverged:
        lines.append(f"diverged, not drawn: {fit.counts.n_diverged}")
    return "\n".join(lines)


def _look(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def _range(fit: Any) -> tuple[float, float]:
    found = [s.student for s in fit.students if s.optimum is not None]
    return min(found), max(found)

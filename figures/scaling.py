"""Loss against training tokens, one curve a model size: runs, fitted law and its band."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figures.style import COLOURS, MARKERS, NARROW_IN, NOTE_PT, WIDTHS_IN, context, new_figure, note, si, si_log_axis

_BEYOND = 3.0  # factor by which a curve is drawn beyond the runs, dashed
_LABEL_GAP = 0.055  # of the height of the axes: one line of a label


def draw(fit: Any, runs: pd.DataFrame, *, ax: Axes | None = None, venue: str = "neurips") -> tuple[Axes, pd.DataFrame]:
    """Draw the runs and the fitted law L(N, D).

    Parameters
    ----------
    fit : analysis.laws.scaling.ScalingFit
        What was fitted; its settings name the columns.
    runs : pandas.DataFrame
        The table that was fitted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of the venue's width when left out.
    venue : str
        A key of ``figures.style.WIDTHS_IN``.

    Returns
    -------
    tuple of Axes and DataFrame
        The axes, and what was drawn: ``series`` (run or fit), ``params``, ``tokens``, ``loss``, ``lower``, ``upper``
        (nats/token), ``extrapolated``.
    """
    points = _points(fit, runs)
    curves = _curves(fit, points)
    with nullcontext() if ax is not None else context():
        ax = (
            new_figure(venue, aspect=0.5 if WIDTHS_IN.get(venue, NARROW_IN) >= NARROW_IN else 0.8).add_subplot()
            if ax is None
            else ax
        )
        _paint(fit, ax, points, curves)
    return ax, pd.concat([points, curves], ignore_index=True)


def _points(fit: Any, runs: pd.DataFrame) -> pd.DataFrame:
    fine = runs[runs["status"] == "ok"] if "status" in runs else runs
    columns = {fit.settings[role]: role for role in ("params", "tokens", "loss")}
    points: pd.DataFrame = fine[list(columns)].rename(columns=columns).astype(float)
    return points.assign(series="run", extrapolated=False)


def _curve_sizes(points: pd.DataFrame) -> NDArray[np.float64]:
    """Return the sizes of the runs, or as many as there are colours, evenly spread, where there are more."""
    sizes = np.unique(points["params"])
    if len(sizes) <= len(COLOURS):
        return sizes
    edges = np.geomspace(sizes[0], sizes[-1], len(COLOURS) + 1)
    return np.asarray(np.sqrt(edges[:-1] * edges[1:]))


def _nearest(params: pd.Series, sizes: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.asarray(np.abs(np.log(params.to_numpy())[:, None] - np.log(sizes)).argmin(axis=1))


def _curves(fit: Any, points: pd.DataFrame) -> pd.DataFrame:
    """Sample the law at each size over all tokens and a little beyond; inside is where that size has runs."""
    sizes = _curve_sizes(points)
    nearest = _nearest(points["params"], sizes)
    span = np.geomspace(points["tokens"].min() / _BEYOND, points["tokens"].max() * _BEYOND, 120)
    parts = []
    for i, size in enumerate(sizes):
        seen = points["tokens"][nearest == i]
        # the solid part ends exactly at the runs
        grid = np.unique(np.append(span, [seen.min(), seen.max()] if len(seen) else []))
        outside = (grid < seen.min()) | (grid > seen.max()) if len(seen) else np.ones(len(grid), dtype=bool)
        parts.append(fit.predict(size, grid).assign(series="fit", extrapolated=outside))
    curves: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return curves


def _paint(fit: Any, ax: Axes, points: pd.DataFrame, curves: pd.DataFrame) -> None:
    sizes = np.unique(curves["params"])
    nearest = _nearest(points["params"], sizes)
    for i, size in enumerate(sizes):
        curve, mine = curves[curves["params"] == size], points[nearest == i]
        inside = curve[~curve["extrapolated"]]
        ax.fill_between(curve["tokens"], curve["lower"], curve["upper"], color=COLOURS[i], alpha=0.2, linewidth=0)
        ax.plot(curve["tokens"], curve["loss"], color=COLOURS[i], linestyle=(0, (3, 2)), linewidth=0.8)
        ax.plot(inside["tokens"], inside["loss"], color=COLOURS[i])
        ax.plot(
            mine["tokens"],
            mine["loss"],
            linestyle="none",
            marker=MARKERS[i],
            color=COLOURS[i],
            markersize=3,
            markeredgewidth=0,
            alpha=0.7,
        )
    si_log_axis(ax.xaxis, float(curves["tokens"].min()), float(curves["tokens"].max()))
    low, high = float(points["loss"].min()), float(points["loss"].max())
    ax.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
    ax.set(xlabel="training tokens $D$ (tokens)", ylabel="validation loss $L$ (nats/token)")
    _label_curves(ax, curves, exact=len(sizes) == len(np.unique(points["params"])))
    note(ax, _remark(fit, banded=bool(curves["lower"].notna().any())))


def _label_curves(ax: Axes, curves: pd.DataFrame, *, exact: bool) -> None:
    """Name each curve at its right end, moved apart where two ends are close."""
    ends = curves.groupby("params").last()
    low, high = ax.get_ylim()
    heights = ends["loss"].clip(low, high).to_numpy().copy()
    order = np.argsort(heights)
    for below, above in zip(order[:-1], order[1:], strict=True):
        heights[above] = max(heights[above], heights[below] + _LABEL_GAP * (high - low))
    for i, size in enumerate(ends.index):
        ax.annotate(
            f"$N$ {'=' if exact else chr(0x2248)} {si(float(size)) if exact else si(float(f'{size:.2g}'))}",
            (ends["tokens"].iloc[i], heights[i]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=NOTE_PT,
            color=COLOURS[i],
            annotation_clip=False,
        )


def _remark(fit: Any, *, banded: bool) -> str:
    formula = r"$E + A/N^\alpha + B/D^\beta$" if fit.form.name == "chinchilla" else fit.formula
    lines = [f"line: {formula}, dashed outside the runs"]
    counted = f"; diverged, not drawn: {fit.counts.n_diverged}" if fit.counts.n_diverged else ""
    lines.append((f"band: {100 * fit.level:g} % of the mean" if banded else "no band") + counted)
    if fit.unidentified:
        names = {"alpha": r"$\alpha$", "beta": r"$\beta$"}
        lines.append(f"not identified: {', '.join(names.get(symbol, f'${symbol}$') for symbol in fit.unidentified)}")
    return "\n".join(lines)

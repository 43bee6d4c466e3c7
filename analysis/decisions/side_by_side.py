"""Fits of one law on one table, such as those of two texts, two machines or two grids."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.fitting.result import FitResult
from curselab.errors import InputError

BRIEF: Mapping[str, Sequence[str]] = {
    "capacity_gap": ("arm", "student", "optimum", "lower", "upper", "ratio", "status"),
    "learning_rate": ("size", "chosen", "optimum", "lower", "upper", "cost_percent", "status"),
    "depth": ("scheme", "depth", "loss", "loss_lower", "loss_upper", "growth"),
    "multilinguality": ("language", "mixture", "params", "tokens", "gain", "lower", "upper", "verdict"),
    "stability_gap": ("new", "arm", "depth", "depth_lower", "depth_upper", "verdict"),
}
"""Columns of ``frame()`` that answer the law's question."""


def side_by_side(fits: Mapping[str, Any]) -> pd.DataFrame:
    """Put the answers of several fits under one another, equal things next to each other.

    Parameters
    ----------
    fits : mapping
        Label -> result of one law; fits of the loss are of one form.

    Returns
    -------
    pandas.DataFrame
        The law's ``frame()`` with a column ``fit``: of parametric laws a row a symbol and fit, of others a row a fit and
        setting. Intervals that overlap do not show that two fits agree: see ``compare_systems`` for runs in pairs.

    Raises
    ------
    InputError
        The fits are of several laws, or of several forms of the loss.
    """
    kinds = {label: getattr(fit, "form", fit).name if fit.law == "scaling" else fit.law for label, fit in fits.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{label} of {kind}" for label, kind in kinds.items())
        raise InputError(f"compare: fits of one law are needed, these are {told}")
    table: pd.DataFrame = pd.concat([fit.frame().assign(fit=label) for label, fit in fits.items()], ignore_index=True)
    first = ["fit"]
    if all(isinstance(fit, FitResult) for fit in fits.values()):
        order = pd.Categorical(table["symbol"], categories=list(dict.fromkeys(table["symbol"])), ordered=True)
        table = table.assign(symbol=order).sort_values("symbol", kind="stable", ignore_index=True)
        table, first = table.astype({"symbol": "str"}), ["symbol", "unit", "fit"]
    return table[[*first, *(name for name in table if name not in first)]]

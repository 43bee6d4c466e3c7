"""Printed averages against the mean of their own columns: published tables are recomputed, never copied.

Guo et al. (2024), Efficient Continual Pre-training by Mitigating the Stability Gap, arXiv:2406.14833 v2, print averages of
four tasks, some of which were carried over from averages of other tasks. The rows stand in
results/published/stability_gap_tables.csv.
"""

import pandas as pd

from analysis.columns import require_columns
from curselab.errors import InputError

ROUNDING = 0.1
"""Percentage points: half a digit of the printed average and half a digit of its columns."""


def recompute_averages(scores: pd.DataFrame, *, average: str = "average_printed", tolerance: float = ROUNDING) -> pd.DataFrame:
    """Compare each printed average with the mean of its row.

    Parameters
    ----------
    scores : pandas.DataFrame
        One row a number: ``table``, ``row``, ``metric``, ``value``.
    average : str
        The ``metric`` that is the printed average; all others of a row are averaged.
    tolerance : float
        Largest difference that rounding makes, in the unit of the values.

    Returns
    -------
    pandas.DataFrame
        One row a printed average: ``table``, ``row``, ``n_columns``, ``printed``, ``recomputed``, ``difference`` (printed
        less recomputed) and ``disagrees``. Rows without a printed average are left out.

    Raises
    ------
    InputError
        A column is missing, or a row prints an average of nothing, or two.
    """
    require_columns(scores, "table", "row", "metric", "value")
    printed = scores[scores["metric"] == average]
    if printed.empty:
        raise InputError(f"average: {average!r} was given, no row has this metric")
    if printed.duplicated(["table", "row"]).any():
        raise InputError(f"scores: a row has two values of {average!r}, one is needed")
    keys = ["table", "row"]
    columns = scores[scores["metric"] != average].groupby(keys, sort=False)["value"].agg(["mean", "size"])
    joined = printed.set_index(keys)[["value"]].join(columns)
    if joined["size"].isna().any():
        raise InputError(f"scores: {joined.index[joined['size'].isna()][0]} has an average and no columns")
    difference = joined["value"] - joined["mean"]
    return pd.DataFrame(
        {
            "n_columns": joined["size"].astype(int),
            "printed": joined["value"],
            "recomputed": joined["mean"],
            "difference": difference,
            "disagrees": difference.abs() > tolerance,
        }
    ).reset_index()

"""Published numbers on the curse of depth: what LayerNorm Scaling was worth, and how use and variance grow with L.

Overlays, not truths. The rows stand in ``results/published/depth.csv``: status is ``ok``, ``diverged``, ``read_off`` (from a
figure) or ``bound``, trust that of :mod:`analysis.laws.published`. Sources: Sun et al. (2025), arXiv:2502.05795, one seed and
one learning rate a size; ProRes, arXiv:2603.05369, which tuned the rate of every scheme and finds about half the gain; Mix-LN,
arXiv:2412.13795; Sparsity and the Curse of Depth, arXiv:2603.15389, for the sweep over depths; a replication at 130M (issue 5
of the released code).

Known defects: the gain of DeepNorm is inverted in the code of two of the studies (column ``note``), so its divergence there
says nothing about DeepNorm; the released evaluation understates every loss by a tenth of a percent or more.
"""

import numpy as np
import pandas as pd

from analysis.fitting.seeds import line
from curselab.contract import CONTRACT

PUBLISHED = CONTRACT.parent / "published" / "depth.csv"

_GROWN = {
    "useful blocks": ("useful_share", True),
    "last variance, peak of training": ("last_variance_peak", False),
    "last variance, end of training": ("last_variance_end", False),
}
"""Rows of a quantity over depths, and whether they are shares of L."""


def read_published() -> pd.DataFrame:
    """One row a published number, with its unit, status, trust and source."""
    return pd.read_csv(
        PUBLISHED,
        dtype={"layers": "Int64", "tokens": "Int64"},
        keep_default_na=False,
        na_values={"layers": [""], "tokens": [""]},
    )


def published_gaps(scheme: str = "lns", baseline: str = "pre") -> pd.DataFrame:
    """Loss of a scheme less that of the baseline, nats/token, wherever one table has both.

    Returns
    -------
    pandas.DataFrame
        Columns ``study``, ``table``, ``model``, ``layers``, ``gap``, ``status``, ``trust``, ``source``; the gap is NaN, and
        the status ``diverged``, where either side diverged.
    """
    rows = read_published()
    losses = rows[rows["unit"].isin(["perplexity", "nats/token"])]
    losses = losses.assign(loss=np.where(losses["unit"] == "perplexity", np.log(losses["value"]), losses["value"]))
    keys = ["study", "table", "model", "metric"]
    ours, theirs = (losses[losses["scheme"] == name] for name in (scheme, baseline))
    both = ours.merge(theirs[[*keys, "loss", "status"]], on=keys, suffixes=("", "_baseline"))
    diverged = (both["status"] == "diverged") | (both["status_baseline"] == "diverged")
    gap = (both["loss"] - both["loss_baseline"]).mask(diverged)
    both = both.assign(gap=gap, status=both["status"].mask(diverged, "diverged"))
    return both[[*keys[:3], "layers", "gap", "status", "trust", "source"]]


def published_exponents(level: float = 0.95) -> pd.DataFrame:
    """Exponents of L that the published sweeps over depths imply, with the intervals of a line through four logarithms.

    Returns
    -------
    pandas.DataFrame
        Columns ``quantity``, ``exponent``, ``lower``, ``upper`` and ``rss_ratio``: squares of ln left by an exponential of L
        over those left by the power; above 1 the power fits better.
    """
    rows, found = read_published(), []
    for quantity, (metric, share) in _GROWN.items():
        mine = rows[rows["metric"] == metric].sort_values("layers")
        L = mine["layers"].to_numpy(dtype=float)
        y = np.log(mine["value"].to_numpy(dtype=float) * (L if share else 1.0))
        exponent = line(np.log(L), y[None], level)
        left = [float(np.polyfit(x, y, 1, full=True)[1][0]) for x in (np.log(L), L)]
        found.append((quantity, exponent.value, exponent.lower, exponent.upper, left[1] / left[0]))
    return pd.DataFrame(found, columns=["quantity", "exponent", "lower", "upper", "rss_ratio"])

r"""Published numbers on prepacking: the law of its speed-up in the number of bins, and what it says of six data sets.

.. math:: S = 1 / (c_0 + c_1\, r / k)

with r bins for k prompts: a fixed share :math:`c_0` of the time of padding, and a time in proportion to the rows. The points
are 313 batches of 16 prompts, read from the drawing coordinates of a figure of the released code of Zhao et al. (2024),
arXiv:2404.09529; the figure itself draws a line of S in r / k, which fits less well. The rows stand in
``results/published/prepacking.csv``.

Known defects: every published number is of eager attention, with logits for every token, on both sides; no lengths are
published. The means and mean maxima of the six data sets follow from the figures under the assumption that time is in
proportion to tokens and that the padding ratio at 16 prompts is no less than the speed-up there: the means are upper bounds,
so what is predicted from them is too low.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from analysis.fitting.result import Note, check_level
from analysis.laws.published import Coefficient, outside
from curselab.contract import CONTRACT
from trainer.packing import pack
from trainer.prompt_lengths import DATA_SETS

PUBLISHED = CONTRACT.parent / "published" / "prepacking.csv"

NAMES = {
    "Wiki256": "wiki256",
    "Wiki512": "wiki512",
    "MMLU": "mmlu",
    "Alpaca": "alpaca",
    "SamSum": "samsum",
    "Anthropic RLHF": "anthropic_rlhf",
}
_MEDIAN = 1000.0  # only ratios of lengths matter


@dataclass(frozen=True, slots=True, kw_only=True)
class BinsLaw:
    """Speed-up of prepacking over padding from bins a prompt, fitted to the published batches."""

    coefficients: tuple[Coefficient, Coefficient]
    """c0 and c1, with their intervals."""
    n: int
    """Batches."""
    set_aside: int
    """Those of them that lie so far off that they have no weight."""
    r_squared: float
    """Share of the variance of S that is explained, those left out."""
    within: tuple[float, float]
    """Smallest and largest r / k."""

    def speedup(self, bins_a_prompt: ArrayLike) -> NDArray[np.float64]:
        """S for r / k, ``(n,)``."""
        c0, c1 = (coefficient.value for coefficient in self.coefficients)
        return np.asarray(1 / (c0 + c1 * np.asarray(bins_a_prompt, dtype=float)))

    def notes(self, bins_a_prompt: float) -> tuple[Note, ...]:
        """Say whether r / k lies outside the batches that were fitted."""
        return outside({"r / k": (bins_a_prompt, self.within)})


def read_published() -> pd.DataFrame:
    """One row a published number, with its unit, trust and source."""
    return pd.read_csv(
        PUBLISHED, dtype={"batch": "Int64"}, keep_default_na=False, na_values={"batch": [""], "x": [""], "sd": [""]}
    )


def published_points() -> pd.DataFrame:
    """Columns ``bins_a_prompt`` and ``speedup`` of the 313 batches."""
    rows = read_published()
    rows = rows[rows["quantity"] == "prefill_speedup_by_bins"]
    return rows[["x", "value"]].set_axis(["bins_a_prompt", "speedup"], axis=1).reset_index(drop=True)


def fit_published(level: float = 0.95) -> BinsLaw:
    """Fit the law to the published batches, 1 / S against r / k by Tukey's biweight, which gives outliers no weight.

    Parameters
    ----------
    level : float
        Of the intervals, which are asymptotic.
    """
    import statsmodels.api as sm

    points, level = published_points(), check_level(level)
    x, S = (points[name].to_numpy(dtype=float) for name in ("bins_a_prompt", "speedup"))
    fitted = sm.RLM(1 / S, sm.add_constant(x), M=sm.robust.norms.TukeyBiweight()).fit()
    ends = fitted.conf_int(alpha=1 - level)
    c0, c1 = (
        Coefficient(symbol, float(value), "1", float(low), float(high))
        for symbol, value, (low, high) in zip(("c0", "c1"), fitted.params, ends, strict=True)
    )
    kept = fitted.weights > 0.01
    resid = (S - 1 / (c0.value + c1.value * x))[kept]
    return BinsLaw(
        coefficients=(c0, c1),
        n=len(S),
        set_aside=int((~kept).sum()),
        r_squared=float(1 - resid.var() / S[kept].var()),
        within=(float(x.min()), float(x.max())),
    )


def bound_chain(lengths: Sequence[int]) -> tuple[float, float]:
    """Bounds k / r and k m / L of a batch of prompts: prepacking gains at most the first, which is at most the second."""
    longest = max(lengths)
    return len(lengths) / len(pack(lengths, longest)), len(lengths) * longest / sum(lengths)


def compare_data_sets(*, draws: int = 200, seed: int = 0) -> pd.DataFrame:
    """Published speed-ups of prepacking beside what the law says of lognormal stand-ins for their data sets.

    Parameters
    ----------
    draws : int
        Batches a data set and number of prompts.
    seed : int
        Of their lengths.

    Returns
    -------
    pandas.DataFrame
        One row a data set, number of prompts and model: ``dataset``, ``batch``, ``model``, ``published``; ``implied``, the
        prediction from the implied mean and mean longest of 16, with its ``k_over_r`` and ``padding_ratio``; ``calibrated``,
        that of a lognormal whose spread gives the published speed-up at 16 prompts, so that the other numbers of prompts test
        it; and the difference of each from the published in percent of it.
    """
    law, rows = fit_published(), read_published()
    rows = rows[rows["quantity"] == "prefill_speedup"]
    found = []
    for number, (dataset, part) in enumerate(rows.groupby("dataset")):
        normal = {k: np.random.default_rng([seed, number, k]).standard_normal((draws, k)) for k in sorted(set(part["batch"]))}
        median, sigma = DATA_SETS[NAMES[str(dataset)]]
        at_16 = float(part.loc[part["batch"] == 16, "value"].mean())
        spread = _spread_for(at_16, law, normal[16])
        for row in part.to_dict("records"):
            z = normal[row["batch"]]
            implied, *chain = _predict(law, median, sigma, z)
            calibrated = _predict(law, _MEDIAN, spread, z)[0]
            found.append(
                {
                    "dataset": dataset,
                    "batch": int(row["batch"]),
                    "model": row["model"],
                    "published": row["value"],
                    "implied": implied,
                    "k_over_r": chain[0],
                    "padding_ratio": chain[1],
                    "calibrated": calibrated,
                    "implied_difference_percent": 100 * (implied / row["value"] - 1),
                    "calibrated_difference_percent": 100 * (calibrated / row["value"] - 1),
                }
            )
    return pd.DataFrame(found).sort_values(["dataset", "batch", "model"], ignore_index=True)


def _predict(law: BinsLaw, median: float, sigma: float, z: NDArray[np.float64]) -> tuple[float, float, float]:
    """Speed-up, k / r and k m / L over batches of lognormal lengths, each the ratio of what is summed over batches."""
    lengths = np.maximum(np.rint(median * np.exp(sigma * z)), 1).astype(int)
    padded = lengths.max(axis=1).astype(float)  # a prompt
    packed = 1 / np.array([bound_chain(batch)[0] for batch in lengths.tolist()])
    total = padded.sum()
    return (
        float(total / (padded / law.speedup(packed)).sum()),
        float(total / (padded * packed).sum()),
        float(total / lengths.mean(axis=1).sum()),
    )


def _spread_for(speedup: float, law: BinsLaw, z: NDArray[np.float64]) -> float:
    """Standard deviation of ln(length) with which a speed-up is predicted."""
    return float(brentq(lambda sigma: _predict(law, _MEDIAN, sigma, z)[0] - speedup, 0.05, 3.0, xtol=1e-3))

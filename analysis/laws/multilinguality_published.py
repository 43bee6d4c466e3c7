"""Published gains of added languages: overlays, not truths.

Chang et al. (2024), arXiv:2311.09205, sections 6.1 and 6.2, one run a cell, over the language's own curve alone: each of the
rows of ``results/published/multilinguality.csv`` that are read here has its place there. Low is 1M target tokens of a BPE
vocabulary, high 1B. Only the ends are printed, so between them stands no more than a bracket of the crossover, at ratios of
added to target tokens of 100 and more at the low end and of 1 at the high one.
"""

import re

import numpy as np
import pandas as pd

from curselab.contract import CONTRACT

PUBLISHED = CONTRACT.parent / "published" / "multilinguality.csv"

_GAIN = re.compile(r"relative_tokens_(?P<target>low|high)_(?P<size>tiny|small)_(?P<of>\w+)")


def published_gains() -> pd.DataFrame:
    """Gains over the monolingual curve, log2 of target data.

    Returns
    -------
    pandas.DataFrame
        ``size`` (name), ``params`` (non-embedding, derived from the printed shape), ``tokens`` of the target, ``mixture``
        (``similar``, ``dissimilar`` or empty), ``gain``, ``trust``, ``source``.
    """
    rows = pd.read_csv(PUBLISHED).query("law == 'chang_2023'")
    value = dict(zip(rows["symbol"], rows["value"].astype(float), strict=True))
    found = []
    for row in rows.to_dict("records"):
        match = _GAIN.fullmatch(row["symbol"])
        if match is not None:
            found.append(
                {
                    "size": match["size"],
                    "params": value[f"non_embedding_params_{match['size']}"],
                    "tokens": value[f"tokens_{match['target']}"],
                    "mixture": match["of"].removesuffix("_best") if match["of"].endswith("_best") else "",
                    "gain": float(np.log2(1 + row["value"])),
                    "trust": row["trust"],
                    "source": row["source"],
                }
            )
    return pd.DataFrame(found)


def published_brackets() -> pd.DataFrame:
    """Target tokens between which the gain changes its sign, by size: ``size``, ``params``, ``helps`` and ``hurts``."""
    gains = published_gains()
    helps = gains[gains["gain"] > 0].groupby(["size", "params"])["tokens"].max()
    hurts = gains[gains["gain"] < 0].groupby(["size", "params"])["tokens"].min()
    return pd.concat([helps.rename("helps"), hurts.rename("hurts")], axis=1).dropna().reset_index()


def published_contrast() -> pd.DataFrame:
    """Gain of similar less dissimilar languages, where both are printed: ``size``, ``params``, ``tokens``, ``value``."""
    gains = published_gains()
    wide = gains[gains["mixture"] != ""].pivot_table(index=["size", "params", "tokens"], columns="mixture", values="gain")
    return (wide["similar"] - wide["dissimilar"]).dropna().rename("value").reset_index()

"""How alike languages are, and which sets of them are the most and the least alike to a target.

Rule of Chang et al. (2024), arXiv:2311.09205, section 5, as their code has it: each measure (cosine of syntactic features,
cosine of geographic ones, ln of shared vocabulary plus one) is standardised over all pairs of different languages, a missing
value is the mean, and a pair's similarity is the plain mean of the measures. Tables of pairs derived from lang2vec are under
CC BY-SA 4.0 (URIEL; Littell et al. 2017, EACL): keep that notice with them.

Known failure: measures are confounded. Shared vocabulary is nothing between two scripts, so it stands in for script, and
syntax and geography go together.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import require_columns
from curselab.errors import InputError

Vector = NDArray[np.float64]

PAIR = ["lang_a", "lang_b"]
_TOP = 3000
_ALIKE = ("family", "genus", "script")


def trigram_overlap(texts: Mapping[str, str], *, top: int = _TOP) -> pd.DataFrame:
    """Count the most frequent character trigrams that two texts share.

    Parameters
    ----------
    texts : mapping
        Text by language; texts of like content and length give a like measure.
    top : int
        Most frequent trigrams of each text.

    Returns
    -------
    pandas.DataFrame
        ``lang_a``, ``lang_b``, ``shared_trigrams`` (0 to ``top``) and ``ln_shared_trigrams`` (of the count plus one), one row
        a pair.
    """
    if len(texts) < 2:
        raise InputError(f"texts: {len(texts)} was given, 2 languages or more are needed")
    frequent = {}
    for language, text in texts.items():
        counts = Counter(text[i : i + 3] for i in range(len(text) - 2))
        # ties are broken by the trigram, so that the order of the text does not matter
        frequent[language] = {gram for gram, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]}
    rows = [(a, b, len(frequent[a] & frequent[b])) for a, b in combinations(sorted(frequent), 2)]
    frame = pd.DataFrame(rows, columns=[*PAIR, "shared_trigrams"])
    return frame.assign(ln_shared_trigrams=np.log1p(frame["shared_trigrams"]))


def alike(languages: pd.DataFrame, *, code: str = "code") -> pd.DataFrame:
    """Compare the family, genus and script of languages: 1 where both have the same, 0 where not, NaN where one has none.

    Parameters
    ----------
    languages : pandas.DataFrame
        One row a language, such as a ``languages.csv``: its code and any of ``family``, ``genus`` and ``script``.
    code : str
        Column of the codes.

    Returns
    -------
    pandas.DataFrame
        ``lang_a``, ``lang_b`` and ``same_family``, ``same_genus``, ``same_script``, one row a pair.
    """
    require_columns(languages, code)
    known = [name for name in _ALIKE if name in languages.columns]
    if not known:
        raise InputError(f"languages: one of the columns {', '.join(_ALIKE)} is needed")
    table = languages.sort_values(code)
    a, b = (np.array(side) for side in zip(*combinations(range(len(table)), 2), strict=True))
    pairs = {"lang_a": table[code].to_numpy()[a], "lang_b": table[code].to_numpy()[b]}
    for name in known:
        value, there = table[name].to_numpy(dtype=object), table[name].notna().to_numpy()
        pairs[f"same_{name}"] = np.where(there[a] & there[b], (value[a] == value[b]).astype(float), np.nan)
    return pd.DataFrame(pairs)


def similarity(pairs: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Standardise measures over all pairs and average them, by the paper's rule.

    Parameters
    ----------
    pairs : pandas.DataFrame
        One row a pair: ``lang_a``, ``lang_b`` and the measures, in either order of a pair.
    measures : sequence of str
        Columns; a larger value is more alike.

    Returns
    -------
    pandas.DataFrame
        Square, by language; the diagonal is NaN.
    """
    require_columns(pairs, *PAIR, *measures)
    if not len(measures):
        raise InputError("measures: none was given, one column or more is needed")
    names = sorted(set(pairs["lang_a"]) | set(pairs["lang_b"]))
    total = np.zeros((len(names), len(names)))
    for measure in measures:
        values = pd.to_numeric(pairs[measure], errors="coerce").to_numpy(dtype=float)
        spread = float(np.nanstd(values))
        z = np.zeros(len(values)) if spread == 0 else (values - np.nanmean(values)) / spread
        matrix = np.zeros_like(total)
        a, b = (pd.Categorical(pairs[column], names).codes for column in PAIR)
        matrix[a, b] = matrix[b, a] = np.nan_to_num(z, nan=0.0)
        total += matrix / len(measures)
    np.fill_diagonal(total, np.nan)
    return pd.DataFrame(total, index=names, columns=names)


def sets_of(matrix: pd.DataFrame, target: str, n: int, *, among: Sequence[str] | None = None) -> tuple[list[str], list[str]]:
    """Choose the languages to add: the ``n`` most alike to a target, and the ``n`` least, the extreme first.

    Raises
    ------
    InputError
        The target is unknown, or there are fewer than ``n`` others.
    """
    if target not in matrix.index:
        raise InputError(f"target: {target!r} was given (known: {', '.join(map(str, matrix.index))})")
    others = pd.Series(matrix.loc[target]).drop(target)
    if among is not None:
        others = others[others.index.isin(list(among))]
    if not 0 < n <= len(others):
        raise InputError(f"n: {n!r} was given, 1 to {len(others)} languages can be chosen")
    ranked = sorted(others.index, key=lambda name: (float(others[name]), str(name)))
    return ranked[::-1][:n], ranked[:n]


def explained(gains: pd.Series, predictors: pd.DataFrame) -> pd.DataFrame:
    """Share of the variance of gains over languages that each subset of predictors explains, as in the paper.

    Parameters
    ----------
    gains : pandas.Series
        By language (or language and set).
    predictors : pandas.DataFrame
        Mean similarity to the added set, a column a measure, with the index of ``gains``.

    Returns
    -------
    pandas.DataFrame
        ``predictors`` (joined by +), ``r2``, ``adjusted_r2`` of least squares, and ``r`` (Pearson's; NaN for several).
    """
    both = predictors.join(gains.rename("gain"), how="inner").dropna()
    n = len(both)
    if n < len(predictors.columns) + 2:
        raise InputError(f"gains: {n} complete rows were given, {len(predictors.columns) + 2} or more are needed")
    y = both["gain"].to_numpy(dtype=float)
    total = float(np.sum((y - y.mean()) ** 2))
    rows = []
    for size in range(1, len(predictors.columns) + 1):
        for subset in combinations(predictors.columns, size):
            X = np.column_stack([np.ones(n), both[list(subset)].to_numpy(dtype=float)])
            left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
            r2 = 1 - float(left @ left) / total
            r = float(np.corrcoef(X[:, 1], y)[0, 1]) if size == 1 else float("nan")
            rows.append(("+".join(map(str, subset)), r2, 1 - (1 - r2) * (n - 1) / (n - size - 1), r))
    return pd.DataFrame(rows, columns=["predictors", "r2", "adjusted_r2", "r"])

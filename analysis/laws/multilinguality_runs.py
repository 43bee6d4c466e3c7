"""The sweep ``multilinguality`` in the columns of the contract, as a table of arms: who was trained on how much of what.

====================  ==============================================================================
stage                 its runs are
====================  ==============================================================================
matched               the target alone, with more passes over its own text, at the compute of a mixture
capacity              of the arm that adds the same languages to this target, at other sizes
any other             an arm of the stage's name, such as similar, dissimilar or null_language
====================  ==============================================================================

A run of the target alone is monolingual in every stage but ``matched``. Added tokens are the training tokens that are not of
the target; a share of whole tokens may be off by one, so runs of one size, of as much target data and as many tokens in all
have added the same: the median.
"""

import re

import numpy as np
import pandas as pd

from analysis.columns import require_columns
from curselab.errors import InputError

MATCHED = "matched"
"""Name of the arm of a target with more passes over its own text, at the compute of as many added tokens."""
CAPACITY = "capacity"
SIMILAR, DISSIMILAR, NULL = ARMS = ("similar", "dissimilar", "null_language")
"""Arms of added languages, the one of which most is expected first."""
MEASURES = ("syntax_similarity", "lexical_similarity")
"""Likeness of the added languages to the target, where it is known exactly: of artificial languages."""
ENTROPY = "entropy"
ALL = "all"  # as the contract calls all domains together

_NEEDED = ("stage", "domain", "domain_tokens", "domain_unique_tokens", "mixture", "tokens", "params_non_embedding", "seed")
_PART = re.compile(r"(?P<domain>.+?) [\d.e+-]+(?: of \d+)?(?: [a-z_]+)?")
_KNOWN = {"domain_entropy_bits_per_byte": ENTROPY, "added_syntax_distance": MEASURES[0], "added_lexical_jaccard": MEASURES[1]}
_SAME = ["params", "tokens", "total"]  # runs that have added the same


def read_arms(runs: pd.DataFrame, *, loss: str = "loss_bits_per_byte") -> pd.DataFrame:
    """Name the target, the arm and the added tokens of every run.

    Parameters
    ----------
    runs : pandas.DataFrame
        Table ``runs`` of the sweep; runs without a loss are kept.
    loss : str
        Its column of losses. Bits a byte do not depend on how a vocabulary cuts the text.

    Returns
    -------
    pandas.DataFrame
        ``language``, ``mixture`` (the arm), ``params``, ``tokens`` (different ones of the target), ``seen`` (with repeats),
        ``added``, ``others`` (added languages, joined by +), ``seed``, ``status``, ``loss``; in the order of ``runs``. Of
        artificial languages their entropy rate and likeness, too (:data:`ENTROPY`, :data:`MEASURES`).

    Raises
    ------
    InputError
        A column is missing, a loss is of all domains together, or a matched run has trained on no more than a monolingual one.
    """
    require_columns(runs, *_NEEDED, loss, "status")
    together = (runs["domain"] == ALL).to_numpy(dtype=bool)
    if together.any():
        row = runs.index[int(together.argmax())]
        raise InputError(f"data: domain is {ALL} in row {row}, the loss of one target is needed")
    arms = pd.DataFrame(
        {
            "language": runs["domain"].astype(str).to_numpy(),
            "mixture": runs["stage"].astype(str).to_numpy(),
            "params": runs["params_non_embedding"].to_numpy(dtype=float),
            "tokens": runs["domain_unique_tokens"].to_numpy(dtype=float),
            "seen": runs["domain_tokens"].to_numpy(dtype=float),
            "total": runs["tokens"].to_numpy(dtype=float),
            "others": [_others(mixture, target) for mixture, target in zip(runs["mixture"], runs["domain"], strict=True)],
            "seed": runs["seed"].to_numpy(),
            "status": runs["status"].to_numpy(),
            "loss": runs[loss].to_numpy(dtype=float, na_value=np.nan),
        }
    )
    arms = arms.assign(mixture=_arm(arms), added=_added(arms)).drop(columns="total")
    known = {ours: runs[name].to_numpy(dtype=float, na_value=np.nan) for name, ours in _KNOWN.items() if name in runs.columns}
    if MEASURES[0] in known:
        known[MEASURES[0]] = 1 - known[MEASURES[0]]
    return arms.assign(**{name: values for name, values in known.items() if np.isfinite(values).any()})


def _others(mixture: object, target: str) -> str:
    """Domains of a mixture, such as ``deu 0.25 of 65536, eng 0.75``, without the target."""
    if not isinstance(mixture, str):
        return ""
    parts = [_PART.fullmatch(part) for part in mixture.split(", ")]
    if not all(parts):
        raise InputError(f"data: mixture is {mixture!r}, domains and shares such as 'deu 0.25, eng 0.75' are needed")
    return "+".join(sorted(part["domain"] for part in parts if part is not None and part["domain"] != target))


def _arm(arms: pd.DataFrame) -> list[str]:
    """Stage, or for capacity the stage that adds the same languages to the same target."""
    named = arms[(arms["others"] != "") & (arms["mixture"] != CAPACITY)]
    known = dict(zip(zip(named["language"], named["others"], strict=True), named["mixture"], strict=True))
    rows = zip(arms["mixture"], arms["language"], arms["others"], strict=True)
    return [known.get((language, others), stage) if stage == CAPACITY else stage for stage, language, others in rows]


def _added(arms: pd.DataFrame) -> "pd.Series[float]":
    alone = arms["others"] == ""
    matched = alone & (arms["mixture"] == MATCHED)
    own = arms["total"] - arms["seen"]
    of_mixtures = own.where(~alone).groupby([arms[name] for name in _SAME]).transform("median")
    # where no mixture is as long, what was trained on beyond the monolingual runs
    cell = [arms[name] for name in ("language", "params", "tokens")]
    beyond = arms["total"] - arms["seen"].where(alone & ~matched).groupby(cell).transform("min")
    added = of_mixtures.where(~alone, of_mixtures.where(of_mixtures.notna(), beyond).where(matched, 0.0))
    bad = (matched & ~(added > 0)).to_numpy()
    if bad.any():
        row = arms.iloc[int(bad.argmax())]
        raise InputError(
            f"data: a matched run of {row['language']}, {row['params']:g} parameters and {row['tokens']:g} target tokens was"
            f" trained on {row['total']:g}, more than a monolingual run of the same are needed"
        )
    return added

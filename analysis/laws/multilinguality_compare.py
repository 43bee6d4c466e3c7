"""Forms of the help-then-hurt law compared by what they predict of cells that were left out, with the hold-outs of ATLAS.

==========  ==============================================================================
held out    cells
==========  ==============================================================================
random      a fifth, drawn at random
params      the largest size of model (three sizes or more are needed)
tokens      the largest size of target data (three or more)
compute     the fifth with the most FLOP, 6 N (D_seen + M)
mixture     each ratio of added to target tokens in turn
==========  ==============================================================================

Source: ATLAS, arXiv:2510.22037 v2, table 1, where plain Chinchilla (here ``flat``) has an R2 of -0.99 on held-out sizes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.laws.multilinguality_curse import FORMS, Form
from analysis.laws.multilinguality_law import Cells, FittedLaw, fit_law
from analysis.laws.multilinguality_table import ratio_levels

Vector = NDArray[np.float64]
_SHARE = 0.2
_FLOP = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """How one form predicts one hold-out of one mixture."""

    mixture: str
    form: Form
    held_out: str
    n: int
    """Cells that were predicted."""
    error: float
    """Root mean square of the error of ln L."""
    r2: float
    """Of ln L, around each language's mean of the cells that were left out."""


def compare_forms(cells: Cells, mixture: str, *, rng: np.random.Generator) -> list[HeldOut]:
    """Predict every hold-out with every form; one that cannot be made is left out."""
    found = []
    # a fold's optimum lies near that of all cells, from which it is searched
    whole = {form: fit_law(cells, form) for form in FORMS}
    for name, folds in _holdouts(cells, rng):
        for form in FORMS:
            left = [_errors(cells, fold, whole[form]) for fold in folds]
            error, seen, who = (np.concatenate(part) for part in zip(*left, strict=True))
            around = seen - (np.bincount(who, seen) / np.maximum(np.bincount(who), 1))[who]
            total = float(np.sum(around**2))
            found.append(
                HeldOut(
                    mixture=mixture,
                    form=form,
                    held_out=name,
                    n=len(error),
                    error=float(np.sqrt(np.mean(error**2))),
                    r2=1 - float(np.sum(error**2)) / total if total > 0 else float(-np.inf),
                )
            )
    return [row for row in found if np.isfinite(row.r2)]


def _errors(cells: Cells, fold: NDArray[np.bool_], whole: FittedLaw) -> tuple[Vector, Vector, NDArray[np.intp]]:
    """Errors of ln L, ln L and languages of the cells that are left out."""
    fit = fit_law(cells.take(~fold), whole.form, start=whole)
    out = cells.take(fold)
    return fit.log_loss(out) - out.log_loss, out.log_loss, out.language


def _holdouts(cells: Cells, rng: np.random.Generator) -> Iterator[tuple[str, list[NDArray[np.bool_]]]]:
    """Folds of each hold-out in which every language keeps three cells or more."""
    n = len(cells.params)
    compute = _FLOP * cells.params * (cells.seen + cells.added)
    ratio = np.zeros(n)
    ratio[cells.added > 0] = ratio_levels(cells.added[cells.added > 0], cells.tokens[cells.added > 0])
    folds: dict[str, list[NDArray[np.bool_]]] = {"random": [rng.permutation(n) < _SHARE * n]}
    for name, values in (("params", cells.params), ("tokens", cells.tokens)):
        folds[name] = [values == values.max()] if len(np.unique(values)) > 2 else []
    folds["compute"] = [compute > np.quantile(compute, 1 - _SHARE)]
    mixed = np.unique(ratio[ratio > 0])
    folds["mixture"] = [ratio == one for one in mixed] if len(mixed) > 1 else []
    for name, masks in folds.items():
        kept = [mask for mask in masks if mask.any() and _enough(cells, mask)]
        if kept:
            yield name, kept


def _enough(cells: Cells, fold: NDArray[np.bool_]) -> bool:
    n_languages = int(cells.language.max()) + 1
    left = np.bincount(cells.language[~fold], minlength=n_languages)
    alone = np.bincount(cells.language[~fold & (cells.added == 0)], minlength=n_languages)
    return bool((left >= 3).all() and (alone >= 1).all() and (cells.added[~fold] > 0).any())

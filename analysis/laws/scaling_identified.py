"""Which parameters of :mod:`analysis.laws.scaling` the runs determine."""

import numpy as np
from numpy.typing import NDArray

from analysis.fitting.result import Convergence, Note

Vector = NDArray[np.float64]
SYMBOLS = ("E", "A", "B", "alpha", "beta")

_MIN_LEVELS = 3  # distinct sizes that one power term needs: two are met by any exponent
_EXPONENT_RANGE = (0.01, 3.0)
_MAX_RELATIVE_WIDTH = 2.0  # of an interval: about a relative standard error of one half
_ZERO_SHARE = 0.01  # of the smallest loss: an irreducible loss below it cannot be told from none


def judge(
    N: Vector, D: Vector, L: Vector, estimate: Vector, draws: Vector, convergence: Convergence, level: float
) -> tuple[set[str], list[Note]]:
    """Name the parameters that the data do not determine, and say why."""
    E, _, _, *exponents = estimate
    lost: set[str] = set()
    notes: list[Note] = []

    def lose(symbols: set[str], code: str, message: str) -> None:
        lost.update(symbols)
        notes.append(Note(code, message))

    terms = (("alpha", "A", "model sizes", N), ("beta", "B", "token counts", D))
    if not convergence.converged:
        lose(set(SYMBOLS), "not_converged", f"no start reached an optimum, gradient {convergence.gradient:.1e}")
    floor = _ZERO_SHARE * L.min()
    if floor > E:
        lose({"E"}, "irreducible_loss_at_zero", f"E is below {_ZERO_SHARE:.0%} of the smallest loss")
    for (exponent, factor, what, values), value in zip(terms, exponents, strict=True):
        levels = len(np.unique(values))
        if levels < _MIN_LEVELS:
            lose({exponent, factor, "E"}, "few_levels", f"{levels} {what}, {_MIN_LEVELS} are needed to identify {exponent}")
        if not _EXPONENT_RANGE[0] < value < _EXPONENT_RANGE[1]:
            lose({exponent, factor, "E"}, "exponent_at_bound", f"{exponent} = {value:.3g} is outside {_EXPONENT_RANGE}")
    if len(draws) < 2:
        notes.append(Note("no_intervals", "no resamples, so no standard errors and no intervals"))
    else:
        lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        if lower[0] < floor <= E:
            lose({"E"}, "interval_reaches_zero", f"the interval of E reaches zero, from {lower[0]:.3g} to {upper[0]:.3g}")
        for i, (exponent, factor, *_), value in zip((3, 4), terms, exponents, strict=True):
            if upper[i] - lower[i] > _MAX_RELATIVE_WIDTH * abs(value):
                lose({exponent, factor}, "wide_interval", f"{exponent} is only known from {lower[i]:.3g} to {upper[i]:.3g}")
    return lost, notes

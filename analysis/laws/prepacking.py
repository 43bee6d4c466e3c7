r"""Prepacking: how much faster a prefill is that wastes less on padding, from the lengths of the prompts alone.

.. math:: T = n + \psi\,e\,f + \varphi\,(b\,p_c + c\,p_m) + w\,q + \psi\,(g\,q + h\,s), \qquad
          S = T_{\text{padded left}} / T, \qquad
          \varphi = \frac{\text{FLOP of a pair}}{\text{FLOP of a token}}, \quad
          \psi = \frac{\text{layers}}{\text{FLOP of a token}}

==================  ====================================================================  =========
symbol              meaning                                                               unit
==================  ====================================================================  =========
:math:`S`           speed-up over a batch that is padded on the left under a mask         1
:math:`T`           time of a method, in times of one token in the matrices               1
:math:`n`           slots, pads included                                                  1
:math:`f`           bytes of a block's activations, in tensors of 32 MiB and more         bytes
:math:`p_c, p_m`    pairs of tokens in causal kernels, and under a dense mask             1
:math:`q, s`        forward passes, and attention kernels a layer                         1
:math:`e`           time of a byte that is fetched from the kernel anew                   FLOP/byte
:math:`b, c`        time of a FLOP of attention over that of one in the matrices          1
:math:`w`           what a forward pass costs in proportion to the weights that it reads  tokens
:math:`g, h`        what a forward pass, and a kernel of attention, costs a layer beside  MFLOP
==================  ====================================================================  =========

Source: the accounting is that of Zhao et al. (2024), arXiv:2404.09529, whose own predictor is a line in the number of bins
(:mod:`analysis.laws.prepacking_published`); the terms and their fit are ours. All methods are fitted together, in ln T, with a
level of its own for each batch, so no absolute time matters. Where nothing but slots counts, prepacking gains k / r (prompts
over bins), which is never more than the padding ratio k m / L, since bins as long as the longest prompt m hold L tokens at
least: S <= k / r <= k m / L. A stream without pads is not bound by it, because pairs of the longest prompt are paid once.

Valid within one machine, number of threads and precision. Known failures: matrices with few rows run at a lower rate than
large ones, which the law puts into the cost of a pass; caches make large calls slower than their FLOP say, of which only the
fetching of memory is a term; a GPU below saturation takes the same time for one token as for two hundred.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import positive, require_columns
from analysis.fitting.bootstrap import weights
from analysis.fitting.least_squares import Optimum, multistart
from analysis.fitting.result import Bootstrap, Counts, FitResult, Note, check_level, expanded_tail
from analysis.laws.prepacking_work import SYMBOLS, UNITS, WORK, shapes_of, terms
from curselab.errors import InputError

Vector = NDArray[np.float64]

BASELINE = "padded_left"
CELL = ("model", "distribution", "batch", "draw")
FORMULA = "T = n + psi e f + phi (b p_c + c p_m) + w q + psi (g q + h s)"
_STARTS = ((1.0, 1.0, 1.0, 1.0, 0.1, 0.01), (30.0, 4.0, 2.0, 100.0, 10.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """How well half of the distributions predicts the speed-ups of the other half, both ways round."""

    tested: tuple[str, ...]
    """Distributions of the first half that was left out; the second half is the others."""
    n: int
    """Speed-ups that were predicted."""
    median: float
    """Of the relative error |predicted / measured - 1|."""
    upper: float
    """Its 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepackingFit(FitResult):
    """Constants of a machine, and how well they predict what they have not seen."""

    held_out: HeldOut | None
    """None where there are fewer than four distributions."""

    @property
    def theta(self) -> Vector:
        """Constants ``(6,)``."""
        return np.array(self.estimate)

    def speedups(self, data: pd.DataFrame) -> pd.DataFrame:
        """Measured and predicted speed-ups of a table of times.

        Returns
        -------
        pandas.DataFrame
            One row a batch and method but the baseline: ``model``, ``distribution``, ``batch``, ``draw``, ``method``,
            ``padding_ratio``, ``measured``, ``predicted``, ``lower``, ``upper``; the interval is that of the prediction.
        """
        table = read_times(data)
        x = terms(table, shapes_of(table))
        draws = np.array(self.draws).reshape(-1, len(SYMBOLS))
        predicted = speedup(table, total(x, self.theta))
        spread = np.stack([speedup(table, total(x, draw)) for draw in draws]) if len(draws) > 1 else None
        ends = np.full((2, len(table)), np.nan) if spread is None else self.interval(spread, self.level)
        frame = table[[*CELL, "method"]].assign(
            padding_ratio=padding_ratio(table),
            measured=speedup(table, table["seconds"].to_numpy(dtype=float)),
            predicted=predicted,
            lower=ends[0],
            upper=ends[1],
        )
        return frame[frame["method"] != BASELINE].reset_index(drop=True)

    def summary(self) -> str:
        """Text for a terminal: constants, intervals, the error on held-out distributions, and every warning."""
        text = FitResult.summary(self)
        if self.held_out is None:
            return f"{text}\nheld out: four distributions or more are needed"
        h = self.held_out
        errors = f"{100 * h.median:.1f} % (median), {100 * h.upper:.1f} % (95th percentile)"
        return f"{text}\nheld out: {h.n} speed-ups, error {errors}"


def fit_prepacking(data: pd.DataFrame, *, bootstrap: int = 400, seed: int = 0, level: float = 0.95) -> PrepackingFit:
    """Fit the constants of a machine to times of several methods on the same batches.

    Parameters
    ----------
    data : pandas.DataFrame
        One row a batch and method, with ``model``, ``width``, ``depth``, ``ffn_width``, ``distribution``, ``batch``, ``draw``,
        ``method``, ``seconds``, ``real_tokens`` and the columns of ``analysis.laws.prepacking_work.WORK``. Each batch has
        ``padded_left``, the baseline of every speed-up, and another method.
    bootstrap : int
        Resamples of whole distributions; 0 gives no intervals.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals.

    Returns
    -------
    PrepackingFit
        A constant is not identified where no two methods differ in what it multiplies, or its interval begins at 0.

    Raises
    ------
    InputError
        A column is missing, a time is not positive, or a batch lacks the baseline or has nothing beside it.
    """
    level = check_level(level)
    if bootstrap < 0:
        raise InputError(f"bootstrap: {bootstrap!r} was given, 0 or more is needed")
    table = read_times(data)
    x, cells = terms(table, shapes_of(table)), cells_of(table)
    y = np.log(table["seconds"].to_numpy(dtype=float))
    theta, point = _solve(x, y, cells, np.ones(len(y)), _STARTS)
    names, groups = np.unique(table["distribution"].astype(str), return_inverse=True)
    rng = np.random.default_rng(seed)
    rows = weights("cluster", groups, resamples=bootstrap, rng=rng) if bootstrap and len(names) > 1 else np.empty((0, len(y)))
    ends = [_solve(x, y, cells, row, (theta,)) for row in rows]
    draws = np.array([found for found, optimum in ends if optimum.convergence.converged]).reshape(-1, len(SYMBOLS))
    lost = _unidentified(theta, draws, expanded_tail(level, len(names)))
    warnings = [Note("not_identified", f"{', '.join(lost)}: the batches do not tell it from 0")] if lost else []
    if len(names) < 2:
        warnings.append(Note("one_distribution", "intervals are over distributions, of which there is one"))
    return PrepackingFit(
        law="prepacking",
        formula=FORMULA,
        symbols=SYMBOLS,
        units=UNITS,
        estimate=tuple(theta.tolist()),
        draws=tuple(map(tuple, draws.tolist())),
        level=level,
        resid=tuple(_residual(x, y, cells, theta).tolist()),
        objective=point.objective,
        counts=Counts(n_runs=len(y), n_diverged=0, n_clusters=len(names), n_seeds=int(table["draw"].nunique())),
        convergence=point.convergence,
        bootstrap=Bootstrap(kind="cluster", resamples=len(rows), not_converged=len(rows) - len(draws)),
        status="not_identified" if lost else "ok",
        unidentified=lost,
        warnings=tuple(warnings),
        settings={"seed": seed, "baseline": BASELINE},
        held_out=_hold_out(table),
    )


def read_times(data: pd.DataFrame) -> pd.DataFrame:
    """Check a table of times, its rows in one order whatever the order in which they came."""
    require_columns(data, *CELL, "method", "width", "depth", "ffn_width", "real_tokens", *WORK)
    positive(data, "seconds")
    table = data.sort_values([*CELL, "method"], ignore_index=True)
    for key, cell in table.groupby(list(CELL), sort=False):
        if cell["method"].duplicated().any() or BASELINE not in set(cell["method"]) or len(cell) < 2:
            named = ", ".join(f"{name} {value}" for name, value in zip(CELL, key, strict=True))
            raise InputError(f"data: {named} needs {BASELINE} and another method, each once")
    return table


def total(x: tuple[Vector, Vector], theta: Vector) -> Vector:
    """Time of each row in tokens, ``(n,)``."""
    return np.asarray(x[0] + x[1] @ theta, dtype=float)


def cells_of(table: pd.DataFrame) -> NDArray[np.intp]:
    """Number of the batch of each row, ``(n,)``."""
    return np.asarray(table.groupby(list(CELL), sort=False).ngroup(), dtype=np.intp)


def speedup(table: pd.DataFrame, time: Vector) -> Vector:
    """Time of the baseline over that of each row, batch by batch, ``(n,)``."""
    cells, base = cells_of(table), (table["method"] == BASELINE).to_numpy()
    of_cell = np.empty(cells.max() + 1)
    of_cell[cells[base]] = time[base]
    return np.asarray(of_cell[cells] / time)


def padding_ratio(table: pd.DataFrame) -> Vector:
    """Slots of the baseline over real tokens, ``(n,)``."""
    slots, real = (table[name].to_numpy(dtype=float) for name in ("tokens", "real_tokens"))
    return np.asarray(speedup(table, slots) * slots / real)


def _residual(x: tuple[Vector, Vector], y: Vector, cells: NDArray[np.intp], theta: Vector) -> Vector:
    """Predicted minus observed ln T without the level of each batch, ``(n,)``."""
    return _centred((np.log(total(x, theta)) - y)[:, None], cells)[:, 0]


def _centred(values: Vector, cells: NDArray[np.intp]) -> Vector:
    """Columns ``(n, m)`` less their mean in each batch."""
    sums = np.zeros((cells.max() + 1, values.shape[1]))
    np.add.at(sums, cells, values)
    return np.asarray(values - (sums / np.bincount(cells)[:, None])[cells])


def _solve(
    x: tuple[Vector, Vector], y: Vector, cells: NDArray[np.intp], rows: Vector, starts: tuple[tuple[float, ...] | Vector, ...]
) -> tuple[Vector, Optimum]:
    """Least squares with constants of 0 or more: one that would be below is held at 0, and the others are found again."""
    root = np.sqrt(rows)
    free = np.ptp(_centred(x[1] / x[0][:, None], cells), axis=0) > 1e-9

    def full(theta: Vector) -> Vector:
        whole = np.zeros(len(SYMBOLS))
        whole[free] = theta
        return whole

    def residual(theta: Vector) -> Vector:
        return np.asarray(root * _residual(x, y, cells, full(theta)))

    def jacobian(theta: Vector) -> Vector:
        slopes = x[1][:, free] / total(x, full(theta))[:, None]
        return np.asarray(root[:, None] * _centred(slopes, cells))

    while True:
        begin = [np.maximum(np.asarray(start)[free], 1e-3) for start in starts]
        found = multistart(residual, jacobian, begin, bounds=(0.0, np.inf), tolerance=1e-12)
        low = found.theta < 1e-6
        if not low.any() or not free.any():
            return full(found.theta), found
        free[np.flatnonzero(free)[low]] = False
        if not free.any():
            return np.zeros(len(SYMBOLS)), found


def _unidentified(theta: Vector, draws: Vector, tail: float) -> tuple[str, ...]:
    low = np.quantile(draws, tail, axis=0, method="weibull") if len(draws) > 1 else theta
    return tuple(symbol for symbol, value, least in zip(SYMBOLS, theta, low, strict=True) if min(value, least) <= 0)


def _hold_out(table: pd.DataFrame) -> HeldOut | None:
    """Fit each half of the distributions and predict the other; halves alternate in the order of the padding ratio."""
    ratios = table.assign(ratio=padding_ratio(table)).groupby("distribution")["ratio"].mean()
    names = [str(name) for name in ratios.sort_values().index]
    if len(names) < 4:
        return None
    halves, errors = (names[::2], names[1::2]), []
    for tested, fitted in (halves, halves[::-1]):
        theirs, ours = (table[table["distribution"].isin(part)].reset_index(drop=True) for part in (fitted, tested))
        y = np.log(theirs["seconds"].to_numpy(dtype=float))
        theta, _ = _solve(terms(theirs, shapes_of(theirs)), y, cells_of(theirs), np.ones(len(y)), _STARTS)
        measured = speedup(ours, ours["seconds"].to_numpy(dtype=float))
        predicted = speedup(ours, total(terms(ours, shapes_of(ours)), theta))
        errors.append(np.abs(predicted / measured - 1)[(ours["method"] != BASELINE).to_numpy()])
    error = np.concatenate(errors)
    return HeldOut(
        tested=tuple(halves[0]),
        n=len(error),
        median=float(np.median(error)),
        upper=float(np.quantile(error, 0.95)),
    )

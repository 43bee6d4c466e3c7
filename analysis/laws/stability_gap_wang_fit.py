"""Fit of the law of Wang et al. to one's own runs, with profile intervals; what the schedules do not tell is not identified.

The paper minimises Huber's loss of ln L from many starts (appendix C). Here squares of ln L are minimised, which needs no
threshold, from the best shape of a grid. B and beta come apart only where runs are long enough for the shift to bend; their
product, which is known far sooner, has an interval of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.columns import positive, require_columns
from analysis.fitting.profiles import profile_intervals, solve_squares
from analysis.fitting.result import check_level
from analysis.fitting.separable import Numbers, SeparableForm, fit_curves
from analysis.laws.published import Coefficient
from analysis.laws.stability_gap_schedule import Path
from analysis.laws.stability_gap_wang import SYMBOLS, UNITS, ContinualLaw, Target
from curselab.errors import InputError

Vector = NDArray[np.float64]
COLUMNS = ("forward_before", "annealing_before", "forward", "annealing", "loss")
PRODUCT = "B beta"
_LOGS = tuple(SYMBOLS.index(symbol) for symbol in ("alpha", "E", "beta"))
_B, _BETA = SYMBOLS.index("B"), SYMBOLS.index("beta")
_SIDES = 1e6  # an interval that spans more than this, as a ratio of its ends, says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualFit:
    """The fitted law; a constant that is not identified keeps its value, which the curve needs, and has no interval."""

    law: ContinualLaw
    product: Coefficient
    """B beta, the coefficient of the shift's logarithm."""
    unidentified: tuple[str, ...]
    level: float
    nobs: int
    residual_sd: float
    """Of ln L."""

    def frame(self) -> pd.DataFrame:
        """One row a constant, and one for the product: ``symbol``, ``value``, ``unit``, ``lower``, ``upper``, ``status``."""
        rows = [(c.symbol, c.value, c.unit, c.lower, c.upper) for c in (*self.law.coefficients, self.product)]
        status = ["not_identified" if row[0] in self.unidentified else "ok" for row in rows]
        return pd.DataFrame(rows, columns=["symbol", "value", "unit", "lower", "upper"]).assign(status=status)


def evaluations(path: Path, steps: Sequence[int], loss: ArrayLike) -> pd.DataFrame:
    """Rows for the fit: the losses of one run at some of its steps, counted from 1, with the areas of its schedule."""
    at = np.asarray(steps, dtype=int) - 1
    if len(at) == 0 or at.min() < 0 or at.max() >= len(path.forward):
        raise InputError(f"steps: from 1 to {len(path.forward)} are needed")
    areas = (path.forward_before, path.annealing_before, path.forward[at], path.annealing[at])
    return pd.DataFrame(dict(zip(COLUMNS, (*areas, np.asarray(loss, dtype=float)), strict=True)))


def fit_continual_law(data: pd.DataFrame, *, target: Target = "general", level: float = 0.95) -> ContinualFit:
    """Fit all eight constants to the losses of one run or several.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an evaluation, as ``evaluations`` makes them; runs of other starts and schedules below one another.
    target : str
        ``general`` or ``domain``.
    level : float
        Of the intervals.

    Returns
    -------
    ContinualFit
        With one start C1 is not identified, and without a change of the learning rate neither is C2.

    Raises
    ------
    InputError
        A column is missing, or there are not more rows than constants.
    """
    require_columns(data, *COLUMNS)
    loss, x = positive(data, "loss"), data[list(COLUMNS[:-1])].to_numpy(dtype=float).T
    if len(loss) <= len(SYMBOLS):
        raise InputError(f"data: {len(loss)} rows were given, more than {len(SYMBOLS)} are needed")
    level = check_level(level)
    theta, cost = solve_squares(lambda t: _log_residual(t, x, loss), _start(x, loss), evaluations=500)
    ends = profile_intervals(lambda t: _log_residual(t, x, loss), theta, list(range(len(SYMBOLS))), level=level)
    by_product = theta.copy()
    by_product[_B] *= np.exp(theta[_BETA])
    product = profile_intervals(lambda t: _log_residual(t, x, loss, product=True), by_product, [_B], level=level)[0]
    natural = _natural(theta)
    rows = [(np.exp(low), np.exp(high)) if i in _LOGS else (low, high) for i, (low, high) in enumerate(ends)]
    coefficients = tuple(_coefficient(*row) for row in zip(SYMBOLS, natural, UNITS, rows, strict=True))
    combined = _coefficient(PRODUCT, float(by_product[_B]), "nats/token", product)
    return ContinualFit(
        law=ContinualLaw(
            name="fitted",
            target=target,
            coefficients=coefficients,
            source=f"{len(loss)} evaluations",
            trust="fitted",
            valid="the runs that it was fitted to",
        ),
        product=combined,
        unidentified=tuple(c.symbol for c in (*coefficients, combined) if c.lower is None),
        level=level,
        nobs=len(loss),
        residual_sd=float(np.sqrt(2 * cost / (len(loss) - len(SYMBOLS)))),
    )


def _coefficient(symbol: str, value: float, unit: str, ends: tuple[float, float]) -> Coefficient:
    low, high = ends
    known = bool(np.isfinite([low, high]).all()) and not (low > 0 and high / low > _SIDES)
    return Coefficient(symbol, float(value), unit, *((float(low), float(high)) if known else (None, None)))


def _natural(theta: NDArray[Any]) -> NDArray[Any]:
    """Constants of ``theta``, in which alpha, E and beta are logarithms."""
    values = theta.copy()
    values[list(_LOGS)] = np.exp(theta[list(_LOGS)])
    return values


def _columns(shapes: Numbers, x: Vector) -> Numbers:
    """Columns of the sizes L0, A, C1, C2 and B at shapes ``ln alpha, ln E, ln beta``, ``(batch, n, 5)``."""
    alpha, speed, beta = (shapes[:, i, None] for i in range(3))
    base = np.exp(-np.exp(alpha) * np.log(x[0] + x[2]))
    shift = -np.expm1(-np.exp(beta) * np.log1p(np.exp(speed) * x[2]))
    flat = np.ones_like(base)
    return np.stack([flat, base, -x[1] * flat, -x[3] * flat, shift], axis=-1)


def _log_residual(theta: NDArray[Any], x: Vector, loss: Vector, *, product: bool = False) -> NDArray[Any]:
    """Ln of predicted over observed; where ``product``, B's place holds B beta."""
    L0, A, alpha, B, E, beta, C1, C2 = theta
    size = B / np.exp(beta) if product else B
    columns = _columns(np.array([[alpha, E, beta]]), x)[0]
    return np.asarray(np.log(columns @ np.array([L0, A, C1, C2, size])) - np.log(loss))


def _start(x: Vector, loss: Vector) -> Vector:
    area = x[2][x[2] > 0]
    speeds = np.linspace(np.log(0.1 / area.max()), np.log(30 / area.min()), 12)
    axes = np.log([0.1, 0.25, 0.5, 1.0, 2.0]), speeds, np.log([0.003, 0.03, 0.1, 0.3, 1.0, 3.0])
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    form = SeparableForm(name="wang", formula="", basis=_columns, nodes=lambda _: nodes, n_sizes=5, n_shapes=3)
    fit = fit_curves(form, x, loss[None])
    (L0, A, C1, C2, B), (alpha, E, beta) = fit.sizes[0], fit.shapes[0]
    return np.array([L0, A, alpha, B, E, beta, C1, C2])

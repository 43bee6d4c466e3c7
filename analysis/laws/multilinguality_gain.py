r"""What added languages are worth in target data: every mixture placed on the monolingual curve of its language and size.

.. math:: g = \log_2 \frac{\hat D}{D}, \qquad L_{mono}(N, \hat D) = L(N, D, M)

g = 1: as good as twice the target data. Source: Chang et al. (2024), arXiv:2311.09205, section 4.3, who report
:math:`2^g - 1`. Seeds are averaged before the curve is read, since its bend turns noise into gain.

A gain is limited to a factor of ``REACH`` beyond the measured data, where a curve is an extrapolation; what was limited, or
lies below the curve's floor, is marked, and is a bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.fitting.inversion import states
from analysis.laws.multilinguality_curves import Curves, fit_curves
from analysis.laws.multilinguality_table import ALONE, CELL, Table
from curselab.errors import InputError

Vector = NDArray[np.float64]

KEY = ["mixture", "params", "tokens", "added"]
REACH = 4.0
"""Beyond the measured sizes of data, on either side."""


@dataclass(frozen=True, slots=True)
class RunGain:
    """One run on the curve of its language, log2 of target data."""

    language: str
    mixture: str
    """Empty for a monolingual run."""
    params: float
    tokens: float
    added: float
    gain: float


@dataclass(frozen=True, slots=True)
class Gains:
    """log2 of equivalent over actual target data, by cell and language."""

    cells: pd.DataFrame
    """``KEY``, one row a cell."""
    languages: tuple[str, ...]
    point: Vector
    """``(n_cells, n_languages)``; NaN where a language was not run."""
    draws: Vector
    """The same with the noise of both the curve and the mixture drawn, ``(draws, n_cells, n_languages)``."""
    log_loss: Vector
    """Mean of ln L, ``(n_cells, n_languages)``."""
    noise: Vector
    """Its standard error."""
    fall: Vector
    """ln L of the baseline less that of the cell: above zero where the gain is."""
    fall_error: Vector
    """Its standard error, in which noise is linear, as it is not in a gain."""
    dof: Vector
    """Degrees of freedom of the noise, ``(n_cells, n_languages)``."""
    state: NDArray[np.str_]
    """``measured``, ``extrapolated``, ``below_floor`` or empty, ``(n_cells, n_languages)``."""

    def less(self, other: "Gains", rows: NDArray[np.intp], *, keep: NDArray[np.bool_] | None = None) -> "Gains":
        """Gains above those of ``other``'s rows.

        Parameters
        ----------
        other : Gains
            Of the same languages.
        rows : numpy.ndarray
            One a cell, ``(n_cells,)``, or one a cell and language; a negative row has no counterpart, and NaN is the answer.
        keep : numpy.ndarray, optional
            Where the counterpart is the own curve, so that the gain stays as it is, ``(n_cells, n_languages)``.
        """
        rows = np.broadcast_to(rows if rows.ndim == 2 else rows[:, None], self.point.shape)
        kept = np.zeros(rows.shape, dtype=bool) if keep is None else keep

        def of_other(values: Vector) -> Vector:
            picked = np.take_along_axis(values, np.broadcast_to(np.maximum(rows, 0), (*values.shape[:-2], *rows.shape)), -2)
            return np.where(rows < 0, np.nan, picked)

        return replace(
            self,
            point=self.point - np.where(kept, 0.0, of_other(other.point)),
            draws=self.draws - np.where(kept, 0.0, of_other(other.draws)),
            fall=np.where(kept, self.fall, of_other(other.log_loss) - self.log_loss),
            fall_error=np.where(kept, self.fall_error, np.hypot(self.noise, of_other(other.noise))),
        )

    def difference(self, first: str, second: str) -> "Gains":
        """Gains of one mixture above those of another, in the cells that both have."""
        a, b = (self.take((self.cells["mixture"] == name).to_numpy()) for name in (first, second))
        place = {tuple(row): i for i, row in enumerate(b.cells[KEY[1:]].to_numpy().tolist())}
        rows = np.array([place.get(tuple(row), -1) for row in a.cells[KEY[1:]].to_numpy().tolist()], dtype=np.intp)
        return a.less(b, rows).take(rows >= 0)

    def take(self, rows: NDArray[np.bool_]) -> "Gains":
        """Some of the cells."""
        arrays = {
            name: getattr(self, name)[rows] for name in ("point", "log_loss", "noise", "fall", "fall_error", "dof", "state")
        }
        return replace(self, cells=self.cells[rows].reset_index(drop=True), draws=self.draws[:, rows], **arrays)

    def errors(self) -> Vector:
        """Standard errors of the gains: of the fall of ln L, by the slope between the two losses."""
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = self.point / self.fall
        return np.where(secant > 0, secant * self.fall_error, np.std(self.draws, axis=0, ddof=1))


def fit_all_curves(table: Table, *, form: str) -> dict[float, Curves]:
    """Fit the monolingual curves, by size of model."""
    alone = table.cells[table.cells["mixture"] == ALONE]
    curves = {}
    for size in np.unique(alone["params"].to_numpy(dtype=float)).tolist():
        part = alone[alone["params"] == size]
        log_loss, runs, noise = (
            part.pivot_table(index="language", columns="tokens", values=name) for name in ("log_loss", "runs", "sigma")
        )
        if len(log_loss.columns) < 2:
            raise InputError(f"tokens: one size of monolingual data was given at {size:g} parameters, 2 are needed")
        known = table.dof > 0
        sigma = float(np.sqrt(np.nanmean(noise.to_numpy() ** 2))) if known else None
        weights = runs.fillna(0).to_numpy(dtype=float)
        if sigma is not None:
            weights = weights * np.nan_to_num((sigma / noise.reindex(columns=runs.columns).to_numpy()) ** 2, nan=0.0)
        log_tokens = np.log(log_loss.columns.to_numpy(dtype=float))
        curves[size] = fit_curves(
            size,
            tuple(log_loss.index),
            log_tokens,
            log_loss.to_numpy(),
            weights,
            sigma=sigma,
            dof=table.dof,
            form=form,
        )
    return curves


def measure(table: Table, curves: Mapping[float, Curves], *, draws: int, rng: np.random.Generator) -> Gains:
    """Invert every cell, and draws of it.

    Raises
    ------
    InputError
        A size of model has additions and no monolingual curve, or a language has none at a size.
    """
    mixed = table.cells[table.cells["mixture"] != ALONE]
    languages = table.languages
    cells = mixed[KEY].drop_duplicates().sort_values(KEY, ignore_index=True)
    shape = (len(cells), len(languages))
    point, state = np.full(shape, np.nan), np.full(shape, "", dtype="U12")
    drawn, fall, fall_error, error = np.full((draws, *shape), np.nan), *(np.full(shape, np.nan) for _ in range(3))
    places = mixed.set_index([*KEY, "language"])[["log_loss", "runs", "sigma", "dof"]]
    order = pd.MultiIndex.from_frame(cells)
    # not pivot_table, which drops a column without any value, as the noise of unrepeated runs is
    wide = {name: places[name].unstack("language") for name in places}  # noqa: PD010
    log_loss, runs, sigma, dof = (part.reindex(index=order, columns=languages).to_numpy(dtype=float) for part in wide.values())
    for size in np.unique(cells["params"].to_numpy(dtype=float)).tolist():
        rows = np.flatnonzero(cells["params"] == size)
        curve = curves.get(size)
        if curve is None:
            raise InputError(f"data: {size:g} parameters have mixtures and no monolingual runs, which every size needs")
        columns = np.array([languages.index(name) for name in curve.languages])
        place = rows[:, None], columns
        if np.isfinite(np.delete(log_loss[rows], columns, axis=1)).any():
            raise InputError(f"data: a language has mixtures and no monolingual runs at {size:g} parameters")
        noise = np.where(np.isfinite(sigma[place]), sigma[place], curve.sigma)
        error[place] = noise / np.sqrt(runs[place])
        at = np.log(cells["tokens"].to_numpy(dtype=float)[rows])[:, None]
        y = log_loss[place]
        found = curve.log_tokens(y.T).T
        alone, alone_error = (part.T for part in curve.predict(np.broadcast_to(at.T, y.T.shape)))
        fall[place], fall_error[place] = alone - y, np.hypot(error[place], alone_error)
        point[place] = _limited(found, at, curve)
        state[place] = np.where(np.isfinite(y), states(found, _log(curve.measured)), "")
        noisy = y + error[place] * rng.standard_normal((draws, *y.shape))
        inverse = curve.log_tokens(noisy.transpose(0, 2, 1), curve.draw(draws, rng)).transpose(0, 2, 1)
        drawn[:, *place] = _limited(inverse, at, curve)
    return Gains(cells, languages, point, drawn, log_loss, error, fall, fall_error, dof, state)


def run_gains(table: Table, curves: Mapping[float, Curves]) -> list[RunGain]:
    """Place every run on its own on the curve of its language, monolingual runs too."""
    found = []
    for size, curve in curves.items():
        runs = table.runs[table.runs["params"] == size]
        place = pd.Index(curve.languages).get_indexer(pd.Index(runs["language"]))
        inverse = curve.log_tokens(np.broadcast_to(runs["log_loss"].to_numpy(), (len(curve.languages), len(runs))))
        at = np.log(runs["tokens"].to_numpy(dtype=float))
        gain = _limited(inverse[place, np.arange(len(runs))], at, curve)
        rows = zip(runs[CELL].to_numpy().tolist(), gain.tolist(), strict=True)
        found += [RunGain(language, mixture, N, D, M, value) for (language, mixture, N, D, M), value in rows]
    return found


def _limited(log_tokens: Vector, at: Vector, curve: Curves) -> Vector:
    low, high = _log(curve.measured)
    return np.asarray((np.clip(log_tokens, low - np.log(REACH), high + np.log(REACH)) - at) / np.log(2))


def _log(ends: tuple[float, float]) -> tuple[float, float]:
    return float(np.log(ends[0])), float(np.log(ends[1]))

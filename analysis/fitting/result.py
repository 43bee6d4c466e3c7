"""What a fit hands back: estimates with their uncertainty, and the evidence that they can be trusted.

The names follow statsmodels: ``params``, ``bse``, ``conf_int()``, ``cov_params()``, ``resid``, ``nobs``, ``summary()``.
"""

import dataclasses
import importlib.metadata
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from curselab.errors import InputError

T = TypeVar("T")
Vector = NDArray[np.float64]
Status = Literal["ok", "not_identified"]
Interval = Literal["auto", "percentile", "expanded"]


@dataclass(frozen=True, slots=True)
class Note:
    """A warning or a reason: a code for programs and one line for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What went into a fit."""

    n_runs: int
    """Runs that were fitted."""
    n_diverged: int
    """Runs left out because they diverged."""
    n_clusters: int
    """Groups of runs that are resampled together."""
    n_seeds: int
    """Most seeds that any one setting was run with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """Evidence that the optimum is one."""

    starts: int
    starts_at_optimum: int
    """Starts that ended within a relative 1e-6 of the best objective."""
    gradient: float
    """Largest cosine between a column of the Jacobian and the weighted residuals: 0 at an optimum, free of units."""
    converged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How the intervals were made."""

    kind: str
    resamples: int
    not_converged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """Estimates of a parametric law.

    ``estimate``, ``symbols`` and ``units`` run parallel; ``draws`` has one row a converged resample. A parameter named in
    ``unidentified`` keeps its estimate, which the curve needs, but has no standard error and no interval.
    """

    law: str
    formula: str
    symbols: tuple[str, ...]
    units: tuple[str, ...]
    estimate: tuple[float, ...]
    draws: tuple[tuple[float, ...], ...]
    level: float
    resid: tuple[float, ...]
    objective: float
    counts: Counts
    convergence: Convergence
    bootstrap: Bootstrap
    status: Status
    unidentified: tuple[str, ...] = ()
    warnings: tuple[Note, ...] = ()
    settings: dict[str, str | float | int]
    """Columns and seed, as they were used."""

    @property
    def params(self) -> "pd.Series[float]":
        """Estimates by symbol."""
        return pd.Series(self.estimate, index=list(self.symbols), dtype="float64")

    @property
    def nobs(self) -> int:
        """Runs that were fitted."""
        return self.counts.n_runs

    @property
    def bse(self) -> "pd.Series[float]":
        """Bootstrap standard errors by symbol; NaN where there is none."""
        with np.errstate(over="ignore"):  # of parameters that run away
            spread = np.std(self._draws(), axis=0, ddof=1) if self._has_draws() else np.full(len(self.symbols), np.nan)
        return self._identified(pd.Series(spread, index=list(self.symbols)))

    def conf_int(self, level: float | None = None, *, kind: Interval = "auto") -> pd.DataFrame:
        """Percentile intervals of the bootstrap.

        Parameters
        ----------
        level : float, optional
            Between 0 and 1; the level of the fit when left out.
        kind : str
            ``percentile``; ``expanded``: percentiles further out, by what Student's t with one degree of freedom fewer than
            groups needs (Hesterberg 2015, The American Statistician 69(4); Cameron and Miller 2015, Journal of Human Resources
            50(2), section VI); ``auto``: expanded where groups were drawn, since plain ones are then too short, else
            percentile.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower`` and ``upper`` by symbol; NaN where the data give no interval.
        """
        level = check_level(self.level if level is None else level)
        bounds = np.full((2, len(self.symbols)), np.nan)
        if self._has_draws():
            bounds = self.interval(self._draws(), level, kind=kind)
        frame = pd.DataFrame(bounds.T, index=list(self.symbols), columns=["lower", "upper"])
        return frame.apply(self._identified)

    def interval(self, draws: Vector, level: float, *, kind: Interval = "auto") -> Vector:
        """Ends of the interval of any quantity, ``(2, ...)``, from its value in each resample ``(n_draws, ...)``.

        Of B draws, the share ``p`` lies below number ``p (B + 1)`` in order (Davison and Hinkley 1997, section 5.3).
        """
        expand = kind == "expanded" or kind == "auto" and self.bootstrap.kind == "cluster"
        tail = expanded_tail(level, self.counts.n_clusters) if expand else (1 - level) / 2
        return np.asarray(np.quantile(draws, [tail, 1 - tail], axis=0, method="weibull"))

    def cov_params(self) -> pd.DataFrame:
        """Bootstrap covariance of the parameters, by symbol; NaN where there is none."""
        size, symbols = len(self.symbols), list(self.symbols)
        with np.errstate(all="ignore"):  # as in ``bse``
            cov = np.cov(self._draws(), rowvar=False) if self._has_draws() else np.full((size, size), np.nan)
        frame = pd.DataFrame(cov.reshape(size, size), index=symbols, columns=symbols)
        frame.loc[list(self.unidentified), :] = np.nan
        frame.loc[:, list(self.unidentified)] = np.nan
        return frame

    def frame(self) -> pd.DataFrame:
        """One row a parameter: ``symbol``, ``unit``, ``value``, ``se``, ``lower``, ``upper``, ``status``."""
        status = ["not_identified" if symbol in self.unidentified else "ok" for symbol in self.symbols]
        interval = self.conf_int()
        return pd.DataFrame(
            {
                "symbol": self.symbols,
                "unit": self.units,
                "value": self._identified(self.params).to_numpy(),
                "se": self.bse.to_numpy(),
                "lower": interval["lower"].to_numpy(),
                "upper": interval["upper"].to_numpy(),
                "status": status,
            }
        )

    def summary(self) -> str:
        """Text for a terminal: estimates, intervals, convergence and every warning."""
        c, b = self.convergence, self.bootstrap
        lines = [
            f"{self.law}: {self.formula}",
            f"runs {self.nobs}  diverged {self.counts.n_diverged}  clusters {self.counts.n_clusters}"
            f"  seeds {self.counts.n_seeds}  status {self.status}",
            f"objective {self.objective:.10g}  starts at the optimum {c.starts_at_optimum}/{c.starts}"
            f"  gradient {c.gradient:.1e}",
            f"bootstrap {b.kind}, {b.resamples} resamples, {b.not_converged} not converged",
            "",
            f"{'':8}{'estimate':>14}{'std err':>12}{f'[{self.level:.0%}':>14}{'interval]':>14}  unit",
        ]
        for row in self.frame().itertuples():
            numbers = f"{row.value:14.6g}{row.se:12.3g}{row.lower:14.6g}{row.upper:14.6g}"
            lines.append(f"{row.symbol:8}{numbers if row.status == 'ok' else 'not identified':>54}  {row.unit}")
        return "\n".join(lines + [f"warning {note.code}: {note.message}" for note in self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls: type[T], content: Mapping[str, Any]) -> T:
        """Rebuild what ``to_dict`` wrote."""
        rebuilt: T = from_plain(cls, content)
        return rebuilt

    def _draws(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(self.draws, dtype=float).reshape(-1, len(self.symbols))

    def _has_draws(self) -> bool:
        return len(self.draws) > 1

    def _identified(self, values: "pd.Series[float]") -> "pd.Series[float]":
        return values.where(~values.index.isin(self.unidentified))


def expanded_tail(level: float, n_clusters: int) -> float:
    """Share of resamples beyond each end of an interval: of normal draws that are too narrow by sqrt((n - 1) / n)."""
    from scipy.stats import norm, t

    dof = max(n_clusters - 1, 1)
    return float(norm.sf(t.ppf((1 + level) / 2, dof) * np.sqrt(n_clusters / dof)))


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide the digits of a fit."""
    return {package: importlib.metadata.version(package) for package in ("curselab", "numpy", "scipy", "pandas")}


def check_level(level: float) -> float:
    """Return a confidence level, or refuse it."""
    if not 0 < level < 1:
        raise InputError(f"level: {level!r} was given, a number between 0 and 1 is needed, such as 0.95")
    return float(level)


def to_plain(value: Any) -> Any:
    """Turn nested dataclasses, tuples and numpy numbers into what JSON can hold."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def from_plain(hint: Any, value: Any) -> Any:
    """Rebuild a value of type ``hint`` (dataclass, tuple, optional or plain) from what ``to_plain`` made.

    Raises
    ------
    InputError
        A mapping lacks a field or has one more: it was written by another version.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and isinstance(value, hint):
        return value
    if dataclasses.is_dataclass(hint):
        hints, names = typing.get_type_hints(hint), {field.name for field in dataclasses.fields(hint)}
        if not isinstance(value, Mapping) or set(value) != names:
            odd = sorted(names ^ set(value)) if isinstance(value, Mapping) else [repr(value)]
            raise InputError(f"fit: {odd[0]} does not fit a {getattr(hint, '__name__', hint)}; fit the runs again to renew it")
        return hint(**{name: from_plain(hints[name], value[name]) for name in names})  # type: ignore[operator]
    if origin is tuple:
        return tuple(from_plain(arguments[0], item) for item in value)
    if origin in (typing.Union, types.UnionType) and value is not None:
        inner = [argument for argument in arguments if argument is not type(None)]
        return from_plain(inner[0], value) if len(inner) == 1 else value
    return value

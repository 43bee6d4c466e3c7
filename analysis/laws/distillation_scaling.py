"""The two laws of Busbridge et al. (2025) as one object: what a student loses, by its teacher; published, or fitted to runs.

The formulas and their source are in :mod:`analysis.laws.distillation`. A teacher of size N_T counts through its loss, which
the supervised law gives at N_T and its tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from analysis.fitting.result import Note
from analysis.laws.capacity_gap_published import BestTeacher, Coefficient, Trust
from analysis.laws.distillation import DISTILLED
from analysis.laws.forms import OUTER
from analysis.laws.scaling import fit_scaling_law
from analysis.laws.scaling_fit import ScalingFit
from curselab.errors import InputError

Vector = NDArray[np.float64]
_RATIOS = np.log(0.25), np.log(4096.0)  # of teacher to student, searched for the best
_STEP = 0.02  # of ln N_T; a parabola through three points then errs by 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationScaling:
    """Loss of students without a teacher and with one; by default the published constants.

    ``distilled`` may hold the paper's ``c1`` or the fit's ``h``, see :mod:`analysis.laws.distillation`.
    """

    name: str = "Busbridge et al. 2025"
    formula: str = f"{OUTER.formula}; {DISTILLED.formula}"
    supervised: tuple[Coefficient, ...] = (
        Coefficient("E", 1.220, "nats/token", 1.190, 1.247),
        Coefficient("A", 3355.0, "1", 3346.0, 3360.0),
        Coefficient("B", 18186.0, "1", 18157.0, 18236.0),
        Coefficient("alpha", 0.408, "1", 0.405, 0.411),
        Coefficient("beta", 0.431, "1", 0.428, 0.433),
        Coefficient("gamma", 0.452, "1", 0.442, 0.461),
    )
    distilled: tuple[Coefficient, ...] = (
        Coefficient("A", 2243.0, "1", 2227.0, 2255.0),
        Coefficient("B", 24181.0, "1", 24084.0, 24266.0),
        Coefficient("alpha", 0.321, "1", 0.319, 0.324),
        Coefficient("beta", 0.637, "1", 0.634, 0.640),
        Coefficient("gamma", 0.764, "1", 0.732, 0.788),
        Coefficient("c0", 2.549, "1", 2.425, 2.615),
        Coefficient("c1", 522.6, "1", 522.6, 522.6),
        Coefficient("f1", 0.090, "1", 0.088, 0.093),
        Coefficient("d1", 1.315, "1", 1.302, 1.327),
    )
    level: float = 0.90
    """Of the intervals."""
    source: str = "arXiv:2502.08606, Eq. 1 and 8, table 6"
    trust: Trust = "primary"
    valid: str = "fresh students on C4, pure distillation at temperature 1, parameters without embedding"
    params_range: tuple[float, float] = (143e6, 12.6e9)
    """Models that were trained, parameters."""
    tokens_range: tuple[float, float] = (20.0, 320.0)
    """Tokens a parameter of students on the grid that shows the gap (figure 4)."""
    samples: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    """Resampled constants, supervised then distilled with ``h``; where empty, intervals are taken for independent normals."""

    def own_loss(self, params: ArrayLike, tokens: ArrayLike) -> Vector:
        """Loss after plain training, nats/token, shape of the arguments."""
        return OUTER.predict(self._constants()[: len(OUTER.symbols)], params, tokens)

    def loss(self, params: ArrayLike, tokens: ArrayLike, teacher_loss: ArrayLike) -> Vector:
        """Loss of a student of a teacher of known loss, nats/token, shape of the arguments."""
        constants, own = self._constants()[len(OUTER.symbols) :], self.own_loss(params, tokens)
        return DISTILLED.predict(constants, params, tokens, teacher_loss, own)

    def student_loss(
        self, student: ArrayLike, tokens: ArrayLike, teacher: ArrayLike, *, teacher_tokens_per_param: float = 20.0
    ) -> Vector:
        """Loss of a student of a teacher of known size, nats/token, shape of the arguments."""
        T = np.asarray(teacher, dtype=float)
        return self.loss(student, tokens, self.own_loss(T, teacher_tokens_per_param * T))

    def coefficients(self) -> pd.DataFrame:
        """One row a constant: ``law`` (supervised or distilled), ``symbol``, ``value``, ``unit``, ``lower``, ``upper``."""
        both = {"supervised": self.supervised, "distilled": self.distilled}
        rows = [(law, c.symbol, c.value, c.unit, c.lower, c.upper) for law, constants in both.items() for c in constants]
        return pd.DataFrame(rows, columns=["law", "symbol", "value", "unit", "lower", "upper"])

    def best_teacher(
        self, student: float, tokens: float, *, teacher_tokens_per_param: float = 20.0, draws: int = 1000, seed: int = 0
    ) -> BestTeacher:
        """Teacher size with the lowest loss of the student.

        Parameters
        ----------
        student, tokens : float
            Student's parameters and tokens.
        teacher_tokens_per_param : float
            Tokens that teachers are trained on, over their parameters.
        draws : int
            Sets of constants for the interval.
        seed : int
            Of the draws.

        Returns
        -------
        BestTeacher
            With a note for each range that is left.
        """
        constants = np.vstack([self._constants(), self.sample(draws, seed)])
        at = np.log(student) + np.arange(_RATIOS[0], _RATIOS[1], _STEP)
        curves = loss_of_constants(constants, (student, tokens), np.exp(at), teacher_tokens_per_param * np.exp(at))
        lowest = np.clip(curves.argmin(axis=1), 1, len(at) - 2)
        left, middle, right = (curves[np.arange(len(curves)), lowest + k] for k in (-1, 0, 1))
        bend = left - 2 * middle + right
        step = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
        found = np.exp(at[lowest] + _STEP * np.clip(step, -1, 1))
        tails = [(1 - self.level) / 2, (1 + self.level) / 2]
        lower, upper = np.quantile(found[1:], tails).tolist() if draws else (None, None)
        notes = [
            Note("extrapolated", f"{what} {value:.3g} lies outside {low:.3g} to {high:.3g}, where the law was fitted")
            for what, value, (low, high) in (
                ("student (parameters)", student, self.params_range),
                ("best teacher (parameters)", float(found[0]), self.params_range),
                ("student's tokens a parameter", tokens / student, self.tokens_range),
            )
            if not low <= value <= high
        ]
        if curves[0].argmin() in (0, len(at) - 1):
            notes.append(Note("no_optimum", "the loss has no lowest point between a quarter of the student and 4096 times it"))
            return BestTeacher(teacher=None, lower=None, upper=None, level=self.level, notes=tuple(notes))
        return BestTeacher(teacher=float(found[0]), lower=lower, upper=upper, level=self.level, notes=tuple(notes))

    def sample(self, draws: int, seed: int) -> Vector:
        """Sets of constants within their intervals, ``(draws, 15)``, supervised then distilled with ``h``."""
        rng = np.random.default_rng(seed)
        if self.samples:
            return np.asarray(np.asarray(self.samples, dtype=float)[rng.integers(len(self.samples), size=draws)])
        constants = self.supervised + self.distilled
        ends = np.array([(c.value, c.value) if c.lower is None else (c.lower, c.upper) for c in constants], dtype=float)
        spread = np.diff(ends, axis=1)[:, 0] / (2 * norm.ppf((1 + self.level) / 2))
        return self._with_h(np.array([c.value for c in constants]) + spread * rng.standard_normal((draws, len(constants))))

    def _constants(self) -> Vector:
        values: Vector = self._with_h(np.array([[c.value for c in self.supervised + self.distilled]]))[0]
        return values

    def _with_h(self, values: Vector) -> Vector:
        """Put ``h`` in the place of ``c1``, where that was printed."""
        at = len(OUTER.symbols) + DISTILLED.index("h")
        if self.distilled[DISTILLED.index("h")].symbol == "c1":
            c1, f1, d1 = values[:, at : at + 3].T
            values = values.copy()
            values[:, at] = c1 * f1 * d1 ** (-1 / f1)
        return values


def loss_of_constants(
    constants: Vector, student: tuple[float, float], params: Vector, tokens: Vector, *, teacher_loss: Vector | None = None
) -> Vector:
    """Student's loss at each teacher for each set of constants, nats/token.

    Parameters
    ----------
    constants : numpy.ndarray
        As ``DistillationScaling.sample`` gives them, ``(n_sets, 15)``.
    student : tuple of two floats
        Parameters and tokens.
    params, tokens : numpy.ndarray
        Of the teachers, ``(n_teachers,)``.
    teacher_loss : numpy.ndarray, optional
        Of the teachers where it is known, nats/token, ``(n_teachers,)``; else each set of constants predicts it.

    Returns
    -------
    numpy.ndarray
        ``(n_sets, n_teachers)``.
    """
    plain, taught = constants[:, : len(OUTER.symbols)], constants[:, len(OUTER.symbols) :]
    if teacher_loss is None:
        signal = OUTER.predict(plain, params, tokens)
    else:
        signal = np.broadcast_to(teacher_loss, (len(constants), len(params)))
    own = OUTER.predict(plain, *student)
    rows = zip(taught, signal, own, strict=True)
    return np.array([DISTILLED.predict(theta, *student, row, value) for theta, row, value in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationFit:
    """Both laws fitted to one's own runs."""

    supervised: ScalingFit
    distilled: ScalingFit

    def law(self) -> DistillationScaling:
        """Give the fitted laws as an object like the published one; a constant that is not identified has no interval."""
        n = min(len(self.supervised.draws), len(self.distilled.draws))
        params, tokens = self.distilled.problem.x[:2]
        return DistillationScaling(
            name="fitted",
            supervised=_coefficients(self.supervised),
            distilled=_coefficients(self.distilled),
            level=self.distilled.level,
            source=f"{self.supervised.nobs} plain and {self.distilled.nobs} distilled runs",
            trust="fitted",
            valid=DISTILLED.valid,
            params_range=(float(params.min()), float(max(params.max(), self.supervised.problem.x[0].max()))),
            tokens_range=(float((tokens / params).min()), float((tokens / params).max())),
            samples=tuple(a + b for a, b in zip(self.supervised.draws[:n], self.distilled.draws[:n], strict=True)),
        )

    def frame(self) -> pd.DataFrame:
        """One row a constant, with a column ``law``; the rest as ``FitResult.frame``."""
        parts = {"supervised": self.supervised, "distilled": self.distilled}
        return pd.concat([fit.frame().assign(law=name) for name, fit in parts.items()], ignore_index=True)

    def summary(self) -> str:
        """Text for a terminal."""
        return f"{self.supervised.summary()}\n\n{self.distilled.summary()}"


def _coefficients(fit: ScalingFit) -> tuple[Coefficient, ...]:
    def end(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    known = dict(zip(fit.symbols, fit.estimate, strict=True))
    rows = fit.frame().to_dict("records")
    return tuple(Coefficient(r["symbol"], known[r["symbol"]], r["unit"], end(r["lower"]), end(r["upper"])) for r in rows)


def fit_distillation(
    plain: pd.DataFrame,
    distilled: pd.DataFrame,
    *,
    params: str = "params_non_embedding",
    tokens: str = "tokens",
    loss: str = "loss_nats_per_token",
    teacher_loss: str = "teacher_loss_nats_per_token",
    own_loss: str | None = None,
    delta: float | str = 1e-4,
    fixed: Mapping[str, float] | None = None,
    ties: Sequence[tuple[str, str]] = (),
    **options: Any,
) -> DistillationFit:
    """Fit the supervised law to plain runs, then the distillation law to distilled ones, all cells at once.

    Parameters
    ----------
    plain, distilled : pandas.DataFrame
        One row a run: models trained on text alone (teachers and baselines), and distilled students.
    params, tokens, loss, teacher_loss : str
        Columns: parameters, tokens, nats/token.
    own_loss : str, optional
        Column of ``distilled`` with the measured loss of the same student without a teacher; the fitted supervised law where
        left out.
    delta : float or "auto"
        Where Huber's loss of ln L turns linear; 1e-4 is the paper's, far below the noise of most runs: ``auto`` follows it.
    fixed, ties : optional
        Of the distillation law: with little noise its teacher part (``c0``, ``h``, ``f1``) is known, its token term rarely is.
    **options
        Of :func:`analysis.laws.scaling.fit_scaling_law`, for both.

    Returns
    -------
    DistillationFit
        The second fit takes the first as known, so its intervals leave out the first one's error.

    Raises
    ------
    InputError
        A column is missing or holds something else than positive finite numbers.
    """
    for name, frame in (("plain", plain), ("distilled", distilled)):
        if not isinstance(frame, pd.DataFrame) or frame.empty:
            raise InputError(f"{name}: a table with rows is needed, such as read_runs returns, split by its column objective")
    shared: dict[str, Any] = {"params": params, "tokens": tokens, "loss": loss, "delta": delta, **options}
    first = fit_scaling_law(plain, law=OUTER, **shared)
    if own_loss is None:
        own_loss = "own_loss"
        known = OUTER.predict(first.estimate, distilled[params].to_numpy(float), distilled[tokens].to_numpy(float))
        distilled = distilled.assign(**{own_loss: known})
    inputs = {"teacher_loss": teacher_loss, "own_loss": own_loss}
    second = fit_scaling_law(distilled, law=DISTILLED, inputs=inputs, fixed=fixed, ties=ties, **shared)
    return DistillationFit(supervised=first, distilled=second)

"""The result of fitting a law of the loss: estimates, predictions, hold-outs and the record that a paper owes its reader."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.fitting.intervals import profile_ends, sharpness
from analysis.fitting.result import FitResult, check_level, from_plain, package_versions, to_plain
from analysis.fitting.validation import Calibration, calibrate, cuts, local_spread
from analysis.laws.forms import find_form
from analysis.laws.parametric import Law
from analysis.laws.problem import Problem, solve_point
from analysis.laws.scaling_identified import identifiability
from curselab.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Vector = NDArray[np.float64]
Band = Literal["mean", "new_run", "calibrated"]
FLOP_PER_PARAM_TOKEN = 6.0  # forward and backward; Kaplan et al. 2020, section 2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFit(FitResult):
    """A fitted law of the loss, with its runs."""

    form: Law
    problem: Problem

    def predict(
        self, *inputs: ArrayLike, kind: Band = "mean", level: float | None = None, by: str = "compute", **named: ArrayLike
    ) -> pd.DataFrame:
        """Predict the loss, with a band.

        Parameters
        ----------
        *inputs, **named : array_like
            What the law reads, in its order or by name: ``predict(params, tokens)``; ``(n,)`` or one number each.
        kind : str
            ``mean``: percentiles of the curve over resamples, as in ``conf_int``; ``new_run``: of one more run like those
            fitted; ``calibrated``: as wide as errors of hold-outs within the runs were, the only kind that means something
            beyond them.
        level : float, optional
            Of the band; the level of the fit when left out.
        by : str
            Scale along which ``calibrated`` measures distance: ``compute`` or an input of the law.

        Returns
        -------
        pandas.DataFrame
            The inputs, ``loss``, ``lower``, ``upper`` (nats/token), ``extrapolated`` (outside the range of an input),
            ``decades`` (of scale beyond the runs) and ``warning``: a code, ``extrapolating`` where the runs say little about a
            band that is not calibrated, ``no_band`` where nothing supports one (it is NaN there), else empty.
        """
        if kind not in ("mean", "new_run", "calibrated"):
            raise InputError(f"kind: {kind!r} was given (allowed: mean, new_run, calibrated)")
        level = check_level(self.level if level is None else level)
        x = self.read_inputs(inputs, named)
        loss = self.form.predict(self.estimate, *x)
        frame = pd.DataFrame(dict(zip(self.form.inputs, x, strict=True))).assign(loss=loss)
        seen = self.problem.x
        outside = ((x < seen.min(axis=1, keepdims=True)) | (x > seen.max(axis=1, keepdims=True))).any(axis=0)
        distance = np.log(self.scale(x, by) / self.scale(seen, by).max())
        if kind == "calibrated":
            resid = self.form.model.log_loss(self.form.solver(self.estimate), seen) - self.problem.log_loss
            half = self.calibration(by=by).half_width(distance, local_spread(x, seen, resid), level)
            lower, upper = loss * np.exp(-half), loss * np.exp(half)
        else:
            lower, upper = self._band(x, kind, level)
        warning = np.where(np.isnan(lower), "no_band", np.where(outside & (kind != "calibrated"), "extrapolating", ""))
        decades = np.maximum(distance, 0) / np.log(10)
        return frame.assign(lower=lower, upper=upper, extrapolated=outside, decades=decades, warning=warning)

    def read_inputs(self, inputs: tuple[ArrayLike, ...], named: Mapping[str, ArrayLike]) -> Vector:
        """Check what a prediction is asked for: ``(n_inputs, n)``."""
        given = dict(zip(self.form.inputs, inputs, strict=False)) | dict(named)
        if set(given) != set(self.form.inputs) or len(inputs) + len(named) != len(self.form.inputs):
            allowed = ", ".join(self.form.inputs)
            raise InputError(f"predict: {len(inputs) + len(named)} inputs were given, law {self.form.name} needs {allowed}")
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(given[name], dtype=float)) for name in self.form.inputs))
        x = np.stack([array.ravel() for array in arrays])
        if not (np.isfinite(x).all() and (x > 0).all()):
            raise InputError("predict: positive finite numbers are needed")
        return x

    def _band(self, x: Vector, kind: str, level: float) -> Vector:
        if len(self.draws) < 2 or set(self.symbols) <= set(self.unidentified):
            return np.full((2, x.shape[1]), np.nan)
        curves = self.form.predict(np.asarray(self.draws), *x)
        if kind == "new_run":
            n, p = self.nobs, self.problem.n_free(self.form)
            resid = np.asarray(self.resid) * np.sqrt(n / max(n - p, 1))
            noise = np.random.default_rng(int(self.settings["seed"])).choice(resid, size=curves.shape)
            curves = curves * np.exp(-noise)
        return self.interval(curves, level)

    def scale(self, x: Vector, by: str) -> Vector:
        """Scale of runs ``(n_inputs, n)``: an input, or compute (FLOP, 6ND where the law reads both)."""
        if by in self.form.inputs:
            return np.asarray(x[self.form.inputs.index(by)])
        if by == "compute" and {"params", "tokens"} <= set(self.form.inputs):
            return np.asarray(FLOP_PER_PARAM_TOKEN * x[self.form.inputs.index("params")] * x[self.form.inputs.index("tokens")])
        if by == "compute" and len(self.form.inputs) == 1:
            return np.asarray(x[0])
        raise InputError(f"by: {by!r} was given (allowed: compute, {', '.join(self.form.inputs)})")

    def validate(self, *, by: str = "compute", min_train: float = 0.2) -> pd.DataFrame:
        """Fit the smaller runs and predict the larger ones, with the origin rolling from small to large.

        Parameters
        ----------
        by : str
            ``compute``, or an input of the law such as ``params`` or ``tokens``.
        min_train : float
            Share of the runs that the first origin fits; never fewer than four times the parameters.

        Returns
        -------
        pandas.DataFrame
            One row an origin and held-out run: ``origin`` (largest scale fitted), ``scale``, ``decades`` (between the two),
            ``loss``, ``predicted``, ``error`` (predicted over observed, in ln) and ``spread`` (of residuals of the fitted runs
            nearby, in ln). No rows where no origin could be fitted.
        """
        scale, rows = self.scale(self.problem.x, by), []
        least = max(4 * len(self.symbols), int(np.ceil(min_train * len(scale))))
        for train in cuts(scale, min_train=least) if least < len(scale) else []:
            part = self.problem.rows(train)
            if min(len(np.unique(row)) for row in part.x) < 3:
                continue
            point = solve_point(self.form, part)
            if not point.convergence.converged:
                continue
            test = ~train
            ln_loss = self.form.model.log_loss(point.theta, self.problem.x[:, test])
            rows.append(
                pd.DataFrame(
                    {
                        "origin": scale[train].max(),
                        "scale": scale[test],
                        "decades": np.log10(scale[test] / scale[train].max()),
                        "loss": np.asarray(self.problem.loss)[test],
                        "predicted": np.exp(ln_loss),
                        "error": ln_loss - self.problem.log_loss[test],
                        "spread": local_spread(self.problem.x[:, test], part.x, point.resid),
                    }
                )
            )
        columns = ["origin", "scale", "decades", "loss", "predicted", "error", "spread"]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns, dtype=float)

    def calibration(self, *, by: str = "compute") -> Calibration:
        """Growth of prediction errors with distance, from :meth:`validate`."""
        held_out = self.validate(by=by)
        origin, decades, error, spread = (held_out[name].to_numpy() for name in ("origin", "decades", "error", "spread"))
        return calibrate(origin, decades * np.log(10), error, spread)

    def profile(self, symbol: str, *, level: float | None = None) -> tuple[float, float]:
        """Profile interval of a parameter: values at which the others, refitted, still fit; for independent errors.

        Parameters
        ----------
        symbol : str
            A free parameter.
        level : float, optional
            The level of the fit when left out.

        Returns
        -------
        tuple of float
            Lower and upper end; zero or infinite where the runs set no limit.
        """
        level, law, i = check_level(self.level if level is None else level), self.form, self.form.index(symbol)
        constraints = self.problem.constraints(law)
        if i in constraints["fixed"]:
            raise InputError(f"profile: {symbol} is fixed, so it has no interval")
        theta, x, y = law.solver(self.estimate), self.problem.x, self.problem.log_loss
        log_resid = law.model.log_loss(theta, x) - y
        resid = np.exp(y) * np.expm1(log_resid) if self.problem.objective.on == "raw" else log_resid
        dof = max(self.nobs - self.problem.n_free(law), 1)
        scale = sharpness(self.problem.objective, resid, self.problem.w) * dof / self.nobs

        def rise(values: Vector) -> Vector:
            ends = law.model.solve(
                x,
                y,
                objective=self.problem.objective,
                weights=np.tile(self.problem.w, (len(values), 1)),
                starts=np.tile(theta, (len(values), 1)),
                fixed=constraints["fixed"] | {i: values},
                ties=constraints["ties"],
                bounds=constraints["bounds"],
            )
            return np.where(np.isfinite(ends.value), ends.value, np.inf) - self.objective

        step = 0.05 * max(abs(float(theta[i])), 0.1)
        ends = profile_ends(rise, float(theta[i]), step, level=level, dof=dof, scale=scale)
        with np.errstate(over="ignore"):
            return (float(np.exp(ends[0])), float(np.exp(ends[1]))) if law.positive[i] else ends

    def identifiability(self) -> dict[str, object]:
        """Levels seen, condition number, correlations and the weakest combination of parameters."""
        return identifiability(self.form, self.form.solver(self.estimate), self.problem.x, np.asarray(self.draws))

    def optimal(self, compute: ArrayLike, *, level: float | None = None) -> pd.DataFrame:
        """Best size and tokens of each budget (FLOP), see :func:`analysis.decisions.allocate.optimal`."""
        from analysis.decisions.allocate import optimal

        return optimal(self, compute, level=level)

    def sensitivity(self, quantity: str = "tokens_per_param", **options: Any) -> pd.DataFrame:
        """What an answer hangs on, see :func:`analysis.decisions.sensitivity.sensitivity`."""
        from analysis.decisions.sensitivity import sensitivity

        return sensitivity(self, quantity, **options)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw observed over fitted loss (%) against scale: noise has no shape; figures for papers are ``figures``'.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            A new figure's when left out.
        """
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(5, 3), layout="constrained").subplots()
        by = "compute" if len(self.form.inputs) == 1 or {"params", "tokens"} <= set(self.form.inputs) else self.form.inputs[0]
        x = self.problem.x
        resid = self.form.model.log_loss(self.form.solver(self.estimate), x) - self.problem.log_loss
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.plot(self.scale(x, by), 100 * np.expm1(-resid), linestyle="none", marker=".", alpha=0.6)
        ax.set(xscale="log", xlabel=by, ylabel="observed over fitted loss (%)", title=f"{self.form.name}: {self.formula}")
        return ax

    def report(self) -> dict[str, Any]:
        """Return the record that a paper owes its reader, as plain values."""
        held_out, settings = self.validate(), dict(self.settings)
        errors = np.abs(held_out["error"].to_numpy(dtype=float))
        return {
            "law": {"name": self.form.name, "formula": self.formula, "source": self.form.source, "valid": self.form.valid},
            "symbols": dict(zip(self.symbols, self.units, strict=True)),
            "runs": to_plain(self.counts),
            "ranges": {
                name: [float(row.min()), float(row.max())] for name, row in zip(self.form.inputs, self.problem.x, strict=True)
            },
            "objective": to_plain(self.problem.objective),
            "fixed": dict(self.problem.fixed),
            "ties": to_plain(self.problem.ties),
            "bounds": {symbol: [low, high] for symbol, low, high in self.problem.bounds},
            "settings": settings,
            "optimum": to_plain(self.convergence) | {"objective": self.objective},
            "bootstrap": to_plain(self.bootstrap),
            "parameters": self.frame().replace({np.nan: None}).to_dict("records"),
            "identifiability": {
                key: value for key, value in self.identifiability().items() if not isinstance(value, pd.DataFrame)
            },
            "hold_out": {
                "runs": len(errors),
                "decades": float(held_out["decades"].max()) if len(errors) else None,
                "mean_relative_error": float(errors.mean()) if len(errors) else None,
                "largest_relative_error": float(errors.max()) if len(errors) else None,
            },
            "warnings": [to_plain(note) for note in self.warnings],
            "versions": package_versions(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds exactly; the law by its name."""
        plain = {f.name: to_plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "form"}
        return {**plain, "form": self.form.name}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, form: Law | None = None) -> "ScalingFit":
        """Rebuild what ``to_dict`` wrote; a law of the user's own is given again by ``form``."""
        if form is None and "form" in content:
            form = find_form(content["form"])
        rebuilt: ScalingFit = from_plain(cls, {**content, **({"form": form} if form else {})})
        return rebuilt

r"""Loss of plain training as a function of model size and training tokens.

.. math:: L(N, D) = E + A / N^\alpha + B / D^\beta

====================  ==========================================================  ======================
symbol                meaning                                                     unit
====================  ==========================================================  ======================
:math:`L`             final validation loss                                       nats/token
:math:`N`             parameters (all of them: the paper's convention)            parameters
:math:`D`             training tokens, repeats counted                            tokens
:math:`E`             irreducible loss, the entropy of the text                   nats/token
:math:`A`, `B`        size of the two reducible terms                             nats/token at N = D = 1
:math:`\alpha, \beta` exponents                                                   1
====================  ==========================================================  ======================

Source: Hoffmann et al. (2022), arXiv:2203.15556, section 3.3 (approach 3) and Eq. 10. The fit minimises Huber's loss of
:math:`\ln \hat L - \ln L` over :math:`(\ln A, \ln B, \ln E, \alpha, \beta)` from many starts.

Valid for runs whose learning rate has decayed, on text that is repeated at most a few times (Muennighoff et al. 2023,
arXiv:2305.16264, see four). Known failures: the constants printed by Hoffmann et al. do not fit their own data, since their
optimiser stopped early (Besiroglu et al. 2024, arXiv:2404.10102); counting parameters without the embedding changes the
exponents (Pearce and Song 2024, arXiv:2406.12907); at :math:`\delta = 10^{-3}` Huber's loss is nearly the absolute error, so
the answer rests on few points; A and B are strongly skewed, so read their interval, not their standard error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.columns import drop_diverged, positive, require_columns
from analysis.fitting.bootstrap import cluster_bootstrap
from analysis.fitting.least_squares import multistart
from analysis.fitting.result import Bootstrap, Counts, FitResult, Note, check_level
from analysis.laws.scaling_form import BOUNDS, LogForm
from analysis.laws.scaling_identified import SYMBOLS, judge
from curselab.errors import InputError

Vector = NDArray[np.float64]

HOFFMANN_2022 = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
"""Hoffmann et al. (2022), arXiv:2203.15556, Eq. 10: as printed, rounded."""
BESIROGLU_2024 = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
"""Besiroglu et al. (2024), arXiv:2404.10102: refit to the points digitised from Hoffmann et al., figure 4."""

_FEW_CLUSTERS = 20


def predict(theta: dict[str, float] | Sequence[float], params: ArrayLike, tokens: ArrayLike) -> Vector:
    """Evaluate the law.

    Parameters
    ----------
    theta : dict or sequence
        ``E, A, B, alpha, beta``, by name or in this order.
    params : array_like
        Model sizes, parameters, ``(n,)``.
    tokens : array_like
        Training tokens, ``(n,)``.

    Returns
    -------
    numpy.ndarray
        Loss, nats/token, ``(n,)``.
    """
    E, A, B, alpha, beta = [theta[symbol] for symbol in SYMBOLS] if isinstance(theta, dict) else theta
    N, D = np.asarray(params, dtype=float), np.asarray(tokens, dtype=float)
    return np.asarray(E + A * N**-alpha + B * D**-beta)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFit(FitResult):
    """Fitted L(N, D)."""

    range_params: tuple[float, float]
    """Smallest and largest model that was fitted, parameters."""
    range_tokens: tuple[float, float]
    """Fewest and most tokens that were fitted."""

    def predict(self, params: ArrayLike, tokens: ArrayLike, *, level: float | None = None) -> pd.DataFrame:
        """Predict the mean loss, with a percentile band of the bootstrap.

        Parameters
        ----------
        params, tokens : array_like
            Model sizes (parameters) and training tokens, ``(n,)`` or one number.
        level : float, optional
            Of the band; the level of the fit when left out.

        Returns
        -------
        pandas.DataFrame
            Columns ``params``, ``tokens``, ``loss``, ``lower``, ``upper`` (nats/token) and ``extrapolated``.
            The band is of the mean: a new run scatters more, and outside the fitted range the form itself is in doubt.
            There is no band (NaN) where resamples often did not converge or the optimum is none.
        """
        level = check_level(self.level if level is None else level)
        N, D = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=float)) for x in (params, tokens)))
        frame = pd.DataFrame({"params": N, "tokens": D, "loss": predict(self.estimate, N, D)})
        band = np.full((2, len(N)), np.nan)
        if len(self.draws) > 1 and not set(SYMBOLS) <= set(self.unidentified):
            curves = np.stack([predict(draw, N, D) for draw in self.draws])
            band = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
        inside = frame["params"].between(*self.range_params) & frame["tokens"].between(*self.range_tokens)
        return frame.assign(lower=band[0], upper=band[1], extrapolated=~inside)


def fit_scaling_law(
    data: pd.DataFrame,
    *,
    law: str = "chinchilla",
    params: str = "params_total",
    tokens: str = "tokens",
    loss: str = "loss_nats_per_token",
    groups: str | ArrayLike | None = None,
    delta: float = 1e-3,
    bootstrap: int = 400,
    seed: int = 0,
    level: float = 0.95,
) -> ScalingFit:
    """Fit L(N, D) = E + A/N^alpha + B/D^beta.

    Parameters
    ----------
    data : pandas.DataFrame
        One row a run. Runs whose ``status`` is ``diverged`` are left out and counted.
    law : str
        Only ``chinchilla`` so far.
    params, tokens, loss : str
        Columns: parameters, training tokens, final loss in nats/token.
    groups : str or array_like, optional
        Runs that are resampled together: a column or one label a row of ``data``. Without it, all runs of one size and
        token count (seeds) are one group.
    delta : float
        Where Huber's loss on ln L turns linear.
    bootstrap : int
        Resamples; 0 gives no intervals.
    seed : int
        Of the bootstrap.
    level : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    ScalingFit
        With status ``not_identified``, and named parameters without intervals, where the data do not determine them.

    Raises
    ------
    InputError
        A column is missing or holds something else than positive finite numbers, or there are too few points or sizes.
    """
    level = check_level(level)
    if law != "chinchilla":
        raise InputError(f"law: {law!r} was given (allowed: chinchilla)")
    if not delta > 0 or bootstrap < 0:
        raise InputError(f"delta {delta!r} and bootstrap {bootstrap!r} were given, above 0 and 0 or more are needed")
    require_columns(data, params, tokens, loss)
    labels = _labels(data, groups)
    kept, n_diverged = drop_diverged(data.assign(_group=labels))
    N, D, L = positive(kept, params), positive(kept, tokens), positive(kept, loss)
    _check_design(N, D)
    # one order of rows, so that the order in which they came cannot change a digit
    order = np.lexsort((L, D, N))
    n, d = np.log(N[order]), np.log(D[order])
    form = LogForm(n, d, np.log(L[order]), float(n.mean()), float(d.mean()))
    best = multistart(form.residual, form.jacobian, form.starts(), delta=delta, bounds=BOUNDS)
    cells = pd.Series(list(zip(N, D, strict=True)))
    clusters = pd.factorize((cells if groups is None else kept["_group"]).iloc[order])[0]
    draws = cluster_bootstrap(_refit(form, best.theta, delta), clusters, resamples=bootstrap, rng=np.random.default_rng(seed))
    resid = np.empty_like(L)
    resid[order] = form.residual(best.theta)
    seeds = kept.groupby([params, tokens])["seed"].nunique() if "seed" in kept else cells.value_counts()
    estimate = form.natural(best.theta)
    n_clusters = int(clusters.max()) + 1
    unidentified, notes = judge(N, D, L, estimate, draws.estimates, best.convergence, level)
    if n_clusters < _FEW_CLUSTERS:
        notes.append(
            Note("few_clusters", f"{n_clusters} clusters of runs: intervals from under {_FEW_CLUSTERS} are too short")
        )
    if draws.not_converged > 0.1 * bootstrap:
        unidentified |= set(SYMBOLS)
        notes.append(Note("unstable_bootstrap", f"{draws.not_converged} of {bootstrap} resamples did not converge"))
    return ScalingFit(
        law="scaling",
        formula="L = E + A/N^alpha + B/D^beta",
        symbols=SYMBOLS,
        units=("nats/token", "nats/token", "nats/token", "1", "1"),
        estimate=tuple(estimate.tolist()),
        draws=tuple(map(tuple, draws.estimates.tolist())),
        level=level,
        resid=tuple(resid.tolist()),
        objective=best.objective,
        counts=Counts(n_runs=len(N), n_diverged=n_diverged, n_clusters=n_clusters, n_seeds=int(seeds.max())),
        convergence=best.convergence,
        bootstrap=Bootstrap(kind="cluster", resamples=bootstrap, not_converged=draws.not_converged),
        status="not_identified" if unidentified else "ok",
        unidentified=tuple(symbol for symbol in SYMBOLS if symbol in unidentified),
        warnings=tuple(notes),
        settings={"params": params, "tokens": tokens, "loss": loss, "delta": delta, "seed": seed},
        range_params=(float(N.min()), float(N.max())),
        range_tokens=(float(D.min()), float(D.max())),
    )


def _labels(data: pd.DataFrame, groups: str | ArrayLike | None) -> NDArray[Any]:
    if groups is None:
        return np.zeros(len(data))
    if isinstance(groups, str):
        require_columns(data, groups)
        return data[groups].to_numpy()
    labels = np.asarray(groups)
    if labels.shape != (len(data),):
        raise InputError(f"groups: labels of shape {labels.shape} were given, one label a row, ({len(data)},), is needed")
    return labels


def _check_design(N: Vector, D: Vector) -> None:
    if len(N) < len(SYMBOLS):
        raise InputError(
            f"data: {len(N)} runs with a loss were given, {len(SYMBOLS)} or more are needed for {len(SYMBOLS)} parameters"
        )
    for name, values in (("model sizes", N), ("token counts", D)):
        if len(np.unique(values)) < 2:
            raise InputError(
                f"data: one value of {name} was given ({values[0]:g}), 2 or more are needed, 3 to identify the law"
            )


def _refit(form: LogForm, theta: Vector, delta: float) -> Callable[[NDArray[np.intp]], Vector | None]:
    def refit(rows: NDArray[np.intp]) -> Vector | None:
        if len(np.unique(rows)) < len(SYMBOLS):
            return None
        resample = form.rows(rows)
        end = multistart(resample.residual, resample.jacobian, [theta], delta=delta, bounds=BOUNDS)
        natural = form.natural(end.theta)
        return natural if end.convergence.converged and np.isfinite(natural).all() else None

    return refit

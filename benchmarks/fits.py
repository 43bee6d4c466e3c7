"""CPU time of fits and their bootstraps: the batched solver, the general path, a scipy loop, and peers where installed.

``OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/fits.py`` prints a table. Everything runs in one process, with one thread
where the variable is set; loops are timed on a sample of resamples, in brackets, and scaled to all. The runs are those of
Hoffmann et al. (2022) as digitised by Besiroglu et al. (2024) where their table lies beside the checkout, else simulated ones.
"""

import importlib
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from analysis import custom_law
from analysis.fitting.objectives import Objective
from analysis.fitting.posynomial import Posynomial, solve
from analysis.laws.forms import KAPLAN

Vector = NDArray[np.float64]
ROOT = Path(__file__).parents[1]
RUNS = "shared/data/chinchilla/fit_chinchilla_epoch.csv"
LAW = Posynomial(((-1, 0), (0, -1), (0, 0)))
DELTA = 1e-3
HUBER = Objective("huber", delta=DELTA)
RESAMPLES, SCIPY_SAMPLE = 4000, 50


def main() -> None:
    """Measure and print."""
    x, y, source = load()
    counts = np.random.default_rng(0).multinomial(len(y), np.full(len(y), 1 / len(y)), size=RESAMPLES).astype(float)
    print(f"{len(y)} runs, {source}; {RESAMPLES} resamples; CPU-seconds\n")
    point, t_point = timed(lambda: solve(LAW, x, y, objective="huber"), repeats=5)
    start = point.theta[0]
    draws, t_ours = timed(lambda: solve(LAW, x, y, objective="huber", weights=counts, starts=start), repeats=3)
    row("batched Newton, point, no start values", t_point, "", f"gradient {point.gradient[0]:.0e}")
    row("batched Newton, bootstrap", t_ours, "1", f"converged {draws.converged.mean():.2%}, {draws.gradient.max():.0e}")
    for name, centre in (("", np.zeros(2)), (", centred", x.mean(axis=0))):
        loop, t_loop = timed(bfgs_loop, x, y, counts[:SCIPY_SAMPLE], start, centre, repeats=2)
        t_loop *= RESAMPLES / SCIPY_SAMPLE
        worst = np.abs(loop / draws.theta[:SCIPY_SAMPLE] - 1).max()
        what = f"scipy BFGS, exact gradient{name} ({SCIPY_SAMPLE})"
        row(what, t_loop, f"{t_loop / t_ours:.0f}", f"parameters differ by {worst:.0e}")
    inputs = np.exp(x.T)
    first, t_first = timed(lambda: KAPLAN.model.solve(inputs, y, objective=HUBER), repeats=3)
    row("general path, Kaplan's law, point, 6 starts", t_first, "", f"gradient {first.gradient.max():.0e}")
    start = first.theta[np.argmin(first.value)]
    ends, t_general = timed(lambda: KAPLAN.model.solve(inputs, y, objective=HUBER, weights=counts, starts=start))
    row("general path, bootstrap", t_general, f"{t_general / t_ours:.0f}", f"converged {ends.converged.mean():.2%}")
    begin = {"E": 1.5, "A": 300.0, "B": 300.0, "alpha": 0.3, "beta": 0.3}
    own = custom_law(user_function, tuple(begin), start=begin, positive=("E", "A", "B"))
    ends, t_own = timed(
        lambda: own.model.solve(inputs, y, objective=HUBER, weights=counts, starts=point.theta[0, [2, 0, 1, 3, 4]])
    )
    worst = np.abs(ends.theta[:, [1, 2, 0, 3, 4]] / draws.theta - 1).max()
    row("a user's function, bootstrap", t_own, f"{t_own / t_ours:.0f}", f"parameters differ by {worst:.0e}")
    for name, peer in (("chinchilla", peer_chinchilla), ("lmfit", peer_lmfit)):
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"{name + ', point':<46} not installed")
            continue
        (theta, weighting, note), seconds = timed(peer, x, y)
        best = solve(LAW, x, y, objective=weighting)
        excess = huber_sum(x, y, theta, weighting) / best.value[0] - 1
        row(
            f"{name}, point, {note}",
            seconds,
            f"{seconds / t_point:.1f} x point",
            f"objective above the optimum by {excess:.0e}",
        )


def load() -> tuple[Vector, Vector, str]:
    """Logarithms of parameters and tokens ``(n, 2)``, ln loss ``(n,)`` and where they are from."""
    path = ROOT.parent / RUNS
    if path.is_file():
        table = pd.read_csv(path).query("kept_by_epoch == 1")
        return np.log(table[["params", "tokens"]].to_numpy()), np.log(table["loss"].to_numpy()), "digitised"
    rng = np.random.default_rng(1)
    compute, ratio = rng.uniform(np.log(6e18), np.log(3e21), 240), rng.uniform(np.log(0.5), np.log(300), 240)
    x = np.column_stack([(compute - np.log(6) - ratio) / 2, (compute - np.log(6) + ratio) / 2])
    truth = np.array([np.log(482.0), np.log(2085.0), np.log(1.8172), 0.3478, 0.3658])
    return x, LAW.log_value(truth, x) + 0.005 * rng.standard_t(4, 240), "simulated"


def timed(call: Callable[..., Any], *args: Any, repeats: int = 1) -> tuple[Any, float]:
    """Result and least CPU time of several calls, with that of child processes, in s."""

    def clock() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    seconds = []
    for _ in range(repeats):
        before = clock()
        result = call(*args)
        seconds.append(clock() - before)
    return result, min(seconds)


def row(what: str, seconds: float, ratio: str, note: str) -> None:
    """Print one line of the table."""
    print(f"{what:<46} {seconds:9.3f} {ratio:>12}   {note}")


def bfgs_loop(x: Vector, y: Vector, counts: Vector, start: Vector, centre: Vector) -> Vector:
    """Warm-started BFGS for one resample after the other; peers leave the logarithms as they are, ``centre`` 0.

    The objective is divided by its first value, since scipy's tolerances are absolute.
    """
    return np.stack([scipy_bfgs(x - centre, y, w, start, centre) for w in counts])


def scipy_bfgs(x: Vector, y: Vector, weights: Vector, start: Vector, centre: Vector) -> Vector:
    """One resample of :func:`bfgs_loop`."""
    n, d = x.T

    def objective(p: Vector, unit: float) -> tuple[float, Vector]:
        terms = np.exp(np.stack([p[0] - p[3] * n, p[1] - p[4] * d, np.full_like(n, p[2])]))
        total = terms.sum(axis=0)
        resid = np.log(total) - y
        clipped = np.clip(resid, -DELTA, DELTA)
        pull = weights * clipped * terms / total
        gradient = np.array([*pull.sum(axis=1), -pull[0] @ n, -pull[1] @ d])
        return float(weights @ (clipped * (resid - clipped / 2))) / unit, gradient / unit

    shift = np.append(start[3:] * centre, [0.0, 0.0, 0.0])
    end = minimize(objective, start - shift, (objective(start - shift, 1.0)[0],), method="BFGS", jac=True).x
    return np.asarray(end + np.append(end[3:] * centre, [0.0, 0.0, 0.0]))


def user_function(N: Vector, D: Vector, E: float, A: float, B: float, alpha: float, beta: float) -> Vector:
    """The same law as a user writes it; derivatives are taken by a complex step."""
    return E + A * N**-alpha + B * D**-beta


def huber_sum(x: Vector, y: Vector, theta: Vector, kind: str) -> float:
    """Objective of a peer's parameters."""
    resid = LAW.log_value(theta, x) - y
    clipped = np.clip(resid, -DELTA, DELTA) if kind == "huber" else resid
    return float(np.sum(clipped * (resid - clipped / 2)))


def peer_chinchilla(x: Vector, y: Vector) -> tuple[Vector, str, str]:
    """The package's own fit of the same objective, from the 243 starts of a grid of three values a parameter."""
    package = importlib.import_module("chinchilla")

    def log_huber(observed: Vector, predicted: Vector) -> Vector:
        resid = np.log(predicted) - np.log(observed)
        clipped = np.clip(resid, -DELTA, DELTA)
        return np.asarray(clipped * (resid - clipped / 2))

    grid = {
        "E": [1.1, 1.3, 1.5],
        "A": [200, 600, 1000],
        "B": [200, 600, 1000],
        "alpha": [0.1, 0.3, 0.5],
        "beta": [0.1, 0.3, 0.5],
    }
    N, D = np.exp(x).T
    with tempfile.TemporaryDirectory() as folder:
        pd.DataFrame({"C": 6 * N * D, "N": N, "D": D, "loss": np.exp(y)}).to_csv(Path(folder) / "df.csv", index=False)
        ranges = {"C": (1e18, 1e22), "N_to_D": (1, 100)}
        fit = package.Chinchilla(folder, param_grid=grid, seed_ranges=ranges, loss_fn=log_huber, log_level=50)
        fit.fit(parallel=False)
    theta = np.array([np.log(float(fit.A)), np.log(float(fit.B)), np.log(float(fit.E)), float(fit.alpha), float(fit.beta)])
    return theta, "huber", "243 starts"


def peer_lmfit(x: Vector, y: Vector) -> tuple[Vector, str, str]:
    """Least squares of ln loss from Hoffmann's published values: the package has no Huber loss with its errors."""
    lmfit = importlib.import_module("lmfit")
    names = ("a", "b", "e", "alpha", "beta")
    start = (np.log(406.4), np.log(410.7), np.log(1.69), 0.34, 0.28)
    params = lmfit.create_params(**dict(zip(names, start, strict=True)))
    found = lmfit.minimize(lambda p: LAW.log_value([p[name].value for name in names], x) - y, params).params
    return np.array([found[name].value for name in names]), "l2", "least squares"


if __name__ == "__main__":
    main()

"""The batched solver against optima found by other solvers, a published bootstrap, and what must not change an answer.

``fit_oracles.csv`` has optima of Chinchilla's law on the digitised runs of Hoffmann et al. (2022), each found by twelve
independent starts of another program; the bootstrap is that of the notebook of Besiroglu et al. (2024, arXiv:2404.10102).
"""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from analysis.fitting.objectives import Objective
from analysis.fitting.posynomial import Posynomial, seeds, solve
from curselab.errors import InputError

CHINCHILLA = Posynomial(((-1, 0), (0, -1), (0, 0)))
EXACT = ("A", "B", "E", "alpha", "beta")


def natural(theta):
    return np.hstack([np.exp(theta[..., :3]), theta[..., 3:]])


def runs(shared, *, all_runs=False):
    table = pd.read_csv(shared / "data/chinchilla/fit_chinchilla_epoch.csv")
    kept = table if all_runs else table[table["kept_by_epoch"] == 1]
    return np.log(kept[["params", "tokens"]].to_numpy()), np.log(kept["loss"].to_numpy())


def notebook_weights(resamples):
    rng = np.random.RandomState(42)  # noqa: NPY002 - the generator of the notebook
    rows = np.arange(240)
    return np.stack([np.bincount(rng.choice(rows, 240, replace=True), minlength=240) for _ in range(resamples)]).astype(float)


def oracle_objective(text):
    delta = re.search(r"delta=([\d.e-]+)", text)
    on = "raw" if "of loss" in text else "log"
    return Objective("huber", on=on, delta=float(delta[1])) if delta else Objective("l2", on=on)


def test_exact_optima_without_start_values(shared):
    table = pd.read_csv(shared / "data/chinchilla/fit_oracles.csv")
    table = table[table["source"] == "computed here"]
    assert len(table) == 14
    for _, row in table.iterrows():
        x, y = runs(shared, all_runs=row["dataset"] == "245")
        found = solve(CHINCHILLA, x, y, objective=oracle_objective(row["objective"]))
        np.testing.assert_allclose(natural(found.theta)[0], row[list(EXACT)].to_numpy(float), rtol=1e-6)
        halves = 0.5 if row["objective"].startswith("sum r^2") else 1.0
        np.testing.assert_allclose(found.value, halves * row["objective_value"], rtol=1e-10)
        assert found.converged.all()


def test_exact_least_absolute_deviations(shared):
    x, y = runs(shared)
    found = solve(CHINCHILLA, x, y, objective="l1")
    np.testing.assert_allclose(natural(found.theta)[0], [482.006, 2085.436, 1.816864, 0.347813, 0.365854], rtol=1e-6)
    assert found.value[0] == pytest.approx(1.1294945, rel=1e-6)
    # it passes through as many runs as it has parameters
    assert np.sum(np.abs(CHINCHILLA.log_value(found.theta[0], x) - y) < 1e-12) == 5


def test_the_notebook_s_resamples_and_standard_errors(shared):
    x, y = runs(shared)
    point = solve(CHINCHILLA, x, y, objective="huber")
    draws = solve(CHINCHILLA, x, y, objective="huber", weights=notebook_weights(4000), starts=point.theta[0])
    assert draws.converged.all()
    exact = [
        [349.5557, 2356.2179, 1.7933292, 0.3286333, 0.3718539],
        [487.8392, 1509.9912, 1.8035861, 0.3489652, 0.3499900],
        [728.4131, 2506.5932, 1.8616526, 0.3724244, 0.3750315],
    ]
    np.testing.assert_allclose(natural(draws.theta[:3]), exact, rtol=1e-6)
    errors = natural(draws.theta).std(axis=0, ddof=1)
    np.testing.assert_allclose(errors, [124.494, 1293.169, 0.025657, 0.0153975, 0.0205942], rtol=1e-5)
    # as printed in the notebook's cell 25, whose resamples stop short of their optima
    np.testing.assert_allclose(errors, [124.52232, 1293.28410, 0.02566, 0.01540, 0.02060], rtol=5e-3)


def _reference(x, y, weights, start):
    """Scipy's BFGS with an analytic gradient, again and again from where it stopped until nothing falls any more."""
    n, d = (x - x.mean(axis=0)).T
    log_e = np.stack([np.ones_like(n), np.ones_like(d), np.ones_like(d)])

    def objective(p, unit):
        terms = np.exp(np.stack([p[0] - p[3] * n, p[1] - p[4] * d, p[2] + 0 * n]))
        r = np.log(terms.sum(axis=0)) - y
        pull = weights * np.clip(r, -1e-3, 1e-3) * terms / terms.sum(axis=0)
        value = weights @ np.where(np.abs(r) < 1e-3, r**2 / 2, 1e-3 * (np.abs(r) - 5e-4))
        return value / unit, np.append((pull * log_e).sum(axis=1), [-pull[0] @ n, -pull[1] @ d]) / unit

    a, b, e, alpha, beta = start
    p = np.array([a - alpha * x[:, 0].mean(), b - beta * x[:, 1].mean(), e, alpha, beta])
    unit = objective(p, 1.0)[0]
    for _ in range(20):
        p = minimize(objective, p, (unit,), method="BFGS", jac=True, options={"gtol": 1e-13, "maxiter": 500}).x
    return np.array([p[0] + p[3] * x[:, 0].mean(), p[1] + p[4] * x[:, 1].mean(), *p[2:]]), objective(p, 1.0)[0]


@pytest.mark.parametrize("resamples", [50, pytest.param(4000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_every_resample_meets_a_tight_reference(shared, resamples):
    x, y = runs(shared)
    weights = notebook_weights(resamples)
    point = solve(CHINCHILLA, x, y, objective="huber").theta[0]
    draws = solve(CHINCHILLA, x, y, objective="huber", weights=weights, starts=point)
    for theta, value, w in zip(draws.theta, draws.value, weights, strict=True):
        reference, lowest = _reference(x, y, w, point)
        np.testing.assert_allclose(theta, reference, rtol=1e-6)
        np.testing.assert_allclose(value, lowest, rtol=1e-9)


@pytest.mark.parametrize("what", ["huber", "l2", "l1", Objective("huber", on="raw", delta=1e-3)], ids=str)
def test_what_must_not_change_an_answer(shared, what):
    x, y = runs(shared)
    reference = solve(CHINCHILLA, x, y, objective=what)

    def agrees(found, *, times=1.0, shift=(0.0, 0.0)):
        theta = found.theta.copy()
        theta[:, :2] += theta[:, 3:] * shift
        np.testing.assert_allclose(theta, np.broadcast_to(reference.theta, theta.shape), rtol=1e-8)
        np.testing.assert_allclose(found.value, times * reference.value[0], rtol=1e-10)
        np.testing.assert_array_equal(found.converged, True)

    scales = 10.0 ** np.arange(-6, 7, 3)
    agrees(solve(CHINCHILLA, x, y, objective=what, weights=scales[:, None] * np.ones(240)), times=scales)
    agrees(solve(CHINCHILLA, x - [np.log(1e6), 0.0], y, objective=what), shift=(np.log(1e6), 0.0))
    order = np.random.default_rng(0).permutation(240)
    agrees(solve(CHINCHILLA, x[order], y[order], objective=what))
    agrees(solve(CHINCHILLA, np.repeat(x, 2, axis=0), np.repeat(y, 2), objective=what), times=2.0)


@pytest.mark.parametrize("what", ["huber", "l2", "l1", Objective("l2", on="raw"), Objective("asymmetric", tilt=0.1)], ids=str)
def test_data_without_noise_give_back_the_truth(shared, what):
    x, _ = runs(shared)
    truth = np.array([np.log(406.4), np.log(410.7), np.log(1.69), 0.34, 0.28])
    found = solve(CHINCHILLA, x, CHINCHILLA.log_value(truth, x), objective=what)
    np.testing.assert_allclose(found.theta[0], truth, rtol=1e-9)
    assert found.converged.all()


def test_weights_are_copies_of_rows(shared):
    x, y = runs(shared)
    weights = notebook_weights(3)
    found = solve(CHINCHILLA, x, y, objective="huber", weights=weights)
    for theta, w in zip(found.theta, weights.astype(int), strict=True):
        copied = solve(CHINCHILLA, np.repeat(x, w, axis=0), np.repeat(y, w), objective="huber")
        np.testing.assert_allclose(copied.theta[0], theta, rtol=1e-8)


def test_ties_and_fixed_parameters_are_the_smaller_law(shared):
    """Tied exponents are the law with one exponent; a fixed E leaves a two-term law of what remains."""
    x, y = runs(shared)
    tied = solve(CHINCHILLA, x, y, objective="huber", ties=[(3, 4)])
    # one exponent cannot multiply two logarithms in a posynomial, so an independent optimiser is the reference
    best = minimize(
        lambda p: _huber_sum(CHINCHILLA.log_value([*p, p[3]], x) - y),
        tied.theta[0, :4] * 1.001,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-16, "maxiter": 8000, "maxfev": 8000},
    )
    assert tied.theta[0, 3] == tied.theta[0, 4]
    assert tied.value[0] <= best.fun * (1 + 1e-12)
    free = solve(CHINCHILLA, x, y, objective="huber")
    fixed = solve(CHINCHILLA, x, y, objective="huber", fixed={0: free.theta[0, 0], 4: free.theta[0, 4]})
    np.testing.assert_allclose(fixed.theta, free.theta, rtol=1e-8)
    profile = solve(CHINCHILLA, x, y, objective="huber", fixed={4: free.theta[0, 4] + np.array([-0.05, 0.0, 0.05])})
    np.testing.assert_allclose(profile.theta[1], free.theta[0], rtol=1e-8)
    assert profile.value[1] < min(profile.value[0], profile.value[2])
    np.testing.assert_allclose(profile.theta[:, 4] - free.theta[0, 4], [-0.05, 0.0, 0.05], atol=1e-12)


def _huber_sum(resid, delta=1e-3):
    size = np.abs(resid)
    return float(np.where(size < delta, size**2 / 2, delta * (size - delta / 2)).sum())


def test_a_solution_on_a_bound_is_reported(shared):
    x, y = runs(shared)
    inside = solve(CHINCHILLA, x, y, objective="huber", bounds={3: (0.0, 2.0), 4: (0.0, 2.0)})
    assert inside.converged.all()
    assert not inside.at_bound.any()
    outside = solve(CHINCHILLA, x, y, objective="huber", bounds={3: (0.0, 2.0), 4: (0.0, 0.3)})
    assert outside.theta[0, 4] == 0.3
    assert outside.converged.all()
    assert outside.at_bound.all()
    held = solve(CHINCHILLA, x, y, objective="huber", fixed={4: 0.3})
    np.testing.assert_allclose(outside.theta, held.theta, rtol=1e-6)
    floor = solve(CHINCHILLA, x, y, objective="huber", bounds={2: (np.log(1.9), np.inf)})
    np.testing.assert_allclose(
        floor.theta, solve(CHINCHILLA, x, y, objective="huber", fixed={2: np.log(1.9)}).theta, rtol=1e-6
    )


def test_other_laws_of_power_terms():
    """Three sizes with one term each and none constant; the truth is recovered."""
    rng = np.random.default_rng(0)
    form = Posynomial(((-1, 0, 0), (0, -1, 0), (0, 0, -1)))
    x = rng.uniform(0, 8, (60, 3))
    truth = np.array([1.0, 0.5, 2.0, 0.9, 0.3, 0.6])
    found = solve(form, x, form.log_value(truth, x), objective="huber")
    np.testing.assert_allclose(found.theta[0], truth, rtol=1e-8)


def test_seeds_are_sorted_and_near(shared):
    x, y = runs(shared)
    starts = seeds(CHINCHILLA, x, y, "huber", keep=5)
    assert starts.shape == (5, 5)
    values = [_huber_sum(CHINCHILLA.log_value(start, x) - y) for start in starts]
    assert values == sorted(values)
    ends = solve(CHINCHILLA, x, y, objective="huber", starts=starts)
    np.testing.assert_allclose(ends.value, ends.value[0], rtol=1e-9)


def test_a_loss_that_rises_with_size_is_no_optimum_inside_the_bounds():
    x = np.column_stack([np.linspace(0, 1, 12), np.linspace(0, 5, 12) ** 2])
    with np.errstate(all="raise"):
        found = solve(CHINCHILLA, x, np.linspace(0, 2, 12), objective="l2", bounds={3: (0.0, 10.0), 4: (0.0, 10.0)})
    assert (found.at_bound | ~found.converged).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"weights": -np.ones((2, 12))}, "weights"),
        ({"weights": np.ones((2, 11))}, r"\(batch, 12\)"),
        ({"starts": np.zeros(4)}, "5 finite parameters"),
        ({"starts": np.zeros((2, 5)), "weights": np.ones((3, 12))}, "1 or 3"),
        ({"y": np.full((2, 12), np.nan)}, "finite"),
        ({"y": np.zeros((2, 12)), "weights": np.ones((3, 12))}, "1 or 3"),
        ({"fixed": {5: 0.0}}, "0 to 4"),
        ({"fixed": {0: np.nan}}, "finite"),
        ({"fixed": {3: 0.3, 4: 0.4}, "ties": [(3, 4)]}, "one finite value"),
        ({"ties": [(0, 4)]}, "two scales"),
        ({"bounds": {3: (1.0, 1.0)}}, "a range"),
        ({"bounds": {0: (1.0, 2.0)}}, "exponents, and a constant term"),
        ({"bounds": {7: (1.0, 2.0)}}, "0 to 4"),
    ],
)
def test_wrong_input_is_one_line(given, says):
    x = np.column_stack([np.linspace(0, 1, 12), np.linspace(0, 5, 12)])
    with pytest.raises(InputError, match=says) as caught:
        solve(CHINCHILLA, x, **{"y": np.zeros(12), "objective": "l2"} | given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["huber", Objective("l2", on="raw"), "l1"], ids=str)
def test_responses_of_a_batch_are_separate_fits(shared, what):
    x, y = runs(shared)
    responses = y + 0.005 * np.random.default_rng(0).standard_normal((3, 240))
    start = solve(CHINCHILLA, x, y, objective=what).theta[0]
    together = solve(CHINCHILLA, x, responses, objective=what, starts=start)
    for i, row in enumerate(responses):
        alone = solve(CHINCHILLA, x, row, objective=what)
        np.testing.assert_allclose(together.theta[i], alone.theta[0], rtol=1e-8)
        np.testing.assert_allclose(together.value[i], alone.value[0], rtol=1e-10)
    assert together.converged.all()

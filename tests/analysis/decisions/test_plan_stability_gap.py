import numpy as np
import pytest

from analysis.decisions.plan_stability_gap import default_cadences, expected_curve, plan_stability_gap
from analysis.laws.stability_gap_curve import fit_curve
from analysis.laws.stability_gap_estimates import estimates, measured
from analysis.laws.stability_gap_forms import DOUBLE_EXPONENTIAL, NULLS
from analysis.laws.stability_gap_log import Curve
from curselab.errors import InputError

STEPS, MINIMUM, DEPTH, INDEX = 600, 30, 0.1, 0.7
CADENCE = "all to 20, then x 1.25"


def found(noise, seeds, n=50):
    """Depths and rises of simulated curves through the analysis, and whether their intervals exclude zero, ``(4, n)``."""
    truth = expected_curve(DEPTH, MINIMUM / STEPS, index=INDEX)
    steps = np.array([0.0, *default_cadences(STEPS)[CADENCE]])
    exact, rows = truth.at(steps[None] / STEPS)[0], []
    for i in range(n):
        values = exact + noise * np.random.default_rng(i).standard_normal((seeds, len(steps)))
        curve = Curve(
            arm="arm",
            split="all",
            seeds=tuple(range(seeds)),
            steps=steps,
            tokens=steps,
            values=values,
            repeats=np.ones(len(steps)),
            learning_rates=None,
        )
        fit = fit_curve(curve, (*NULLS, DOUBLE_EXPONENTIAL), shape="form")
        e = estimates(fit, measured(fit, tolerance=0.0, peak=None), tolerance=0.0, level=0.95)
        rows.append([e["depth"].value, e["transient"].value, e["depth"].lower > 0, e["transient"].lower > 0])
    return np.array(rows, dtype=float).T


def test_the_expected_curve_is_what_was_asked_for():
    t = np.linspace(0, 1, 200_001)
    y = expected_curve(0.82, 3.1 / 50, index=1.3).at(t[None])[0]
    assert y.min() == pytest.approx(-0.82)
    assert t[y.argmin()] == pytest.approx(3.1 / 50, abs=1e-5)
    assert (y[-1] - y.min()) / -y.min() == pytest.approx(1.3)


def test_errors_are_those_of_finite_differences():
    curve = expected_curve(DEPTH, MINIMUM / STEPS, index=INDEX)
    G, D = curve.sizes[0, 1:]
    fast, slow = np.exp(curve.shapes[0, 0]), np.exp(curve.shapes[0].sum())
    truth = np.array([0.0, G, D, fast, slow])

    def y(t, theta):
        start, gain, drop, t1, t2 = theta
        return start + gain * (1 - np.exp(-t / t2)) - drop * (np.exp(-t / t2) - np.exp(-t / t1))

    def slopes(function):
        steps = 1e-6 * np.maximum(truth, 1e-3)
        return np.array([(function(truth + h) - function(truth - h)) / (2 * h.sum()) for h in np.diag(steps)])

    t = np.array([0.0, *default_cadences(STEPS)[CADENCE]]) / STEPS
    fine = np.linspace(0, 1, 400_001)
    covariance = np.linalg.inv(slopes(lambda theta: y(t, theta)) @ slopes(lambda theta: y(t, theta)).T)
    depth = slopes(lambda theta: theta[0] - y(fine, theta).min())
    rise = slopes(lambda theta: y(1.0, theta) - y(fine, theta).min())
    plan = plan_stability_gap(DEPTH, steps=STEPS, minimum=MINIMUM, noise=0.01, index=INDEX)
    cadence = next(c for c in plan.cadences if c.cadence == CADENCE)
    assert cadence.error_depth == pytest.approx(np.sqrt(depth @ covariance @ depth), rel=1e-3)
    assert cadence.error_rise == pytest.approx(np.sqrt(rise @ covariance @ rise), rel=1e-3)


def test_simulated_runs_find_what_was_planned():
    """50 tables: a spread has a standard error of 10 %, a share one of 5 to 7 points."""
    noise, seeds = 0.06, 4
    plan = plan_stability_gap(DEPTH, steps=STEPS, minimum=MINIMUM, noise=noise, index=INDEX, seeds=seeds)
    c = next(c for c in plan.cadences if c.cadence == CADENCE)
    depths, rises, depth_found, rise_found = found(noise, seeds)
    assert depths.std(ddof=1) == pytest.approx(c.error_depth * noise / 2, rel=0.3)
    assert rises.std(ddof=1) == pytest.approx(c.error_rise * noise / 2, rel=0.4)
    assert depth_found.mean() == pytest.approx(c.power_depth, abs=0.15)
    assert rise_found.mean() == pytest.approx(c.power_rise, abs=0.2)


def test_a_tenth_of_the_run_between_evaluations_is_too_coarse():
    plan = plan_stability_gap(DEPTH, steps=STEPS, minimum=MINIMUM, noise=0.02, index=INDEX)
    cadences = {c.cadence: c for c in plan.cadences}
    assert cadences["every 10 %"].early == 0
    assert cadences["every 10 %"].power_depth < 0.1
    assert plan.choice is not None
    assert plan.choice.cadence.startswith("all to 20")
    assert f"enough: {plan.choice.cadence}" in plan.summary()
    assert list(plan.frame()["n_evaluations"]) == sorted(plan.frame()["n_evaluations"])


def test_items_that_are_needed_are_just_enough():
    noises = {"noise": 0.005, "item_sd": 0.4, "item_change_sd": 0.3, "control_depth": 0.02}
    asked = {"steps": STEPS, "minimum": MINIMUM, "index": INDEX, **noises}
    c = next(c for c in plan_stability_gap(DEPTH, **asked, items=100).cadences if c.cadence == CADENCE)
    assert 100 < c.items_needed < 10_000
    for items, enough in ((c.items_needed, True), (c.items_needed - 1, False)):
        again = next(p for p in plan_stability_gap(DEPTH, **asked, items=items).cadences if p.cadence == CADENCE)
        assert (min(again.power_depth, again.power_rise) >= 0.8) is enough
    assert c.seeds_needed is None or c.seeds_needed > 3
    hopeless = plan_stability_gap(DEPTH, steps=STEPS, minimum=MINIMUM, noise=1.0, index=INDEX)
    assert hopeless.choice is None
    assert {c.items_needed for c in hopeless.cadences} == {None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"minimum": 600}, "before the last of 600"),
        ({"minimum": 590}, "no double exponential"),
        ({"noise": 0}, "noise: 0"),
        ({"control_depth": 0.2}, "less than the depth"),
        ({"cadences": {"few": [1, 600]}}, "few has 2 steps"),
    ],
)
def test_what_cannot_be_planned_is_one_line(changes, words):
    with pytest.raises(InputError, match=words):
        plan_stability_gap(**({"depth": DEPTH, "steps": STEPS, "minimum": MINIMUM, "noise": 0.01} | changes))

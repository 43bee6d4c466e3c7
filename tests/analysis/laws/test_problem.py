from dataclasses import replace

import numpy as np
import pytest

from analysis.fitting.objectives import Objective
from analysis.laws.forms import BESIROGLU_2024, CHINCHILLA
from analysis.laws.general import custom_law
from analysis.laws.problem import Problem, draw, solve_point, solve_weights, solve_wild


def problem(noise=0.01, n=60, objective=None, seed=0):
    rng = np.random.default_rng(seed)
    x = np.exp(rng.uniform(np.log([[5e7], [1e9]]), np.log([[1e10], [1e12]]), (2, n)))
    loss = CHINCHILLA.predict(BESIROGLU_2024, *x) * np.exp(noise * rng.standard_normal(n))
    return Problem(
        inputs=tuple(map(tuple, x.tolist())),
        loss=tuple(loss.tolist()),
        weights=(1.0,) * n,
        clusters=tuple(range(n)),
        objective=objective or Objective("l2"),
    )


def test_some_of_the_rows_are_a_problem_of_their_own():
    whole = replace(problem(n=6), weights=(1.0, 2.0, 3.0, 1.0, 1.0, 4.0), clusters=(0, 0, 1, 2, 3, 3))
    part = whole.rows(np.array([False, True, False, True, True, True]))
    assert part.loss == tuple(whole.loss[i] for i in (1, 3, 4, 5))
    np.testing.assert_allclose(part.w, np.array([2, 1, 1, 4]) / 2)
    assert part.clusters == (0, 1, 2, 2)
    np.testing.assert_array_equal(part.x, whole.x[:, [1, 3, 4, 5]])


def test_constraints_are_counted_as_the_solver_counts_parameters():
    given = replace(
        problem(),
        fixed=(("E", 1.5),),
        ties=(("alpha", "beta"),),
        bounds=(("alpha", None, 0.9), ("A", None, None), ("B", 2.0, 3.0)),
    )
    found = given.constraints(CHINCHILLA)
    assert found["fixed"] == {0: pytest.approx(np.log(1.5))}
    assert found["ties"] == [(3, 4)]
    assert found["bounds"][3] == (-np.inf, 0.9)
    assert found["bounds"][1] == (-np.inf, np.inf)
    assert found["bounds"][2] == (pytest.approx(np.log(2)), pytest.approx(np.log(3)))
    assert given.n_free(CHINCHILLA) == 3


def test_auto_resolves_to_a_multiple_of_the_noise():
    point = solve_point(CHINCHILLA, problem(noise=0.01, n=4000, objective=Objective("huber", delta="auto")))
    assert point.problem.objective.threshold == pytest.approx(1.345 * 0.01, rel=0.05)
    raw = solve_point(CHINCHILLA, problem(noise=0.01, n=4000, objective=Objective("huber", on="raw", delta="auto")))
    assert raw.problem.objective.threshold == pytest.approx(1.345 * 0.01 * np.median(raw.problem.loss), rel=0.1)


def test_a_wild_resample_is_a_fit_to_new_losses():
    given = problem()
    point = solve_point(CHINCHILLA, given)
    signs = np.random.default_rng(2).choice([-1.0, 1.0], size=(2, 60))
    ends = solve_wild(CHINCHILLA, given, point, signs)
    for theta, row in zip(ends.theta, signs, strict=True):
        fitted = given.log_loss + point.resid
        new = np.exp(fitted - row * point.resid * np.sqrt(60 / 55))
        again = solve_point(CHINCHILLA, replace(given, loss=tuple(new.tolist())))
        np.testing.assert_allclose(theta, again.theta, rtol=1e-7)


def test_weights_of_a_resample_multiply_those_of_the_runs():
    given = replace(problem(), weights=tuple(np.linspace(0.5, 1.5, 60).tolist()))
    point = solve_point(CHINCHILLA, given)
    rows = np.random.default_rng(3).multinomial(60, np.full(60, 1 / 60), size=1).astype(float)
    both = solve_weights(CHINCHILLA, given, point.theta, rows)
    direct = CHINCHILLA.model.solve(given.x, given.log_loss, objective=Objective("l2"), weights=rows * given.w)
    np.testing.assert_allclose(both.theta[0], direct.theta[np.argmin(direct.value)], rtol=1e-8)


def test_resamples_without_an_optimum_are_counted_and_left_out():
    point = solve_point(CHINCHILLA, problem())
    draws, lost = draw(CHINCHILLA, point, "case", resamples=30, seed=1)
    assert (draws.shape, lost) == ((30, 5), 0)
    assert draw(CHINCHILLA, point, "case", resamples=0, seed=1)[0].shape == (0, 5)
    # two of six rows of a resample may be all that is left
    few, lost = draw(CHINCHILLA, solve_point(CHINCHILLA, problem(n=6)), "case", resamples=200, seed=1)
    assert lost > 0
    assert len(few) + lost == 200


def test_a_second_optimum_is_kept():
    """A wave has one optimum for each period that fits: with two starts both are found and the better one is the answer."""
    x = np.linspace(1, 9, 40)
    law = custom_law(
        lambda t, a, w: 3 + a * np.sin(w * t), ("a", "w"), start=[{"a": 0.5, "w": 2.0}, {"a": 0.5, "w": 4.4}], inputs=("t",)
    )
    loss = 3 + 0.5 * np.sin(2 * x) + 0.499 * np.sin(4.3 * x)
    given = Problem(
        inputs=(tuple(x),), loss=tuple(loss), weights=(1.0,) * 40, clusters=tuple(range(40)), objective=Objective("l2")
    )
    point = solve_point(law, given)
    assert point.convergence.starts_at_optimum == 1
    assert point.rival is None or abs(point.rival[1] - law.natural(point.theta)[1]) > 1

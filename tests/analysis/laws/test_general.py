from dataclasses import replace

import numpy as np
import pytest

from analysis import custom_law, fit_scaling_law
from analysis.fitting.bootstrap import weights
from analysis.fitting.objectives import Objective
from analysis.laws.forms import KAPLAN, OUTER
from analysis.laws.general import broadcast, differentiate
from curselab.errors import InputError

START = {"E": 1.5, "A": 300.0, "B": 300.0, "alpha": 0.3, "beta": 0.3}


def chinchilla(N, D, E, A, B, alpha, beta):
    return E + A * N**-alpha + B * D**-beta


def slopes(N, D, E, A, B, alpha, beta):
    a, b = N**-alpha, D**-beta
    return np.stack([np.ones_like(N), a, b, -A * a * np.log(N), -B * b * np.log(D)], axis=1)


@pytest.mark.parametrize("jacobian", [None, slopes], ids=["complex step", "by hand"])
def test_a_function_finds_the_exact_optimum_of_the_batched_solver(chinchilla_runs, jacobian):
    """Optimum computed independently, fit_oracles.csv."""
    law = custom_law(chinchilla, tuple(START), jacobian, start=START, positive=("E", "A", "B"))
    fit = law.fit(chinchilla_runs, bootstrap=8)
    np.testing.assert_allclose(fit.params, [1.817218099, 477.825868, 2143.417363, 0.3473104989, 0.3671724326], rtol=1e-5)
    same = fit_scaling_law(chinchilla_runs, bootstrap=8)
    np.testing.assert_allclose(fit.draws, same.draws, rtol=1e-6)


def test_a_function_of_numbers_alone_is_resampled_too(chinchilla_runs):
    def numbers_alone(N, D, E, A, B, alpha, beta):
        return float(E) + float(A) * N ** -float(alpha) + float(B) * D ** -float(beta)

    law = custom_law(numbers_alone, tuple(START), start=START, positive=("E", "A", "B"))
    fit, same = law.fit(chinchilla_runs, bootstrap=8), fit_scaling_law(chinchilla_runs, bootstrap=8)
    np.testing.assert_allclose(fit.draws, same.draws, rtol=1e-6)


def test_many_parameters_at_once_where_a_function_allows_it():
    x = np.linspace(1, 2, 4)
    values = [np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.1, 0.2])]
    expected = np.array([[a * u**b for u in x] for a, b in zip(*values, strict=True)])
    calls = []

    def counted(a, b):
        calls.append(np.shape(a))
        return a * x**b

    np.testing.assert_allclose(broadcast(counted, values), expected)
    assert (3, 1) in calls
    np.testing.assert_allclose(broadcast(lambda a, b: float(a) * x ** float(b), values), expected)
    # runs for arrays, but means something else there
    np.testing.assert_allclose(broadcast(lambda a, b: np.max(a) * x**b, values), expected)


@pytest.mark.parametrize("law", ["kaplan", "outer"])
@pytest.mark.parametrize("objective", ["huber", "l2"])
def test_resamples_of_the_batched_solver_are_those_of_a_trust_region(chinchilla_runs, law, objective):
    """Scipy's trust region on copied rows, from the same start; kaplan and outer are no sums of powers."""
    fit = fit_scaling_law(chinchilla_runs, law=law, objective=objective, kind="case", bootstrap=6, seed=3)
    model, problem = fit.form.model, fit.problem
    counts = weights("case", problem.groups, resamples=6, rng=np.random.default_rng(3)).astype(int)
    for row, draw in zip(counts, fit.draws, strict=True):
        x, y = np.repeat(problem.x, row, axis=1), np.repeat(problem.log_loss, row)
        again = replace(model, starts=lambda *_, draw=draw: fit.form.solver(draw)[None])
        reference = again.solve(x, y, objective=problem.objective)
        np.testing.assert_allclose(fit.form.natural(reference.theta[0]), draw, rtol=1e-4)
        assert reference.value[0] >= again.solve(x, y, objective=problem.objective, starts=fit.form.solver(draw)).value * (
            1 - 1e-10
        )


@pytest.mark.parametrize("law", [KAPLAN, OUTER], ids=lambda law: law.name)
def test_jacobians_of_the_laws_agree_with_differences(law, chinchilla_runs):
    x = chinchilla_runs[["params", "tokens"]].to_numpy().T
    theta = law.solver(law.vector(next(iter(law.published.values()))))
    both = np.stack([theta, theta * 1.01])
    exact = law.model.jacobian(both, x)
    for point, slopes in zip(both, exact, strict=True):
        np.testing.assert_allclose(slopes, differentiate(lambda t: law.model.log_loss(t, x).real, point), rtol=1e-5, atol=1e-9)


def test_derivatives_are_exact_where_they_can_be_and_close_elsewhere():
    theta, x = np.array([0.3, 2.0]), np.linspace(1, 3, 5)
    exact = np.stack([-2 * np.log(x) * x**-0.3, x**-0.3], axis=1)
    np.testing.assert_allclose(differentiate(lambda t: t[1] * x ** -t[0], theta), exact, rtol=1e-14)
    # a function that drops the imaginary part without a word
    np.testing.assert_allclose(differentiate(lambda t: t[1].real * x ** -t[0].real, theta), exact, rtol=1e-7)
    np.testing.assert_allclose(differentiate(lambda t: float(t[1]) * x ** -float(t[0]), theta), exact, rtol=1e-7)


def test_a_law_of_other_inputs():
    rng = np.random.default_rng(0)
    temperature, width = rng.uniform(1, 5, 60), rng.uniform(10, 100, 60)
    loss = 2.0 + 3 * np.exp(-temperature) + 5 / width
    law = custom_law(
        lambda t, w, a, b, c: a + b * np.exp(-t) + c / w, ("a", "b", "c"), start={"a": 1, "b": 1, "c": 1}, inputs=("t", "w")
    )
    fit = law.fit(inputs={"t": temperature, "w": width}, loss=loss, bootstrap=0, objective="l2")
    np.testing.assert_allclose(fit.params, [2, 3, 5], rtol=1e-8)
    with pytest.raises(InputError, match="name the column of t, w"):
        law.fit(loss=loss)


@pytest.mark.parametrize(
    ("start", "message"),
    [({"E": 1.0}, "a value for each of E, A, B, alpha, beta"), (START | {"E": -1.0}, "zero or less")],
)
def test_bad_starts_are_refused(start, message):
    with pytest.raises(InputError, match=message):
        custom_law(chinchilla, tuple(START), start=start, positive=("E",))


@pytest.mark.parametrize(
    "objective",
    ["l1", Objective("asymmetric", tilt=0.2), Objective("huber", delta=1e-2, on="raw"), Objective("huber", delta="auto")],
    ids=str,
)
def test_every_objective_is_that_of_the_batched_solver(chinchilla_runs, objective):
    law = custom_law(chinchilla, tuple(START), start=START, positive=("E", "A", "B"))
    fit, same = (
        fit_scaling_law(chinchilla_runs, law=which, objective=objective, bootstrap=8) for which in (law, "chinchilla")
    )
    np.testing.assert_allclose(fit.params, same.params[list(START)], rtol=1e-5)
    np.testing.assert_allclose(fit.draws, same.draws, rtol=1e-4)
    assert fit.convergence.converged


def test_constraints_are_those_of_the_batched_solver(chinchilla_runs):
    law = custom_law(chinchilla, tuple(START), start=START, positive=("E", "A", "B"))
    for option in ({"ties": [("alpha", "beta")]}, {"bounds": {"E": (1.9, None)}}, {"bounds": {"beta": (None, 0.3)}}):
        fit, same = (fit_scaling_law(chinchilla_runs, law=which, bootstrap=8, **option) for which in (law, "chinchilla"))
        np.testing.assert_allclose(fit.params, same.params[list(START)], rtol=1e-5)
        assert {note.code for note in fit.warnings} == {note.code for note in same.warnings}
    outside = fit_scaling_law(chinchilla_runs, law=law, bootstrap=0, bounds={"A": (None, 100.0)})
    assert outside.params["A"] == pytest.approx(100)
    assert "A" in outside.unidentified

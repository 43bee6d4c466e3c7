import numpy as np
import pytest

from analysis.fitting.objectives import Objective
from analysis.laws.forms import CHINCHILLA, HOFFMANN_2022
from analysis.laws.parametric import posynomial_law
from curselab.errors import InputError

WIDTH_DEPTH = posynomial_law(
    "width and depth",
    terms=[("A", "alpha", "width"), ("B", "beta", "depth"), ("F", "gamma", "tokens")],
    floor="E",
    inputs=("width", "depth", "tokens"),
    formula="L = E + A/width^alpha + B/depth^beta + F/tokens^gamma",
    source="",
    valid="",
)
TRUTH = {"E": 1.8, "A": 30.0, "B": 0.8, "F": 900.0, "alpha": 0.6, "beta": 0.9, "gamma": 0.35}


def test_a_law_of_three_terms_is_built_solved_and_read():
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(np.log([[64], [2], [1e8]]), np.log([[8192], [96], [1e11]]), (3, 80)))
    loss = WIDTH_DEPTH.predict(TRUTH, *x)
    np.testing.assert_allclose(loss, 1.8 + 30 / x[0] ** 0.6 + 0.8 / x[1] ** 0.9 + 900 / x[2] ** 0.35, rtol=1e-13)
    fit = WIDTH_DEPTH.fit(inputs=dict(zip(WIDTH_DEPTH.inputs, x, strict=True)), loss=loss, bootstrap=0)
    np.testing.assert_allclose(fit.params, WIDTH_DEPTH.vector(TRUTH), rtol=1e-7)
    assert WIDTH_DEPTH.units == ("nats/token",) * 4 + ("1",) * 3


def test_parameters_and_their_solver_s_logarithms_are_inverse():
    natural = np.array([CHINCHILLA.vector(HOFFMANN_2022), [1.0, 2.0, 3.0, 0.1, 0.2]])
    theta = CHINCHILLA.solver(natural)
    np.testing.assert_allclose(theta[0], [np.log(1.69), np.log(406.4), np.log(410.7), 0.34, 0.28])
    np.testing.assert_allclose(CHINCHILLA.natural(theta), natural, rtol=1e-14)
    # a size that runs away stays a number
    assert np.isfinite(CHINCHILLA.natural(np.array([0.0, 1e4, 0.0, 30.0, 0.3]))).all()


def test_predictions_broadcast_over_points_and_constants():
    both = np.array([CHINCHILLA.vector(HOFFMANN_2022)] * 2)
    assert CHINCHILLA.predict(HOFFMANN_2022, 1e9, 1e10).shape == ()
    assert CHINCHILLA.predict(HOFFMANN_2022, np.ones(3) * 1e9, 1e10).shape == (3,)
    assert CHINCHILLA.predict(both, np.ones((3, 4)) * 1e9, 1e10).shape == (2, 3, 4)
    # E = 0 is a law too
    assert CHINCHILLA.predict(HOFFMANN_2022 | {"E": 0.0}, 1e9, 1e10) == pytest.approx(
        CHINCHILLA.predict(HOFFMANN_2022, 1e9, 1e10) - 1.69
    )


def test_an_unknown_parameter_names_those_there_are():
    with pytest.raises(InputError, match="'gamma' was given .allowed in law chinchilla: E, A, B, alpha, beta"):
        CHINCHILLA.index("gamma")


def test_constraints_reach_the_solver_and_its_seeds():
    rng = np.random.default_rng(1)
    N, D = np.exp(rng.uniform(np.log([[1e7], [1e9]]), np.log([[1e10], [1e12]]), (2, 60)))
    truth = {"E": 1.8, "A": 400.0, "B": 900.0, "alpha": 0.35, "beta": 0.35}
    y = np.log(CHINCHILLA.predict(truth, N, D))
    options = {"objective": Objective("l2"), "ties": [(3, 4)], "fixed": {0: np.log(1.8)}, "bounds": {3: (0.1, 0.6)}}
    ends = CHINCHILLA.model.solve(np.stack([N, D]), y, **options)
    best = ends.theta[np.argmin(ends.value)]
    np.testing.assert_allclose(CHINCHILLA.natural(best), CHINCHILLA.vector(truth), rtol=1e-8)
    assert len(ends.value) > 1

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analysis import fit_scaling_law
from analysis.laws.distillation import BUSBRIDGE_2025_DISTILLED, DISTILLED
from analysis.laws.forms import BUSBRIDGE_2025, OUTER
from tests.analysis.factories import dsl_loss

SIZES = np.array([143e6, 266e6, 546e6, 975e6, 1.82e9, 2.72e9, 4.82e9, 7.75e9])


def _design(noise=0.0, seed=0):
    """Students at 20 to 320 tokens a parameter under teachers of 143M to 12.6B, the paper's ranges."""
    student, per_param, teacher = np.array(np.meshgrid(SIZES, [20, 40, 80, 160, 320], [*SIZES, 12.6e9])).reshape(3, -1)
    tokens = per_param * student
    signal = OUTER.predict(BUSBRIDGE_2025, teacher, 20 * teacher)
    own = OUTER.predict(BUSBRIDGE_2025, student, tokens)
    loss = DISTILLED.predict(BUSBRIDGE_2025_DISTILLED, student, tokens, signal, own)
    error = np.exp(noise * np.random.default_rng(seed).standard_normal(len(loss)))
    return {
        "params": student,
        "tokens": tokens,
        "inputs": {"teacher_loss": signal, "own_loss": own},
        "loss": loss * error,
    }


def test_check_values_to_four_digits():
    """By hand from table 6 of arXiv:2502.08606: the best student of 546M at 320 tokens a parameter."""
    assert OUTER.predict(BUSBRIDGE_2025, 546e6, 20 * 546e6) == pytest.approx(2.5149, abs=5e-5)
    assert OUTER.predict(BUSBRIDGE_2025, 7.75e9, 20 * 7.75e9) == pytest.approx(2.0036, abs=5e-5)
    own = float(OUTER.predict(BUSBRIDGE_2025, 546e6, 320 * 546e6))
    found = minimize_scalar(
        lambda signal: float(DISTILLED.predict(BUSBRIDGE_2025_DISTILLED, 546e6, 320 * 546e6, signal, own)),
        bounds=(1.5, 2.5),
        method="bounded",
    )
    assert found.x == pytest.approx(2.0757, abs=5e-5)
    assert found.fun == pytest.approx(2.2717, abs=5e-5)


def test_the_law_is_the_formula_as_printed():
    """Against equation 8 with c1, written out elsewhere."""
    for student, per_param, teacher in ((198e6, 20, 1e9), (546e6, 320, 143e6), (7.75e9, 80, 12.6e9)):
        signal = OUTER.predict(BUSBRIDGE_2025, teacher, 20 * teacher)
        own = OUTER.predict(BUSBRIDGE_2025, student, per_param * student)
        ours = DISTILLED.predict(BUSBRIDGE_2025_DISTILLED, student, per_param * student, signal, own)
        assert ours == pytest.approx(dsl_loss(student, per_param * student, teacher), rel=1e-12)


@pytest.mark.parametrize("d1", [1.315, 40.0])
def test_derivatives_equal_differences(d1):
    """At a break far away as well, where the bracket is an exponential and its terms are read from a series."""
    x = _design()
    inputs = np.stack([x["params"], x["tokens"], *x["inputs"].values()])
    theta = DISTILLED.solver(DISTILLED.vector(BUSBRIDGE_2025_DISTILLED | {"d1": d1}))
    steps = 1e-6 * np.eye(len(theta))
    model = DISTILLED.model
    slopes = [(model.log_loss(theta + step, inputs) - model.log_loss(theta - step, inputs)) / 2e-6 for step in steps]
    np.testing.assert_allclose(model.jacobian(theta, inputs), np.stack(slopes, axis=-1), atol=1e-8)


def test_far_from_its_break_the_bracket_is_an_exponential():
    own, signal = 2.3, np.array([1.9, 2.1, 2.3])
    constants = BUSBRIDGE_2025_DISTILLED | {"d1": 1e3}
    loss = DISTILLED.predict(constants, 546e6, 1e11, signal, own)
    power = (2243 * 546e6**-0.321 + 24181 * 1e11**-0.637) ** 0.764
    expected = signal + signal**-2.549 * np.exp(-constants["h"] * (signal / own) ** (1 / 0.090)) * power
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_its_limits_are_the_paper_s():
    """An infinitely capable student has its teacher's loss; so has, nearly, the student of a hopeless teacher."""
    assert DISTILLED.predict(BUSBRIDGE_2025_DISTILLED, 1e30, 1e30, 2.0, 1.3) == pytest.approx(2.0, rel=1e-6)
    assert DISTILLED.predict(BUSBRIDGE_2025_DISTILLED, 1e9, 1e10, 50.0, 2.3) == pytest.approx(50.0, rel=1e-6)


def test_published_constants_come_back_from_runs_without_noise():
    fit = fit_scaling_law(law=DISTILLED, **_design(), delta=1e-4, bootstrap=0)
    for symbol, value in BUSBRIDGE_2025_DISTILLED.items():
        assert fit.params[symbol] == pytest.approx(value, rel=1e-4), symbol


def test_noise_leaves_the_teacher_s_part_known():
    """At 0.2 % noise c0, h and f1 come out within their intervals, given the exponents that this noise hides."""
    held = {"d1": 1.315, "beta": 0.637, "gamma": 0.764}
    fit = fit_scaling_law(law=DISTILLED, **_design(noise=0.002), objective="l2", fixed=held, bootstrap=100)
    ends = fit.conf_int(0.99)
    for symbol in ("c0", "h", "f1"):
        assert ends.loc[symbol, "lower"] < BUSBRIDGE_2025_DISTILLED[symbol] < ends.loc[symbol, "upper"], symbol

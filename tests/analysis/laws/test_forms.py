import numpy as np
import pytest

from analysis.laws.forms import BUSBRIDGE_2025, FORMS, HOFFMANN_2022, KAPLAN, KAPLAN_2020, find_form
from analysis.laws.general import GeneralModel, differentiate
from curselab.errors import InputError
from tests.analysis.factories import dsl_teacher_loss

N = np.tile([1e7, 3e7, 1e8, 3e8, 1e9], 5)
D = np.repeat([1e8, 3e8, 1e9, 3e9, 1e10], 5)
CONSTANTS = {
    "chinchilla": HOFFMANN_2022,
    "power": {"E": 1.7, "A": 500.0, "alpha": 0.15},
    "kaplan": KAPLAN_2020,
    "outer": BUSBRIDGE_2025,
}


@pytest.mark.parametrize("name", FORMS)
def test_constants_come_back_from_their_own_losses(name):
    law = FORMS[name]
    x = (6 * N * D,) if law.inputs == ("compute",) else (N, D)
    fit = law.fit(params=N, tokens=D, loss=law.predict(CONSTANTS[name], *x), bootstrap=0)
    np.testing.assert_allclose(fit.params, law.vector(CONSTANTS[name]), rtol=1e-6)
    assert fit.convergence.converged


@pytest.mark.parametrize("name", [name for name, law in FORMS.items() if isinstance(law.model, GeneralModel)])
def test_jacobians_are_the_complex_step_derivatives(name):
    law = FORMS[name]
    theta, x = law.solver(law.vector(CONSTANTS[name])), np.stack([N, D])
    # logaddexp takes no complex numbers, so the differences are central
    numeric = differentiate(lambda t: law.model.log_loss(t, x), theta)
    np.testing.assert_allclose(law.model.jacobian(theta, x), numeric, rtol=1e-6, atol=1e-8)


def test_published_formulas_evaluate_as_printed():
    assert KAPLAN.predict(KAPLAN_2020, 1e9, 1e10) == pytest.approx(
        ((6.4e13 / 1e9) ** (0.076 / 0.103) + 1.8e13 / 1e10) ** 0.103
    )
    np.testing.assert_allclose(FORMS["outer"].predict(BUSBRIDGE_2025, N, 20 * N), dsl_teacher_loss(N), rtol=1e-12)
    assert FORMS["chinchilla"].predict(HOFFMANN_2022, 70e9, 1.4e12) == pytest.approx(
        1.69 + 406.4 / 70e9**0.34 + 410.7 / 1.4e12**0.28
    )


def test_every_law_says_what_it_is():
    for law in FORMS.values():
        assert len(law.symbols) == len(law.units) == len(law.positive)
        assert law.source
        assert law.valid
        for constants in law.published.values():
            assert set(constants) == set(law.symbols)
    with pytest.raises(InputError, match="allowed: chinchilla, power, kaplan, outer"):
        find_form("gravity")

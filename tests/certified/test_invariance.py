"""What must not change an answer, for every law: the unit and the scale of what is given, and its order."""

import numpy as np
import pandas as pd
import pytest

from analysis import fit_scaling_law
from analysis.laws.forms import FORMS

COLUMNS = ["params", "tokens", "loss"]


def fit(runs, law, **options):
    return fit_scaling_law(runs[COLUMNS], law=law, bootstrap=0, **options)


@pytest.fixture(scope="module")
def chinchilla_runs(pytestconfig):
    """Hoffmann et al.'s runs as digitised by Besiroglu et al., without the five largest losses."""
    path = pytestconfig.rootpath.parent / "shared/data/chinchilla/fit_chinchilla_epoch.csv"
    if not path.is_file():
        pytest.skip("shared/ with published data is absent beside the checkout")
    return pd.read_csv(path).query("kept_by_epoch == 1").reset_index(drop=True)


@pytest.fixture(scope="module")
def published(chinchilla_runs):
    """The fit of each law to the digitised runs."""
    return {law: fit(chinchilla_runs, law) for law in FORMS}


@pytest.mark.parametrize("law", FORMS)
@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1 / 240, 1e3, 1e6], ids=lambda f: f"{f:.3g}")
def test_the_scale_of_the_objective(chinchilla_runs, published, law, factor):
    """1/240 is the mean instead of the sum. The solver itself gets the factor: the doors make weights of mean one."""
    found = published[law]
    problem, model = found.problem, found.form.model
    ends = model.solve(problem.x, problem.log_loss, objective=problem.objective, weights=np.full((1, 240), factor))
    best = int(np.argmin(ends.value))
    np.testing.assert_allclose(found.form.natural(ends.theta[best]), found.estimate, rtol=1e-6)
    np.testing.assert_allclose(ends.value[best], factor * found.objective, rtol=1e-9)
    assert ends.converged[best]
    again = fit(chinchilla_runs, law, weights=np.full(240, factor))
    np.testing.assert_allclose(again.params, found.params, rtol=1e-6)


@pytest.mark.parametrize("law", FORMS)
def test_parameters_in_millions(chinchilla_runs, published, law):
    small = chinchilla_runs.assign(params=chinchilla_runs["params"] / 1e6)
    a, b = published[law], fit(small, law)
    exponents = [s for s, positive in zip(a.symbols, a.form.positive, strict=True) if not positive]
    np.testing.assert_allclose(b.params[exponents], a.params[exponents], rtol=1e-6)
    points = (1e23,) if law == "power" else (1e10, 1e12)
    same = (1e17,) if law == "power" else (1e4, 1e12)
    np.testing.assert_allclose(b.predict(*same)["loss"], a.predict(*points)["loss"], rtol=1e-7)


@pytest.mark.parametrize("law", FORMS)
def test_the_order_of_rows(chinchilla_runs, published, law):
    assert fit(chinchilla_runs.sample(frac=1, random_state=1), law).estimate == published[law].estimate


@pytest.mark.parametrize("law", FORMS)
def test_every_row_twice(chinchilla_runs, published, law):
    twice = fit(chinchilla_runs.loc[chinchilla_runs.index.repeat(2)], law)
    np.testing.assert_allclose(twice.params, published[law].params, rtol=1e-6)
    assert twice.objective == pytest.approx(2 * published[law].objective, rel=1e-9)


@pytest.mark.parametrize("law", ["chinchilla", "kaplan"])
def test_the_unit_of_the_loss(chinchilla_runs, law):
    """Bits instead of nats: sizes and floor scale, and the exponents of a sum of powers stay."""
    bits = chinchilla_runs.assign(loss=chinchilla_runs["loss"] / np.log(2))
    a, b = fit(chinchilla_runs, law), fit(bits, law)
    np.testing.assert_allclose(b.predict(1e10, 1e12)["loss"] * np.log(2), a.predict(1e10, 1e12)["loss"], rtol=1e-6)
    if law == "chinchilla":
        np.testing.assert_allclose(b.params[["alpha", "beta"]], a.params[["alpha", "beta"]], rtol=1e-6)

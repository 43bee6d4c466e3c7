from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import fit_scaling_law, plan
from analysis.laws.parametric import posynomial_law
from curselab.errors import InputError

LINE = posynomial_law(
    "line", terms=[("A", "alpha", "compute")], inputs=("compute",), formula="L = A/C^alpha", source="", valid=""
)


@pytest.fixture
def fit():
    """Least squares on a law that is linear in logarithms, with draws from its exact covariance."""
    C = np.geomspace(1e3, 1e6, 12)
    loss = 3 * C**-0.1 * np.exp(0.01 * np.random.default_rng(0).standard_normal(12))
    found = fit_scaling_law(law=LINE, inputs={"compute": C}, loss=loss, objective="l2", bootstrap=0)
    design = np.column_stack([np.ones(12), -np.log(C)])
    variance = np.sum(np.square(found.resid)) / 10
    theta = LINE.solver(found.estimate)
    draws = np.random.default_rng(1).multivariate_normal(theta, variance * np.linalg.inv(design.T @ design), 20000)
    return replace(found, draws=tuple(map(tuple, LINE.natural(draws).tolist()))), design, variance


def test_the_gain_is_that_of_the_linear_model(fit):
    found, design, variance = fit
    candidates = pd.DataFrame({"compute": [1e2, 1e4, 1e9]})
    table = plan(found, candidates, quantity="alpha", runs=2)
    assert table["compute"].tolist() == [1e9, 1e9]
    widths, more = [], design
    for _ in range(2):
        more = np.vstack([more, [1, -np.log(1e9)]])
        widths.append(np.sqrt(np.linalg.inv(more.T @ more)[1, 1] / np.linalg.inv(design.T @ design)[1, 1]))
    np.testing.assert_allclose(table["width"], widths, rtol=0.05)


def test_cost_changes_the_choice(fit):
    table = plan(fit[0], pd.DataFrame({"compute": [1e2, 1e9]}), quantity="alpha", runs=1, per_flop=True)
    assert table["compute"].tolist() == [1e2]


def test_it_needs_resamples_and_candidates(fit):
    with pytest.raises(InputError, match="0 resamples"):
        plan(replace(fit[0], draws=()), pd.DataFrame({"compute": [1.0]}))
    with pytest.raises(InputError, match="one candidate"):
        plan(fit[0], pd.DataFrame({"compute": []}))

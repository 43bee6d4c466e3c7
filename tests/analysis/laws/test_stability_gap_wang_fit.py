import numpy as np
import pandas as pd
import pytest

from analysis.laws.stability_gap_schedule import cosine, learning_rate_path, warmup_stable_decay
from analysis.laws.stability_gap_wang_fit import evaluations, fit_continual_law
from analysis.laws.stability_gap_wang_sets import WANG_2025
from curselab.errors import InputError

PEAK = 2e-4
STEPS = np.unique(np.geomspace(2, 20_000, 40).astype(int))


def runs(law, starts, schedules, noise, seed=0):
    rng, rows = np.random.default_rng(seed), []
    for start in starts:
        for schedule in schedules:
            path = learning_rate_path(start, schedule)
            loss = law.loss(path)[STEPS - 1] * np.exp(noise * rng.standard_normal(len(STEPS)))
            rows.append(evaluations(path, STEPS, loss))
    return pd.concat(rows, ignore_index=True)


ANNEALED = warmup_stable_decay(40_000, PEAK, warmup=500)
PLATEAU = np.full(10_000, PEAK)
MANY = (ANNEALED, PLATEAU, warmup_stable_decay(5_000, PEAK, warmup=500))
CONSTANT = np.full(20_000, PEAK)


@pytest.fixture(scope="module")
def law():
    return WANG_2025["kp_106m_general"]


@pytest.mark.slow
def test_many_starts_and_schedules_give_the_law_back(law):
    data = runs(law, MANY, (CONSTANT, cosine(20_000, PEAK, warmup=200), cosine(20_000, 0.3 * PEAK, warmup=200)), 3e-4)
    fit = fit_continual_law(data)
    truth = law.constants
    assert not {"L0", "A", "alpha", "C1", "C2", "B beta"} & set(fit.unidentified)
    for c in fit.law.coefficients:
        if c.lower is not None:
            assert c.lower < truth[c.symbol] < c.upper, c.symbol
    assert fit.product.lower < truth["B"] * truth["beta"] < fit.product.upper
    assert fit.residual_sd == pytest.approx(3e-4, rel=0.15)


@pytest.mark.slow
def test_one_run_at_a_constant_rate_leaves_most_open(law):
    fit = fit_continual_law(runs(law, (ANNEALED,), (CONSTANT,), 1e-3))
    assert {"L0", "A", "alpha", "C1"} <= set(fit.unidentified)
    assert fit.frame().set_index("symbol").loc["C1", "status"] == "not_identified"
    assert "C2" not in fit.unidentified  # the jump from an annealed start tells it


@pytest.mark.slow
def test_where_beta_is_near_zero_only_the_product_is_known():
    """The published set at 594M has B = 29 and beta = 0.001: their product, 0.029, is what the data know."""
    law = WANG_2025["kp_594m_general"]
    fit = fit_continual_law(runs(law, MANY, (CONSTANT, cosine(20_000, PEAK, warmup=200)), 3e-4))
    assert {"B", "beta"} & set(fit.unidentified)
    assert fit.product.lower < 0.0291 < fit.product.upper


def test_without_noise_the_law_comes_back(law):
    data = runs(law, MANY, (CONSTANT, cosine(20_000, PEAK, warmup=200)), 1e-9)
    for c in fit_continual_law(data).law.coefficients:
        assert c.value == pytest.approx(law.constants[c.symbol], rel=0.01), c.symbol


def test_bad_input_is_a_one_line_error(law):
    data = runs(law, (ANNEALED,), (CONSTANT,), 0.0)
    with pytest.raises(InputError, match="more than 8 are needed"):
        fit_continual_law(data.iloc[:8])
    with pytest.raises(InputError, match="'annealing' is missing"):
        fit_continual_law(data.drop(columns="annealing"))
    with pytest.raises(InputError, match="steps: from 1 to 20000"):
        evaluations(learning_rate_path(ANNEALED, CONSTANT), [0], [3.0])

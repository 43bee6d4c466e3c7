import numpy as np
import pytest

from analysis.fitting.selection import aicc
from analysis.fitting.separable import fit_curves
from analysis.laws.stability_gap_forms import (
    DIPS,
    DOUBLE_EXPONENTIAL,
    EXPONENTIAL,
    NULLS,
    schedule_form,
    two_abilities,
)
from analysis.laws.stability_gap_metrics import measure
from analysis.laws.stability_gap_schedule import cosine, learning_rate_path, warmup_stable_decay
from analysis.laws.stability_gap_wang_sets import WANG_2025

BUDGET = 50.0
DRAWS = 200
FINE = np.unique(np.concatenate([np.linspace(0, 1, 401), np.geomspace(0.002, 1, 400)]))

# evaluations, evenly in t or in ln t, noise; share of curves where the dip wins, median and 5 and 95 % of the depth, and of
# the time to recovery: 200 simulated curves of another program, with scipy's curve_fit
TABLE = [
    (11, "even", 0.7, 0.01, None, None),
    (11, "even", 0.3, 0.08, None, None),
    (11, "even", 0.1, 0.96, (0.87,), (11.3,)),
    (26, "log", 0.3, 1.00, (0.85, 0.54, 1.20), (11.2, 8.6, 15.9)),
    (51, "log", 0.3, 1.00, (0.84, 0.62, 1.07), (11.2, 9.5, 14.1)),
    (51, "log", 0.1, 1.00, (0.83, 0.75, 0.92), (11.2, 10.5, 12.0)),
]


def truth(t):
    return 36.2 + 1.3 * (1 - np.exp(-t / 12)) - 2 * (np.exp(-t / 12) - np.exp(-t / 2))


def inputs(t):
    x = np.zeros((4, len(t)))
    x[0] = t / BUDGET
    return x


def simulated(n, spacing, sd, draws, seed=0):
    even = np.linspace(0, BUDGET, n)
    t = even if spacing == "even" else np.concatenate([[0], np.geomspace(BUDGET / 250, BUDGET, n - 1)])
    return t, truth(t) + sd * np.random.default_rng(seed).standard_normal((draws, n))


def quantile_error(p, q05, q95):
    """Standard error of a quantile of so many draws from a normal of that spread, for both tables together."""
    density = {0.5: 0.399, 0.05: 0.103, 0.95: 0.103}[p] / ((q95 - q05) / 3.29)
    return np.sqrt(2 * p * (1 - p) / DRAWS) / density


@pytest.mark.slow
@pytest.mark.parametrize(("n", "spacing", "sd", "wins", "depths", "times"), TABLE)
def test_the_identifiability_table_comes_back(n, spacing, sd, wins, depths, times):
    t, y = simulated(n, spacing, sd, DRAWS)
    x = inputs(t)
    plain, dip = (fit_curves(form, x, y) for form in (EXPONENTIAL, DOUBLE_EXPONENTIAL))
    scores = [[aicc(row, fit.form.n_params) for row in fit.resid] for fit in (plain, dip)]
    share = np.mean(np.array(scores[1]) < np.array(scores[0]))
    assert share == pytest.approx(wins, abs=3 * np.sqrt(2 * max(wins * (1 - wins), 0.01) / DRAWS))
    m = measure(FINE * BUDGET, dip.at(inputs(FINE * BUDGET)))
    for found, expected in ((m.depth, depths), (m.time_to_recovery, times)):
        for p, value in zip((0.5, 0.05, 0.95), expected or (), strict=False):
            spread = expected[1:] if len(expected) == 3 else np.quantile(found, [0.05, 0.95])
            assert np.quantile(found, p) == pytest.approx(value, abs=3.5 * quantile_error(p, *spread))


def test_spacing_decides_whether_a_dip_is_seen():
    """At the paper's cadence a gap of 0.8 points in noise of 0.3 is missed, on 26 evaluations spaced in ln t it is not."""
    shares = []
    for n, spacing in ((11, "even"), (26, "log")):
        t, y = simulated(n, spacing, 0.3, 40)
        fits = [fit_curves(form, inputs(t), y) for form in (EXPONENTIAL, DOUBLE_EXPONENTIAL)]
        scores = np.array([[aicc(row, fit.form.n_params) for row in fit.resid] for fit in fits])
        shares.append(np.mean(scores[1] < scores[0]))
    assert shares[0] < 0.3
    assert shares[1] > 0.9


@pytest.mark.parametrize("form", [*NULLS, *DIPS], ids=lambda form: form.name)
def test_each_form_fits_itself(form):
    t = np.concatenate([[0], np.geomspace(0.2, BUDGET, 50)])
    x, nodes = inputs(t), form.nodes(inputs(t))
    shape = nodes[[len(nodes) // 2]]
    y = (form.basis(shape, x) @ np.linspace(1, 2, form.n_sizes)[:, None])[..., 0]
    fit = fit_curves(form, x, y)
    np.testing.assert_allclose(fit.at(x), y, atol=2e-4 * np.ptp(y) + 1e-9)
    assert form.basis(shape, x).shape == (1, 51, form.n_sizes)


def test_form_of_the_schedule_fits_a_loss_of_the_law_under_a_schedule():
    trunk = warmup_stable_decay(40_000, 2e-4, warmup=500)
    path = learning_rate_path(trunk, cosine(20_000, 2e-4, warmup=200))
    at = np.unique(np.geomspace(1, 20_000, 60).astype(int)) - 1
    x = np.zeros((4, len(at)))
    x[0], x[1], x[2] = (at + 1) / 20_000, path.forward[at], path.annealing[at]
    y = -WANG_2025["kp_106m_general"].loss(path)[None, at]
    fit = fit_curves(schedule_form(path.forward_before, changes=True), x, y)
    np.testing.assert_allclose(fit.at(x), y, atol=2e-3)
    assert fit.sizes[0, 3] == pytest.approx(0.298, rel=0.05)
    assert schedule_form(path.forward_before, changes=False).n_params == fit.form.n_params - 1


def test_form_of_two_abilities_fits_itself():
    t = np.concatenate([[0], np.geomspace(0.2, BUDGET, 50)])
    x = inputs(t)
    x[3] = np.log1p(t) / 3
    kept = 1 - 0.4 * (np.exp(-t / 10) - np.exp(-t / 1))
    y = (0.3 * kept * (1 + 0.8 * x[3]))[None]
    fit = fit_curves(two_abilities(), x, y)
    np.testing.assert_allclose(fit.at(x), y, atol=1e-4)

from dataclasses import replace

import numpy as np
import pytest

from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, simulate
from analysis.laws.multilinguality_gain import REACH, fit_all_curves, measure
from curselab.errors import InputError

SMALL = Design(languages=4, params=(75e3, 450e3), ratios=(1.0, 10.0), noise=1e-6)


def _gains(design, *, truth=TRUTH, draws=50, seed=0, **options):
    rng = np.random.default_rng(seed)
    laws = languages_of(truth, design, rng)
    table = simulate(laws, design, rng, **options)
    return laws, measure(table, fit_all_curves(table, form="chinchilla"), draws=draws, rng=rng)


def test_without_noise_the_gain_is_the_law_s():
    laws, gains = _gains(SMALL)
    inside = gains.cells["tokens"].between(5e4, 1e6).to_numpy()
    cells = gains.cells[inside]
    for i, law in enumerate(laws):
        expected = law.gain_log2(cells["params"], cells["tokens"], cells["added"])
        np.testing.assert_allclose(gains.point[inside, i], expected, atol=0.01)
    assert set(gains.state[inside].ravel()) == {"measured"}


def test_what_lies_beyond_the_data_is_marked_and_limited():
    huge = replace(TRUTH, gain=60.0, cost=0.0, scale=1e3)
    _, gains = _gains(SMALL, truth=huge)
    top = (gains.cells["tokens"] == 2e6).to_numpy()
    assert set(gains.state[top].ravel()) <= {"extrapolated", "below_floor"}
    assert np.nanmax(gains.point[top]) <= np.log2(REACH) + 1e-9


def test_noise_of_curve_and_mixture_is_in_the_draws():
    """Standard deviations of the draws against the scatter of repeated tables."""
    design = replace(SMALL, noise=0.01, params=(75e3,))
    rng = np.random.default_rng(0)
    laws = languages_of(replace(TRUTH, gain=0.0, cost=0.0), design, rng)
    scatter, claimed = [], []
    for _ in range(20):
        table = simulate(laws, design, rng)
        gains = measure(table, fit_all_curves(table, form="chinchilla"), draws=200, rng=rng)
        inside = gains.cells["tokens"].between(5e4, 1e6).to_numpy()
        scatter.append(gains.point[inside])
        claimed.append(gains.draws.std(axis=0)[inside])
    assert np.mean(claimed) == pytest.approx(np.std(scatter, axis=0).mean(), rel=0.2)


def test_the_matched_baseline_is_taken_off_cell_by_cell():
    _, gains = _gains(SMALL, matched=True)
    matched = (gains.cells["mixture"] == "matched").to_numpy()
    own = gains.take(~matched)
    rows = np.where(np.arange(len(own.cells)) == 0, -1, np.flatnonzero(matched))
    over = own.less(gains, rows)
    assert np.isnan(over.point[0]).all()
    np.testing.assert_allclose(over.point[1:], own.point[1:] - gains.point[rows[1:]])
    np.testing.assert_allclose(over.point[1:], own.point[1:], atol=0.02)


def test_mixtures_without_their_curve_are_refused():
    rng = np.random.default_rng(0)
    table = simulate(languages_of(TRUTH, SMALL, rng), SMALL, rng)
    curves = fit_all_curves(table, form="power")
    with pytest.raises(InputError, match="75000 parameters have mixtures and no monolingual runs"):
        measure(table, {450e3: curves[450e3]}, draws=2, rng=rng)


def test_errors_are_linear_in_the_loss():
    """A gain over its error is the fall of ln L over its own, whatever the bend of the curve between."""
    _, gains = _gains(replace(SMALL, noise=0.02))
    inside = gains.state == "measured"
    np.testing.assert_allclose((gains.point / gains.errors())[inside], (gains.fall / gains.fall_error)[inside])
    spread = gains.draws.std(axis=0)
    near = inside & (np.abs(gains.point) < 0.1)
    assert np.median((gains.errors() / spread)[near]) == pytest.approx(1.0, abs=0.2)

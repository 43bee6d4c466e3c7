import numpy as np
import pytest
from scipy.optimize import curve_fit

from analysis.laws.multilinguality_curves import fit_curves
from curselab.errors import InputError

TOKENS = np.array([2e4, 6.3e4, 2e5, 6.3e5, 2e6])
LOG = np.log(TOKENS)
RUNS = np.full((8, 5), 3.0)


def _losses(rng):
    E, B, k = (rng.uniform(*ends, 8)[:, None] for ends in ((0.8, 1.6), (1.2, 1.8), (0.28, 0.42)))
    return lambda x: np.log(E + B * np.exp(-k * (x - np.log(2e5))))


def _names(n=8):
    return [f"l{i}" for i in range(n)]


def test_without_noise_it_is_a_library_s_fit():
    truth = _losses(np.random.default_rng(0))
    fit = fit_curves(1e5, _names(), LOG, truth(LOG), RUNS, sigma=1e-6, form="chinchilla")
    at = np.log([[4e4, 1e6]])
    np.testing.assert_allclose(fit.log_loss(at), truth(at), atol=1e-5)
    np.testing.assert_allclose(fit.log_tokens(truth(at)), np.tile(at, (8, 1)), atol=1e-3)
    peer, _ = curve_fit(lambda x, e, b, k: e + b * (x / 2e5) ** -k, TOKENS, np.exp(truth(LOG)[0]), p0=(1, 1.5, 0.3))
    assert np.exp(fit.theta[0][2]) == pytest.approx(peer[2], rel=2e-3)


def test_inverted_losses_hold_the_truth():
    """Noise of 1 % on three runs of both sides: 400 intervals."""
    rng, truth_at, held = np.random.default_rng(1), np.log(3e5), []
    for _ in range(50):
        truth = _losses(rng)
        noise = 0.01 / np.sqrt(3)
        y = truth(LOG) + noise * rng.standard_normal((8, 5))
        fit = fit_curves(1e5, _names(), LOG, y, RUNS, sigma=0.01, dof=80, form="chinchilla")
        seen = truth(np.full((8, 1), truth_at)) + noise * rng.standard_normal((8, 1))
        draws = fit.log_tokens(seen + noise * rng.standard_normal((400, 8, 1)), fit.draw(400, rng))[..., 0]
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        held.append((low < truth_at) & (truth_at < high))
    assert 0.92 < np.mean(held) <= 0.98


@pytest.mark.parametrize("form", ["chinchilla", "power", "log_power"])
def test_the_form_that_made_the_data_predicts_what_is_left_out(form):
    k = {"chinchilla": 0.35, "power": 0.1, "log_power": 6.0}[form]
    level = np.linspace(0.9, 1.3, 8)[:, None]
    if form == "log_power":
        y = np.log(level + (LOG / np.log(2e5)) ** -k)
    else:
        y = np.log((form == "chinchilla") * level + 1.5 * level * np.exp(-k * (LOG - np.log(2e5))))
    fit = fit_curves(1e5, _names(), LOG, y, RUNS, sigma=1e-4)
    assert fit.form == form
    assert dict(fit.held_out)[form] == min(dict(fit.held_out).values())
    at = np.tile(np.log([4e4, 1e6]), (8, 1))
    np.testing.assert_allclose(fit.log_tokens(fit.log_loss(at)), at, rtol=1e-6)


def test_below_the_floor_no_data_are_enough():
    fit = fit_curves(
        1e5, ["a"], LOG, np.log(1 + 1.5 * np.exp(-0.3 * (LOG - np.log(2e5))))[None], RUNS[:1], sigma=1e-4, form="chinchilla"
    )
    assert fit.log_tokens(np.log([[0.5]]))[0, 0] == np.inf
    power = fit_curves(1e5, ["a"], LOG, 1 - 0.1 * LOG[None], RUNS[:1], sigma=1e-4, form="power")
    assert np.isfinite(power.log_tokens(np.log([[0.01]])))


def test_a_language_with_two_sizes_borrows_its_shape():
    truth = _losses(np.random.default_rng(2))
    runs = RUNS.copy()
    runs[0, [0, 2, 4]] = 0
    fit = fit_curves(1e5, _names(), LOG, truth(LOG), runs, sigma=0.005, form="chinchilla")
    error = fit.log_loss(LOG[None])[0] - truth(LOG)[0]
    assert np.abs(error).max() < 0.05
    assert fit.cov[0][2][2] > 2 * fit.cov[1][2][2]


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match="1 size of monolingual data"):
        fit_curves(1e5, ["a"], LOG[:1], np.ones((1, 1)), np.ones((1, 1)), sigma=None)
    with pytest.raises(InputError, match="allowed: auto, chinchilla, log_power, power"):
        fit_curves(1e5, ["a"], LOG, np.ones((1, 5)), RUNS[:1], sigma=None, form="cubic")

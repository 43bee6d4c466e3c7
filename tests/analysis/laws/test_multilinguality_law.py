import numpy as np
import pytest
from scipy.optimize import nnls

from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, simulate
from analysis.laws.multilinguality_law import _columns, _project, fit_law
from analysis.laws.multilinguality_transfer import cells_of
from curselab.errors import InputError

DESIGN = Design(languages=4, noise=1e-7, seeds=2)


def _cells(seed=0, design=DESIGN):
    rng = np.random.default_rng(seed)
    laws = languages_of(TRUTH, design, rng)
    return laws, cells_of(simulate(laws, design, rng), "added")[1]


def test_without_noise_the_constants_come_back():
    laws, cells = _cells()
    fit = fit_law(cells, "saturating_capacity")
    for name, value in fit.shared().items():
        assert value == pytest.approx(getattr(TRUTH, name), rel=1e-2, abs=1e-9), name
    np.testing.assert_allclose(fit.E, [law.E for law in laws], rtol=1e-2)
    np.testing.assert_allclose(fit.A, [law.A for law in laws], rtol=2e-2)
    np.testing.assert_allclose(fit.log_loss(cells), cells.log_loss, atol=1e-4)
    assert fit.law(1).loss(1e5, 1e5, 1e6) == pytest.approx(float(laws[1].loss(1e5, 1e5, 1e6)), rel=1e-3)


def test_the_linear_part_is_a_library_s_non_negative_fit():
    """With exponents far off, so that some scale would be negative."""
    _, cells = _cells()
    shared = {"alpha": 1.2, "beta": 0.05, "cost": 0.5, "gain": 0.0, "scale": 1e5, "tau": 0.0}
    resid, scales = _project(shared, cells, 4)
    for i in range(4):
        mine = cells.language == i
        X = _columns(shared, cells)[mine] * (np.sqrt(cells.weights[mine]) / np.exp(cells.log_loss[mine]))[:, None]
        unit = np.linalg.norm(X, axis=0)
        peer, norm = nnls(X / unit, np.sqrt(cells.weights[mine]))
        np.testing.assert_allclose(scales[i] * unit, peer, rtol=1e-5, atol=1e-8)
        assert np.linalg.norm(resid[mine]) == pytest.approx(norm, rel=1e-6)


def test_a_richer_form_fits_no_worse():
    _, cells = _cells(design=Design(languages=3, noise=0.01))
    rms = [fit_law(cells, form).rms for form in ("flat", "saturating", "saturating_capacity")]
    assert rms[0] >= rms[1] >= rms[2]
    assert fit_law(cells, "linear").rms <= rms[0]
    assert fit_law(cells, "flat").scale is None


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="allowed: flat, linear, saturating, saturating_capacity"):
        fit_law(_cells()[1], "cubic")

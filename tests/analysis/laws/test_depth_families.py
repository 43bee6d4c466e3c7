import numpy as np
import pytest
from scipy.optimize import curve_fit

from analysis.laws.depth_families import FAMILIES, harmonic

X = np.arange(1.0, 25.0)
FORMS = {form.name: form for form in FAMILIES}
EXACT = {
    "constant": ((2.0,), lambda x, v0: v0 + 0 * x),
    "log": ((0.4, 0.3), lambda x, v0, b: v0 + b * np.cumsum(1 / x)),
    "linear": ((0.4, 0.5), lambda x, v0, b: v0 + b * x),
    "quadratic": ((0.6, 0.3), lambda x, s0, c: (s0 + c * x) ** 2),
    "power": ((0.4, 0.1, 1.6), lambda x, v0, b, p: v0 + b * x**p),
    "stretched exponential": ((0.3, 0.8, 0.5), lambda x, v0, k, q: v0 * np.exp(k * x**q)),
    "exponential": ((0.5, 0.15), lambda x, v0, k: v0 * np.exp(k * x)),
    "offset exponential": ((1.0, 0.1, 0.25), lambda x, v0, b, k: v0 + b * np.expm1(k * x)),
    "broken": ((0.5, 1.0, 0.2, 12.0), lambda x, a, p, k, m: a * np.minimum(x, m) ** p * np.exp(k * np.maximum(x - m, 0))),
}


def test_every_family_has_a_truth_here():
    assert set(EXACT) == set(FORMS)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_a_family_finds_itself_in_any_unit(name, unit):
    params, truth = EXACT[name]
    fit = FORMS[name].fit(X, np.log(unit * truth(X, *params))[None])
    assert np.abs(fit.resid).max() < 1e-4
    found = FORMS[name].params(fit.theta[0], X[-1])
    scale = {"quadratic": (unit**0.5, unit**0.5)}.get(name, (unit, unit) if name in ("log", "linear") else None)
    scale = scale or [unit if s in ("v0", "b", "a") else 1.0 for s in FORMS[name].symbols]
    assert found == pytest.approx([p * s for p, s in zip(params, scale, strict=True)], rel=2e-3)


@pytest.mark.parametrize("name", ["log", "linear", "quadratic", "power", "stretched exponential", "offset exponential"])
def test_squares_are_no_more_than_scipy_s_from_the_truth(name):
    params, truth = EXACT[name]
    log_v = np.log(truth(X, *params)) + 0.1 * np.random.default_rng(3).standard_normal((4, len(X)))
    ours = (FORMS[name].fit(X, log_v).resid ** 2).sum(axis=1)
    for profile, rss in zip(log_v, ours, strict=True):
        best = curve_fit(
            lambda x, *p: np.log(truth(x, *p)),
            X,
            profile,
            p0=params,
            bounds=(1e-9, [1.0 if s == "q" else 50.0 for s in FORMS[name].symbols]),
        )[0]
        assert rss <= ((np.log(truth(X, *best)) - profile) ** 2).sum() * (1 + 1e-6)


@pytest.mark.parametrize("form", FAMILIES, ids=lambda form: form.name)
def test_any_profile_has_an_answer(form):
    rng = np.random.default_rng(0)
    for log_v in (np.zeros((1, 24)), -0.5 * X[None], rng.standard_normal((1, 24)), 20 * X[None]):
        fit = form.fit(X, log_v)
        assert np.isfinite(fit.theta).all()
        assert not np.isnan(fit.resid).any()


def test_harmonic_numbers():
    np.testing.assert_allclose(harmonic(X), np.cumsum(1 / X))

import json

import numpy as np
import pytest
from scipy.stats import norm

import benchmarks.coverage as coverage
from analysis import custom_law, fit_scaling_law
from analysis.laws.scaling_fit import ScalingFit
from curselab.errors import InputError
from tests.analysis.factories import scaling_runs

COLUMNS = {"params": "params_total", "loss": "loss_nats_per_token"}


@pytest.fixture(scope="module")
def fit():
    return fit_scaling_law(scaling_runs(noise=0.01, seeds=2), **COLUMNS, bootstrap=300)


def test_a_new_run_scatters_more_than_the_curve(fit):
    curve, run = (fit.predict(1e5, 2e6, kind=kind) for kind in ("mean", "new_run"))
    assert curve["lower"][0] - run["lower"][0] > 0.01
    # the noise was 1 % of the loss
    assert np.log(run["upper"] / run["lower"])[0] / 3.92 == pytest.approx(0.01, rel=0.35)


def test_inputs_are_read_in_order_or_by_name(fit):
    expected = fit.predict(1e5, 2e6)
    assert fit.predict(tokens=2e6, params=1e5).equals(expected)
    assert expected["decades"][0] == 0
    assert fit.predict(1e6, 2e8)["decades"][0] == pytest.approx(1)
    for wrong in (lambda: fit.predict(1e5), lambda: fit.predict(1e5, 2e6, 3), lambda: fit.predict(1e5, D=1)):
        with pytest.raises(InputError, match="law chinchilla needs params, tokens"):
            wrong()
    with pytest.raises(InputError, match="allowed: mean, new_run, calibrated"):
        fit.predict(1e5, 2e6, kind="certain")
    with pytest.raises(InputError, match="allowed: compute, params, tokens"):
        fit.validate(by="luck")


@pytest.fixture(scope="module")
def spread():
    """Standard deviation of the estimates over 60 simulated tables."""
    tables = [scaling_runs(noise=0.01, seeds=3, seed=i) for i in range(60)]
    return np.std([fit_scaling_law(t, **COLUMNS, objective="l2", bootstrap=0).estimate for t in tables], axis=0)


@pytest.mark.parametrize("kind", ["case", "cluster", "wild", "bayes"])
def test_every_bootstrap_finds_the_spread_of_simulated_tables(kind, spread):
    options = {**COLUMNS, "objective": "l2"}
    fit = fit_scaling_law(scaling_runs(noise=0.01, seeds=3), **options, bootstrap=300, kind=kind)
    assert fit.bootstrap.kind == kind
    np.testing.assert_allclose(fit.bse[["alpha", "beta"]], spread[3:], rtol=0.35)


def test_identifiability_knows_the_condition_of_the_published_runs(chinchilla_fit):
    """Measured independently: 33 with centred logarithms; correlations of ln A and alpha, ln B and beta above 0.999."""
    found = chinchilla_fit.identifiability()
    assert found["condition"] == pytest.approx(33, abs=0.5)
    assert found["correlation"].loc["ln A", "alpha"] > 0.998
    assert found["levels"] == {"params": 140, "tokens": 240}
    assert np.linalg.norm(list(found["weakest"].values())) == pytest.approx(1)


def test_a_fixed_parameter_is_held_and_the_rest_is_refitted():
    data = scaling_runs((1.7, 60.0, 120.0, 0.35, 0.3))
    fit = fit_scaling_law(data, **COLUMNS, fixed={"E": 1.7}, bootstrap=20)
    np.testing.assert_allclose(fit.params, [1.7, 60, 120, 0.35, 0.3], rtol=1e-8)
    assert fit.bse["E"] == pytest.approx(0, abs=1e-12)
    assert fit.report()["fixed"] == {"E": 1.7}


def test_the_record_is_plain_and_complete(fit):
    record = json.loads(json.dumps(fit.report(), allow_nan=False))
    assert record["law"]["source"].startswith("Hoffmann")
    assert record["objective"]["delta"] == 0.001
    assert record["bootstrap"]["kind"] == "cluster"
    assert record["hold_out"]["runs"] > 0
    assert {"runs", "ranges", "optimum", "parameters", "identifiability", "warnings", "settings", "versions"} <= set(record)


def test_a_plot_shows_every_residual(fit):
    ax = fit.plot()
    (points,) = [line for line in ax.lines if line.get_linestyle() == "None"]
    np.testing.assert_allclose(
        np.sort(points.get_ydata()), np.sort(100 * np.expm1(-np.array(fit.resid))), rtol=1e-6, atol=1e-10
    )
    assert ax.get_xlabel() == "compute"
    assert fit.plot(ax) is ax


def test_a_law_of_one_s_own_is_given_again_when_it_is_read_back():
    law = custom_law(lambda N, D, E, A, a: E + A * N**-a + 0 * D, ("E", "A", "a"), start={"E": 1.5, "A": 50, "a": 0.3})
    fit = law.fit(scaling_runs(noise=0.01), **COLUMNS, bootstrap=3)
    content = json.loads(json.dumps(fit.to_dict()))
    assert ScalingFit.from_dict(content, form=law) == fit
    with pytest.raises(InputError, match="law: 'custom' was given"):
        ScalingFit.from_dict(content)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("design", ["independent", "clustered"])
@pytest.mark.parametrize("law", coverage.CASES)
def test_intervals_hold_the_truth_as_often_as_they_say(law, design):
    """1,000 simulated tables of 240 runs, independent or in 40 groups that share half of the variance: 93 to 97 %."""
    held = coverage.study(law, design, replicates=range(1000), resamples=400)[:, 0].mean(axis=0)
    assert ((held >= 0.93) & (held <= 0.97)).all(), held


def test_intervals_of_groups_reach_further_out(fit):
    """25 groups leave 24 degrees of freedom; by hand from the tables of t and of the normal distribution."""
    assert fit.bootstrap.kind == "cluster"
    tail = norm.sf(2.0639 * np.sqrt(25 / 24))
    np.testing.assert_allclose(fit.interval(np.arange(1.0, 10000), 0.95), [10000 * tail, 10000 * (1 - tail)], rtol=1e-3)
    # of 39 draws, the first and the last are where 2.5 % of 40 gaps lie beyond
    np.testing.assert_allclose(fit.interval(np.arange(1.0, 40), 0.95, kind="percentile"), [1, 39])
    wide, plain = fit.conf_int(), fit.conf_int(kind="percentile")
    assert (wide["lower"] < plain["lower"]).all()
    assert (wide["upper"] > plain["upper"]).all()

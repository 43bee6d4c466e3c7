import numpy as np
import pytest

from analysis import compare_laws, compare_systems, fit_scaling_law
from curselab.errors import InputError
from tests.analysis.factories import scaling_runs

COLUMNS = {"params": "params_total", "loss": "loss_nats_per_token"}


def test_the_law_that_made_the_runs_predicts_best():
    fit = fit_scaling_law(scaling_runs(noise=0.001, seeds=2), **COLUMNS, bootstrap=0)
    table = compare_laws(fit, ["kaplan", "chinchilla"])
    assert table["law"].tolist() == ["chinchilla", "kaplan"]
    assert table["held_out"].nunique() == 1
    assert table.loc[table["law"] == "chinchilla", "delta_aicc"].item() == 0


def test_laws_of_other_inputs_are_refused():
    fit = fit_scaling_law(scaling_runs(noise=0.001), **COLUMNS, bootstrap=0)
    with pytest.raises(InputError, match="law power reads compute"):
        compare_laws(fit, ["power"])


def test_what_two_systems_share_cancels():
    """Two systems 0.5 % apart whose runs share noise of 2 %: seen in pairs, never by two separate intervals."""
    a = scaling_runs(noise=0.02, seeds=2)
    own = np.exp(0.0005 * np.random.default_rng(1).standard_normal(len(a)))
    b = a.assign(loss_nats_per_token=a["loss_nats_per_token"] * 1.005 * own)
    fits = [fit_scaling_law(table, **COLUMNS, objective="l2", bootstrap=200) for table in (a, b)]
    table = compare_systems(*fits, 300_000, 6_000_000, resamples=300)
    assert table["differs"].all()
    assert table["ratio"][0] == pytest.approx(1.005, abs=0.002)
    bands = [fit.predict(300_000, 6_000_000) for fit in fits]
    assert bands[0]["upper"][0] > bands[1]["lower"][0]


def test_other_settings_are_no_pairs():
    a = fit_scaling_law(scaling_runs(), **COLUMNS, bootstrap=0)
    b = fit_scaling_law(scaling_runs().iloc[1:], **COLUMNS, bootstrap=0)
    with pytest.raises(InputError, match="same settings"):
        compare_systems(a, b, 1e5, 1e6)

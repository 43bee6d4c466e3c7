"""What a researcher may hand over: wrong input is refused in one line or coded; hard but valid input is fitted and coded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analysis import fit_isoflop, fit_scaling_law
from analysis.laws.forms import BESIROGLU_2024, CHINCHILLA, FORMS
from curselab.errors import InputError


def runs(noise: float = 0.005, sizes: int = 6, budgets: int = 5, seed: int = 0) -> pd.DataFrame:
    """A grid of sizes and tokens from the law of Hoffmann et al."""
    params, tokens = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 5e9, sizes), np.geomspace(1e9, 3e11, budgets)))
    scatter = np.exp(noise * np.random.default_rng(seed).standard_normal(len(params)))
    loss = CHINCHILLA.predict(BESIROGLU_2024, params, tokens) * scatter
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def spoil(column, value):
    """The table with one bad value in its fourth row."""
    return lambda t: t.astype({column: object}).assign(**{column: [*t[column][:3], value, *t[column][4:]]}).infer_objects()


def codes(fit) -> set[str]:
    return {note.code for note in fit.warnings}


@pytest.mark.parametrize("law", FORMS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("loss", np.nan), "loss is nan in row 3"),
        (spoil("params", np.nan), "params is nan in row 3"),
        (spoil("tokens", np.inf), "tokens is inf in row 3"),
        (spoil("loss", -np.inf), "loss is -inf in row 3"),
        (spoil("loss", 0.0), "loss is 0.0 in row 3"),
        (spoil("loss", -2.0), "loss is -2.0 in row 3"),
        (spoil("params", "70B"), "column 'params' holds .*, positive numbers are needed"),
        (lambda t: t.iloc[:2], "2 runs with a loss were given, . or more are needed"),
        (lambda t: t.iloc[:0], "no run with a loss"),
    ],
)
def test_values_that_are_no_runs_are_refused(law, change, message):
    with pytest.raises(InputError, match=message) as error:
        fit_scaling_law(change(runs()), law=law, bootstrap=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("law", "change", "message"),
    [
        ("chinchilla", lambda t: t[t["params"] == t["params"].min()].loc[lambda t: t.index.repeat(2)], "one value of params"),
        ("kaplan", lambda t: t[t["tokens"] == t["tokens"].min()], "one value of tokens"),
        ("power", lambda t: t.assign(params=1e8, tokens=1e10), "one value of compute"),
    ],
)
def test_one_size_only_is_refused(law, change, message):
    with pytest.raises(InputError, match=message):
        fit_scaling_law(change(runs()), law=law, bootstrap=0)


@pytest.mark.parametrize("law", FORMS)
def test_int32_columns_of_small_models_do_not_overflow(law):
    """The product of parameters and tokens is far above 2^31, each of them is not."""
    table = runs().assign(params=lambda t: np.round(t["params"] / 1e4), tokens=lambda t: np.round(t["tokens"] / 1e4))
    narrow = fit_scaling_law(table.astype({"params": np.int32, "tokens": np.int32}), law=law, bootstrap=0)
    assert narrow.estimate == fit_scaling_law(table, law=law, bootstrap=0).estimate


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: pd.concat([t, t.iloc[:3]]), "duplicated_rows"),
        (lambda t: t.assign(tokens=t["tokens"] / 1e6), "mixed_units"),
        (lambda t: t.assign(sigma=(0.005 * t["loss"]) ** 2), "sigma_looks_like_variance"),
        (lambda t: t[t["params"] <= np.sort(t["params"].unique())[1]], "not_identified"),
        (lambda t: t.assign(loss=3.0), "bound"),
        (lambda t: t.assign(loss=t["loss"] - 1.8), "not_identified"),
        (lambda t: t.assign(loss=10 / t["loss"]), "bound"),
        (lambda t: t[t["params"] != 5e9], "few_clusters"),
        (lambda t: t, "delta_l1_regime"),
        (lambda t: t.iloc[::4], "non_converged_resamples"),
    ],
    ids=[
        "duplicated rows",
        "tokens in millions",
        "variance as sigma",
        "two sizes",
        "constant loss",
        "no floor",
        "rising loss",
        "few runs",
        "small delta",
        "eight runs",
    ],
)
def test_what_is_doubtful_has_a_code(change, code):
    table = change(runs())
    groups = "params" if code == "few_clusters" else None
    fit = fit_scaling_law(table, sigma="sigma" if "sigma" in table else None, groups=groups, bootstrap=60)
    assert code in codes(fit)
    assert code in fit.summary()


@settings(max_examples=30, phases=[Phase.generate])
@given(
    law=st.sampled_from(sorted(FORMS)),
    objective=st.sampled_from(["huber", "l2", "l1"]),
    kind=st.sampled_from(["auto", "case", "wild", "bayes"]),
    logs=st.lists(st.tuples(st.floats(4, 12), st.floats(5, 14), st.floats(-3, 3)), min_size=6, max_size=14, unique=True),
    unit=st.floats(-8, 8),
)
def test_hard_but_valid_tables_never_raise(law, objective, kind, logs, unit):
    """Any positive numbers in any unit, with no law behind them: a result comes back, and says what it does not know."""
    params, tokens, loss = 10.0 ** np.array(logs).T
    if any(len(np.unique(np.round(column, 9))) < 2 for column in (params, tokens, params * tokens)):
        return
    fit = fit_scaling_law(
        params=params, tokens=tokens, loss=loss * 10**unit, law=law, objective=objective, kind=kind, bootstrap=12
    )
    assert np.isfinite(fit.estimate).all()
    assert fit.status == "ok" or codes(fit) & {"not_identified", "bound", "not_converged", "non_converged_resamples"}
    assert set(fit.unidentified) <= set(fit.symbols)
    assert len(fit.summary().splitlines()) > 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("loss", np.nan), "loss is nan in row 3"),
        (spoil("flops", np.inf), "flops is inf in row 3"),
        (spoil("loss", 0.0), "loss is 0.0 in row 3"),
        (spoil("params", "1B"), "positive numbers are needed"),
        (lambda t: t.assign(params=1e8), "1 sizes, 4 are needed"),
        (lambda t: t.iloc[:3], "0 budgets have a minimum"),
    ],
)
def test_an_isoflop_analysis_refuses_the_same(change, message):
    rows = [
        {"flops": C, "params": n, "loss": 2 + 0.01 * np.log(n / C**0.5) ** 2 + 0.001 * np.log(n) ** 3 / 1e3}
        for C in (1e18, 1e19, 1e20)
        for n in C**0.5 * np.geomspace(0.1, 10, 7)
    ]
    with pytest.raises(InputError, match=message) as error:
        fit_isoflop(change(pd.DataFrame(rows)), bootstrap=0)
    assert "\n" not in str(error.value)

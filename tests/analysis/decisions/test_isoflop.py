import numpy as np
import pandas as pd
import pytest

from analysis import fit_isoflop
from analysis.laws.forms import BESIROGLU_2024, CHINCHILLA
from curselab.errors import InputError

THETA = CHINCHILLA.vector(BESIROGLU_2024)
A_TRUE = THETA[4] / (THETA[3] + THETA[4])


def sweep(noise=0.0, span=3, centre=1.0, seed=0):
    """Seven sizes at each of five budgets around the known best one."""
    rng, rows = np.random.default_rng(seed), []
    E, A, B, alpha, beta = THETA
    for C in np.geomspace(1e18, 1e22, 5):
        best = (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * (C / 6) ** A_TRUE
        for n in best * centre * 2.0 ** np.linspace(-span, span, 7):
            loss = E + A * n**-alpha + B * (C / 6 / n) ** -beta
            rows.append({"flops": C, "params": n, "loss": loss * np.exp(noise * rng.standard_normal())})
    return pd.DataFrame(rows)


def test_exponents_of_a_known_law_come_back():
    fit = fit_isoflop(sweep(), bootstrap=0)
    assert fit.params["a"] == pytest.approx(A_TRUE, abs=5e-4)
    assert fit.params["a"] + fit.params["b"] == pytest.approx(1)
    best = fit.optimal(1e21)
    assert 6 * best["params"][0] * best["tokens"][0] == pytest.approx(1e21)
    assert fit.optimal([1e21, 1e24])["warning"].tolist() == ["", "extrapolating"]


@pytest.mark.parametrize("centre", [1.0, 3.0])
def test_wide_sizes_bias_the_parabola_and_hardly_the_cubic(centre):
    """The finding of Czech et al. 2026, arXiv:2603.22339, without noise."""
    truth = (THETA[3] * THETA[1] / (THETA[4] * THETA[2])) ** (1 / (THETA[3] + THETA[4])) * (1e20 / 6) ** A_TRUE
    error = {}
    for curve in ("cubic", "parabola"):
        fit = fit_isoflop(sweep(span=5, centre=centre), curve=curve, bootstrap=0)
        error[curve] = abs(float(np.log(fit.optimal(1e20)["params"][0] / truth)))
    assert error["cubic"] < 0.25 * error["parabola"]


def test_the_data_choose_the_curve():
    """Sizes off centre need the cubic, whose exponent is ten times nearer there; under noise it does not pay."""
    assert fit_isoflop(sweep(span=2, centre=3), bootstrap=0).settings["curve"] == "cubic"
    assert fit_isoflop(sweep(noise=0.003, span=2), bootstrap=0).settings["curve"] == "parabola"
    with pytest.raises(InputError, match="'spline' was given .allowed: auto, cubic, parabola."):
        fit_isoflop(sweep(), curve="spline")


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say():
    """Centred sizes at 0.2 % noise, 300 replicates: a binomial error of 1.3 points."""
    intervals = [fit_isoflop(sweep(noise=0.002, seed=i), bootstrap=300, seed=i).conf_int().loc["a"] for i in range(300)]
    assert 0.91 < np.mean([lower <= A_TRUE <= upper for lower, upper in intervals]) < 0.98


def test_intervals_hold_the_truth_under_noise():
    fit = fit_isoflop(sweep(noise=0.001), bootstrap=200)
    lower, upper = fit.conf_int().loc["a"]
    assert lower < A_TRUE < upper
    assert fit.bse["a"] == pytest.approx(fit.bse["b"])
    assert fit_isoflop(sweep(noise=0.001), bootstrap=20).draws == fit_isoflop(sweep(noise=0.001), bootstrap=20).draws


def test_budgets_without_a_minimum_are_rejected_by_name():
    table = sweep()
    table.loc[table["flops"] == 1e18, "loss"] = 6 - table.loc[table["flops"] == 1e18, "loss"]  # a maximum
    last = table["flops"] == table["flops"].max()
    table.loc[last, "loss"] = 3 - 0.01 * np.log(table.loc[last, "params"]) + 1e-4 * np.log(table.loc[last, "params"]) ** 2
    fit = fit_isoflop(table, curve="parabola", bootstrap=0)
    assert [note.message for note in fit.rejected] == [
        "1e+18 FLOP: the curve is not convex at any turning point",
        "1e+22 FLOP: the minimum is not bracketed by the sizes",
    ]
    assert len(fit.budgets) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["flops"] < 1e20], "2 budgets have a minimum, 3 are needed"),
        (lambda t: t.groupby("flops").head(3), "3 sizes, 4 are needed"),
        (lambda t: t.assign(loss=np.nan), "nan in row 0"),
        (lambda t: t.drop(columns="flops"), "'flops' is missing"),
    ],
)
def test_bad_tables_are_one_line_errors(change, message):
    with pytest.raises(InputError, match=message):
        fit_isoflop(change(sweep()))

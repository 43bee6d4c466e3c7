import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analysis.laws.learning_rate import LearningRateFit, fit_learning_rate
from curselab.errors import InputError
from tests.analysis.factories import frame, learning_rate_runs

EXACT = {"noise": (1e-9,) * 3}


def _only(data, **options):
    fit = fit_learning_rate(data, **options)
    return fit, fit.sizes[0]


def _codes(size):
    return {note.code for note in size.reasons}


def test_a_parabola_without_noise_gives_the_closed_form():
    fit, size = _only(learning_rate_runs(best=0.8, bend=0.1, **EXACT))
    cost = 0.1 * np.log(0.8) ** 2 / fit_learning_rate(learning_rate_runs(best=1, **EXACT)).sizes[0].minimum
    assert fit.status == "ok"
    assert size.optimum == pytest.approx(0.8 * size.chosen, rel=1e-6)
    assert (size.lower, size.upper) == pytest.approx((size.optimum, size.optimum), rel=1e-6)
    assert size.cost == pytest.approx(cost, rel=1e-6)
    assert (size.cost_lower, size.cost_upper) == pytest.approx((cost, cost), rel=1e-5)
    assert fit.verdict == "shown"


def test_three_rates_are_numpy_s_own_parabola():
    data = learning_rate_runs(noise=(0.01,) * 3, seeds=5)
    _, size = _only(data)
    peer = np.polyfit(np.log(np.array(size.rates) / size.chosen), size.means, 2)[::-1]
    np.testing.assert_allclose(size.curve, peer, rtol=1e-9)
    lowest = minimize_scalar(np.polynomial.Polynomial(peer), bounds=(-1, 1), method="bounded", options={"xatol": 1e-10})
    assert size.optimum == pytest.approx(size.chosen * np.exp(lowest.x), rel=1e-6)
    assert size.minimum == pytest.approx(lowest.fun, rel=1e-9)
    assert size.cost == pytest.approx(np.mean(data.loc[data["stage"] == "chosen", "loss_nats_per_token"]) / lowest.fun - 1)


def test_seeds_are_paired():
    """A seed's own effect, the same at all rates, moves and widens nothing."""
    data = learning_rate_runs()
    shifted = data.assign(loss_nats_per_token=data["loss_nats_per_token"] + 0.5 * (data["seed"] - 1.5))
    (_, a), (_, b) = (_only(d) for d in (data, shifted))
    assert (a.optimum, a.lower, a.upper) == pytest.approx((b.optimum, b.lower, b.upper), rel=1e-9)
    assert (a.cost, a.cost_lower, a.cost_upper) == pytest.approx((b.cost, b.cost_lower, b.cost_upper), rel=1e-9)


def test_more_rates_are_fitted_around_the_lowest():
    """Far from the best rate the loss is no parabola; five rates within an octave do not see it."""
    factors = tuple(2.0 ** np.arange(-4, 5))
    data = learning_rate_runs(factors=factors, best=0.8, noise=(1e-9,) * 9)
    wild = data["learning_rate"] > 5 * data.loc[data["stage"] == "chosen", "learning_rate"].iloc[0]
    _, size = _only(data.assign(loss_nats_per_token=data["loss_nats_per_token"] + 3.0 * wild))
    assert size.optimum == pytest.approx(0.8 * size.chosen, rel=1e-6)
    assert len(size.rates) == 9


def test_a_dear_rule_is_refuted_whether_the_best_rate_is_found_or_lies_beyond():
    fit, size = _only(learning_rate_runs(best=0.65, bend=0.3))
    assert size.optimum is not None
    assert fit.verdict == "refuted"
    fit, size = _only(learning_rate_runs(best=0.1))
    assert _codes(size) == {"not_bracketed"}
    assert size.optimum is None
    # best of the bracket: a third of the rule's rate
    least = 0.1 * (np.log(10) ** 2 - np.log(10 / 3) ** 2) / (2.5 + 0.1 * np.log(10 / 3) ** 2)
    assert size.cost_lower < size.cost < size.cost_upper
    assert size.cost == pytest.approx(least, rel=0.1)
    assert fit.verdict == "refuted"


def test_a_cheap_rule_is_not_called_cheap_where_the_best_rate_is_unknown():
    fit, size = _only(learning_rate_runs(bend=0.0, noise=(0.001,) * 3))
    assert "not_convex" in _codes(size)
    assert size.cost_upper < 0.01
    assert fit.verdict == "open"


def test_the_loss_may_be_lowest_at_an_end_by_luck():
    data = learning_rate_runs(best=1.7, noise=(0.001,) * 3)
    assert _only(data)[1].status == "ok"
    top = data["learning_rate"] == data["learning_rate"].max()
    lucky = data["loss_nats_per_token"] - 0.05 * top
    assert _codes(_only(data.assign(loss_nats_per_token=lucky))[1]) == {"not_bracketed"}


def test_an_interval_beyond_the_bracket_is_no_answer():
    _, size = _only(learning_rate_runs(best=1.6, noise=(0.02, 0.02, 0.08), seed=4))
    assert _codes(size) == {"interval_leaves_bracket"}
    assert size.optimum is size.lower is size.upper is None


def test_noise_that_hides_the_curve_is_no_answer():
    """Null tables: the rate does nothing, and a best one is claimed for hardly any of them."""
    fits = [fit_learning_rate(learning_rate_runs(bend=0.0, seed=i), bootstrap=50) for i in range(100)]
    assert sum(fit.status == "ok" for fit in fits) <= 7  # 2.5 % open upwards by chance; three standard errors
    assert sum(fit.verdict == "refuted" for fit in fits) == 0


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_have_no_interval(seeds):
    fit, size = _only(learning_rate_runs(seeds=seeds))
    assert _codes(size) == {"few_seeds"}
    assert size.cost is size.optimum is None
    assert len(size.means) == 3
    assert fit.verdict == "open"


def test_two_rates_have_no_parabola():
    data = learning_rate_runs()
    _, size = _only(data[data["learning_rate"] <= data.loc[data["stage"] == "chosen", "learning_rate"].iloc[0]])
    assert _codes(size) == {"few_rates"}
    assert size.cost is None


def test_a_seed_that_lacks_a_rate_is_left_out():
    data = learning_rate_runs(seeds=5)
    _, size = _only(data.drop(index=0))
    _, peer = _only(data[data["seed"] > 0])
    assert (size.n_seeds, size.n_runs) == (4, 14)
    assert (size.curve, size.lower, size.upper) == (peer.curve, peer.lower, peer.upper)


def test_a_rate_with_a_diverged_run_leaves_the_parabola_and_is_counted():
    factors, noise = (0.25, 0.5, 1, 2, 4), (0.01,) * 5
    data = learning_rate_runs(factors=factors, noise=noise)
    data.loc[4, ["status", "loss_nats_per_token"]] = ["diverged", np.nan]
    fit, size = _only(data)
    assert (fit.counts.n_diverged, size.n_diverged, size.n_runs) == (1, 1, 19)
    assert size.n_seeds == 4
    np.testing.assert_allclose(np.array(size.rates) / size.chosen, factors[:4])
    assert fit.status == "ok"


def test_a_rule_whose_own_rate_diverges_is_refuted():
    data = learning_rate_runs((6_000, 12_000))
    data.loc[1, ["status", "loss_nats_per_token"]] = ["diverged", np.nan]
    fit, size = _only(data)
    assert _codes(size) == {"rule_diverged", "few_rates"}
    assert size.cost is None
    assert fit.verdict == "refuted"
    assert fit.verdict_of(fit.sizes[1]) == "shown"


def test_a_size_whose_runs_all_diverged_is_still_in_the_result():
    data = learning_rate_runs((6_000, 12_000))
    lost = data["params_non_embedding"] == 6_000
    fit, size = _only(data.assign(status=np.where(lost, "diverged", "ok"), loss_nats_per_token=data["loss_nats_per_token"]))
    assert "rule_diverged" in _codes(size)
    assert (size.n_diverged, size.means, fit.counts.n_runs) == (12, (), 12)
    assert fit.verdict == "refuted"
    assert len(fit.frame()) == 2


def test_a_rule_of_one_s_own():
    data = learning_rate_runs((6_000, 24_000)).drop(columns="stage")
    fit = fit_learning_rate(data, rule=lambda n: 2 / n**0.5)
    assert [s.chosen for s in fit.sizes] == [2 / n**0.5 for n in (6_000, 24_000)]
    assert fit.verdict == "shown"
    _, size = _only(data, rule=lambda n: 8 / n**0.5)
    assert _codes(size) == {"rule_outside"}


def test_a_size_s_result_does_not_depend_on_the_others():
    one = fit_learning_rate(learning_rate_runs((6_000,))).sizes[0]
    two = fit_learning_rate(learning_rate_runs((6_000, 12_000))).sizes[0]
    assert one == two


def test_a_result_survives_json_exactly_and_is_told_in_words():
    for data in (learning_rate_runs((6_000, 12_000)), learning_rate_runs(seeds=1), learning_rate_runs(bend=0.0)):
        fit = fit_learning_rate(data, bootstrap=100)
        assert LearningRateFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False))) == fit
        assert f"the rule costs less than 1 % of the loss: {fit.verdict}" in fit.summary()
        assert fit.summary().count("not identified:") == fit.frame()["optimum"].isna().sum()
    assert fit_learning_rate(data, bootstrap=0).sizes[0].cost_upper is None


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: d.drop(columns="learning_rate"), {}, "'learning_rate' is missing"),
        (lambda d: d.assign(learning_rate=0.0), {}, "learning_rate is 0.0 in row 0"),
        (lambda d: d.assign(loss_nats_per_token=np.nan), {}, "nan in row 0"),
        (lambda d: d.assign(tokens=d["seed"] + 1), {}, "size 6000 has runs of different tokens"),
        (lambda d: d.assign(stage="bracket"), {}, "size 6000 has no rate of stage 'chosen'"),
        (lambda d: d.assign(stage="chosen"), {}, "size 6000 has 3 rates of stage 'chosen', one is needed"),
        (lambda d: d, {"rule": lambda n: -1.0}, "rule: it gives -1.0 for size 6000"),
        (lambda d: d, {"tolerance": 1}, "tolerance: 1 was given, a share between 0 and 1"),
        (lambda d: d, {"bootstrap": -1}, "bootstrap: -1 was given"),
        (lambda d: d.head(0), {}, "no rows were given"),
    ],
)
def test_bad_tables_are_one_line_errors(change, options, message):
    with pytest.raises(InputError, match=message) as error:
        fit_learning_rate(change(learning_rate_runs()), **options)
    assert "\n" not in str(error.value)


def test_a_table_may_have_a_repeated_index():
    data = frame(learning_rate_runs(noise=(0.01,) * 3).to_dict("records"))
    data.loc[2, ["status", "loss_nats_per_token"]] = ["diverged", np.nan]
    data.index = [0] * len(data)
    _, size = _only(data)
    assert len(size.rates) == 2


def _coverage(n, best, noise, seeds=4):
    """Shares of simulated tables: optimum identified; of these, in its interval; cost in its interval; verdicts."""
    truth = 0.1 * np.log(best) ** 2 / 2.5
    sizes, verdicts = [], []
    for i in range(n):
        fit = fit_learning_rate(learning_rate_runs(best=best, noise=noise, seeds=seeds, seed=i), bootstrap=400)
        sizes.append(fit.sizes[0])
        verdicts.append(fit.verdict)
    found = [s for s in sizes if s.optimum is not None]
    return (
        len(found) / n,
        np.mean([s.lower <= best * s.chosen <= s.upper for s in found]),
        np.mean([s.cost_lower <= truth <= s.cost_upper for s in sizes]),
        {name: verdicts.count(name) / n for name in ("shown", "refuted", "open")},
    )


def test_coverage_where_noise_grows_with_the_rate():
    found, optimum, cost, verdicts = _coverage(200, best=0.8, noise=(0.01, 0.02, 0.05))
    assert found > 0.9
    # 95 %, and three standard errors of 1.5 %
    assert optimum > 0.90
    assert cost > 0.90
    assert verdicts["refuted"] <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("noise", [(0.01,) * 3, (0.03,) * 3, (0.01, 0.02, 0.05)])
@pytest.mark.parametrize("best", [1.0, 0.8, 0.6])
@pytest.mark.parametrize("seeds", [3, 4, 8])
def test_coverage(seeds, best, noise):
    found, optimum, cost, verdicts = _coverage(1000, best=best, noise=noise, seeds=seeds)
    # 95 %, and three standard errors of 0.7 %
    assert cost > 0.929
    if found > 0.8:  # where few are identified they are the lucky ones
        assert optimum > 0.929
    # at 0.6 the rule costs 1.04 %: hardly ever called cheap; at the others hardly ever called dear
    assert verdicts["shown" if best == 0.6 else "refuted"] <= 0.025

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize_scalar

from analysis.decisions.optimal_teacher import optimal_teacher
from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.distillation_scaling import DistillationScaling
from curselab.errors import InputError
from tests.analysis.factories import capacity_gap_runs, dsl_loss

S, D = 546e6, 320 * 546e6
CATALOGUE = pd.DataFrame({"name": ["1B", "3B", "7B", "13B"], "params": [1e9, 3e9, 7e9, 13e9], "tokens": [2e12] * 4})


def test_each_law_advises_and_the_loss_at_stake_is_shown():
    """Losses at 1, 2.5 and 10 times the student and the 5-millinat band, computed independently from table 6."""
    found = optimal_teacher(S, D)
    zhang, busbridge = found.advice
    assert zhang.teacher == pytest.approx(2.498 * S - 11.498e6)
    assert (zhang.trust, busbridge.trust) == ("secondary", "primary")
    assert busbridge.teacher / S == pytest.approx(8.914, abs=0.01)
    assert busbridge.lower < busbridge.teacher < busbridge.upper
    assert [o.loss for o in found.stakes] == pytest.approx([2.51568, 2.33855, 2.27193, 2.27168], abs=2e-5)
    assert zhang.excess == pytest.approx(dsl_loss(S, D, zhang.teacher) - 2.27168, abs=2e-5)
    assert (found.band_lower / S, found.band_upper / S) == pytest.approx((5.79549, 16.0043), rel=0.01)
    assert found.own_loss == pytest.approx(2.29501, abs=1e-5)
    assert found.warnings == ()


def test_what_is_at_stake_has_an_interval():
    """Independently: constants of table 6 as normals, the lowest loss found by a scalar search for each set."""
    law, rng = DistillationScaling(), np.random.default_rng(5)
    at_ratio = []
    for _ in range(200):

        def drawn(constants):
            return {c.symbol: c.value + (c.upper - c.lower) / 3.2897 * rng.standard_normal() for c in constants}

        own, taught = drawn(law.supervised), drawn(law.distilled)

        def plain(n, d, own=own):
            return own["E"] + (own["A"] / n ** own["alpha"] + own["B"] / d ** own["beta"]) ** own["gamma"]

        def loss(x, taught=taught, plain=plain):
            signal, own_loss, f = plain(S * np.exp(x), 20 * S * np.exp(x)), plain(S, D), taught["f1"]
            gap = (taught["A"] / S ** taught["alpha"] + taught["B"] / D ** taught["beta"]) ** taught["gamma"]
            broken = (1 + (signal / (own_loss * taught["d1"])) ** (1 / f)) ** (-taught["c1"] * f)
            return signal + signal ** -taught["c0"] * broken * gap

        lowest = minimize_scalar(loss, bounds=(0.5, 6), method="bounded").fun
        at_ratio.append(loss(np.log(2.5)) - lowest)
    option = optimal_teacher(S, D).stakes[1]
    lower, upper = np.quantile(at_ratio, [0.05, 0.95])
    assert (option.excess_lower, option.excess_upper) == pytest.approx((lower, upper), abs=0.006)
    assert option.excess_lower < option.excess < option.excess_upper


def test_the_band_ends_where_the_loss_does():
    found = optimal_teacher(S, D, band=0.02)
    lowest = found.stakes[-1].loss
    for end, inside in ((found.band_lower, (1, 8)), (found.band_upper, (10, 200))):
        edge = brentq(lambda ratio: float(dsl_loss(S, D, ratio * S)) - lowest - 0.02, *inside)
        assert end == pytest.approx(edge * S, rel=0.01)


def test_four_scenarios_of_flop():
    """3 F(N_S) D_S + F(N_T) (runs D_S + 3 trains D_T) with F = 2N, by hand."""
    row = optimal_teacher(S, D).options().set_index("name").loc["10x"]
    T = 10 * S
    own, passes, training = 6 * S * D, 2 * T * D, 6 * T * 20 * T
    expected = [own, own + passes, own + training, own + passes + training]
    assert row[["flop_student", "flop_inference", "flop_training", "flop_both"]].tolist() == pytest.approx(expected)


def test_at_a_fixed_total_the_costs_change_the_teacher():
    found = optimal_teacher(S, D, compute=1e21)
    best = {b.scenario: b for b in found.budgets}
    assert best["student"].teacher > best["inference"].teacher > best["both"].teacher
    # with its own training counted, a teacher of 2.9e9 leaves nothing
    for scenario, runs, trains, largest in (("inference", 1, 0, 3.0), ("both", 1, 1, 1.6)):

        def loss(x, runs=runs, trains=trains):
            T = S * np.exp(x)
            return float(dsl_loss(S, (1e21 - trains * 120 * T**2) / (6 * S + runs * 2 * T), T))

        peer = minimize_scalar(loss, bounds=(-0.5, largest), method="bounded")
        assert np.log(best[scenario].teacher / S) == pytest.approx(peer.x, abs=0.01)
        assert best[scenario].loss == pytest.approx(peer.fun, abs=1e-5)
        b = best[scenario]
        spent = 6 * S * b.student_tokens + 2 * b.teacher * (runs * b.student_tokens + 60 * trains * b.teacher)
        assert spent == pytest.approx(1e21)


def test_a_catalogue_is_chosen_from():
    found = optimal_teacher(1.2e9, 3e11, catalogue=CATALOGUE)
    law = DistillationScaling()
    losses = law.loss(1.2e9, 3e11, law.own_loss(CATALOGUE["params"], CATALOGUE["tokens"]))
    assert [o.loss for o in found.catalogue] == pytest.approx(sorted(losses))
    assert found.advice[1].choice == CATALOGUE["name"][losses.argmin()]
    # 2.5 times the student, less the offset, is nearest to 3B
    assert found.advice[0].choice == "3B"
    assert all(a.loss in [o.loss for o in found.catalogue] for a in found.advice)


def test_losses_that_are_given_stand_for_themselves():
    """A small teacher with a good loss is as good as a large one: only the loss enters."""
    given = pd.DataFrame({"params": [1e9, 5e9], "loss": [2.08, 2.5]})
    found = optimal_teacher(S, D, catalogue=given)
    assert found.advice[1].choice == "1e+09"
    assert [note.code for note in found.warnings] == ["loss_as_given", "teacher_loss_not_falling"]
    assert "teacher_loss_not_falling" in found.summary()


def test_laws_beyond_their_range_say_so():
    found = optimal_teacher(5e6, 1e9)
    assert found.advice[0].teacher is None
    assert [note.code for note in found.advice[0].notes] == ["outside_law"]
    assert {note.code for note in found.advice[1].notes} >= {"extrapolated"}
    assert [note.code for note in found.warnings] == ["losses_extrapolated"]
    assert "no answer" in found.summary()


def test_one_s_own_fit_is_a_law_too():
    sizes = (198_000_000, 546_000_000, 1_820_000_000, 7_750_000_000)
    fit = fit_capacity_gap(capacity_gap_runs(sizes, noise=0.001), bootstrap=100)
    mine = optimal_teacher(S, D, laws=[fit]).advice[0]
    assert (mine.law, mine.trust) == ("this fit", "fitted")
    assert mine.teacher == pytest.approx(fit.predict(S)["teacher"][0])
    assert mine.excess < 0.005
    outside = optimal_teacher(1e8, 3.2e10, laws=[fit]).advice[0]
    assert [note.code for note in outside.notes] == ["extrapolated"]
    nothing = fit_capacity_gap(capacity_gap_runs(), bootstrap=100)
    assert optimal_teacher(S, D, laws=[nothing]).advice[0].teacher is None


def test_no_teacher_is_affordable():
    found = optimal_teacher(1.2e9, 3e11, catalogue=CATALOGUE, compute=1e20)
    both = next(b for b in found.budgets if b.scenario == "both")
    assert (both.teacher, both.student_tokens, both.loss) == (None, None, None)
    assert "no teacher leaves the student any tokens" in found.summary()


def test_the_answer_is_plain():
    found = optimal_teacher(S, D, catalogue=CATALOGUE)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["judge"] == "Busbridge et al. 2025"
    assert list(found.frame()["law"]) == ["Zhang et al. 2023", "Busbridge et al. 2025"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"student_params": 0.0}, "student_params: 0.0 was given"),
        ({"compute": np.inf}, "compute: inf was given"),
        ({"catalogue": pd.DataFrame({"size": [1e9]})}, "column 'params' is missing"),
        ({"catalogue": CATALOGUE.iloc[:0]}, "no rows were given"),
        ({"catalogue": CATALOGUE.assign(loss=-1.0)}, "loss is -1.0 in row 0"),
    ],
)
def test_bad_input_is_one_line(change, message):
    with pytest.raises(InputError, match=message):
        optimal_teacher(**({"student_params": S, "student_tokens": D} | change))

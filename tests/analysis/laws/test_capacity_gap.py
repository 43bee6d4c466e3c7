import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq, minimize_scalar

from analysis.laws.capacity_gap import PUBLISHED, CapacityGapFit, fit_capacity_gap
from curselab.errors import InputError
from tests.analysis.factories import capacity_gap_runs, dsl_loss

FOUR = (198_000_000, 546_000_000, 1_820_000_000, 7_750_000_000)
COARSE = 2.0 ** np.arange(0, 5.1)


def _best_ratio(size, tokens_per_param=320):
    """Optimum of the loss of Busbridge et al. by a library's own minimiser."""
    found = minimize_scalar(
        lambda x: float(dsl_loss(float(size), float(size * tokens_per_param), size * np.exp(x))),
        bounds=(0.5, 4),
        method="bounded",
    )
    return np.exp(found.x)


def _codes(student):
    return {note.code for note in student.reasons}


def test_the_simulated_truth_is_the_published_one():
    """Busbridge et al., table 6: the best student of 546M parameters at 320 tokens a parameter has loss 2.2717."""
    assert _best_ratio(546e6) == pytest.approx(8.9, abs=0.05)
    assert dsl_loss(546e6, 546e6 * 320, 546e6 * 8.915) == pytest.approx(2.2717, abs=5e-5)


def test_published_constants():
    zhang, busbridge = PUBLISHED
    assert (zhang.ratio, zhang.offset) == (2.498, -11.498e6)
    assert _best_ratio(546e6) == pytest.approx(busbridge.ratio, rel=0.05)
    assert {law.trust for law in PUBLISHED} == {"secondary", "derived"}


def test_an_optimum_is_found_with_its_interval():
    (student,) = fit_capacity_gap(capacity_gap_runs(noise=0.002)).students
    assert student.status == "ok"
    assert not student.reasons
    assert student.optimum / student.student == pytest.approx(_best_ratio(546e6), rel=0.15)
    assert student.lower < student.optimum < student.upper
    assert student.lower / student.student < _best_ratio(546e6) < student.upper / student.student
    assert student.n_seeds == 4


def test_the_bias_of_the_estimator_is_small():
    """Mean over 40 tables: within 0.03 of the truth in ln N_T; a parabola is off by 0.09, one through all points by 0.5."""
    best = [fit_capacity_gap(capacity_gap_runs(noise=0.002, seed=i), bootstrap=100).students[0] for i in range(40)]
    found = np.log([s.optimum / s.student for s in best if s.optimum is not None])
    assert len(found) >= 38
    truth = np.log(_best_ratio(546e6))
    assert abs(found.mean() - truth) < 0.03
    parabola = np.log([s.estimates[1].optimum / s.student for s in best])
    assert 0.06 < parabola.mean() - truth < 0.12
    everything = [np.polynomial.Polynomial.fit(np.log(s.teachers), s.means, 2).deriv().roots()[0] for s in best]
    assert np.mean(everything) - np.log(546e6) - truth == pytest.approx(0.5, abs=0.05)


def test_no_effect_is_not_identified():
    """Null tables: a teacher's size does nothing, and a best one is claimed for hardly any of them."""
    claimed = rises = 0
    for i in range(100):
        data = capacity_gap_runs(ratios=COARSE, noise=0.01, seed=i, loss=lambda s, d, t: 2.3)
        (student,) = fit_capacity_gap(data, bootstrap=99).students
        claimed += student.status == "ok"
        rises += student.p_no_rise <= 0.05
        assert student.status == ("not_identified" if student.optimum is None else "ok")
    assert claimed <= 2
    assert rises <= 12  # 5 % of 100, and three standard errors


def test_a_grid_that_ends_early_gives_a_lower_bound():
    data = capacity_gap_runs(ratios=2.0 ** np.arange(0, 2.6, 0.5))
    fit = fit_capacity_gap(data, bootstrap=400)
    (student,) = fit.students
    assert student.optimum is None
    assert {"lowest_at_largest_teacher", "rise_not_significant"} <= _codes(student)
    assert student.below is None
    assert 546e6 < student.above <= _best_ratio(546e6) * 546e6
    assert fit.across.reason == "0 of 1 students have an identified optimum; 4 over a factor of 8 are needed"


def test_a_grid_that_starts_late_gives_an_upper_bound():
    (student,) = fit_capacity_gap(capacity_gap_runs(ratios=2.0 ** np.arange(4, 8)), bootstrap=400).students
    assert student.above is None
    assert "lowest_at_smallest_teacher" in _codes(student)
    assert _best_ratio(546e6) * 546e6 < student.below


def test_one_seed_has_no_interval():
    fit = fit_capacity_gap(capacity_gap_runs(FOUR, seeds=1))
    assert all("one_seed" in _codes(s) and s.optimum is None and s.p_no_rise is None for s in fit.students)
    assert fit.params.isna().all()
    assert fit.predict([1e9])["teacher"].isna().all()


@pytest.mark.parametrize("n", [1, 2])
def test_few_teachers_are_no_error_and_no_optimum(n):
    (student,) = fit_capacity_gap(capacity_gap_runs(ratios=2.0 ** np.arange(n)), bootstrap=50).students
    assert student.optimum is None
    assert "few_teachers" in _codes(student)


def test_a_larger_teacher_must_be_a_better_one():
    data = capacity_gap_runs(noise=0.002)
    turned = data.assign(teacher_loss_nats_per_token=data["teacher_params_non_embedding"].rank() / 100 + 2)
    (student,) = fit_capacity_gap(turned).students
    assert _codes(student) == {"teacher_loss_not_falling"}


def test_seeds_are_paired():
    """A seed's own effect, the same for all teachers, widens nothing."""
    data = capacity_gap_runs(noise=0.002)
    shifted = data.assign(loss_nats_per_token=data["loss_nats_per_token"] + 0.5 * data["seed"])
    a, b = (fit_capacity_gap(d).students[0] for d in (data, shifted))
    assert a.sigma == pytest.approx(b.sigma)
    assert a.optimum == pytest.approx(b.optimum)
    assert (a.lower, a.upper) == pytest.approx((b.lower, b.upper))


def test_a_diverged_run_is_counted_and_the_rest_is_fitted():
    data = capacity_gap_runs(noise=0.002)
    data.loc[3, ["status", "loss_nats_per_token"]] = ["diverged", np.nan]
    fit = fit_capacity_gap(data)
    assert fit.counts.n_diverged == 1
    assert fit.students[0].status == "ok"


def _line(x, z, variances):
    """Peer of the line, and the scatter beside the errors with which its weighted mean square is 1 (Paule and Mandel 1982)."""

    def weighted(scatter):
        return sm.WLS(z, sm.add_constant(x), weights=1 / (variances + scatter)).fit()

    scatter = brentq(lambda s: weighted(s).scale - 1, 0, 10) if weighted(0).scale > 1 else 0.0
    return weighted(scatter), scatter


def test_the_law_over_students():
    """With 80 tokens a parameter and more the published coefficients imply an exponent near 1: 0.96 at 320."""
    fit = fit_capacity_gap(capacity_gap_runs(FOUR, noise=0.001, seeds=6))
    assert fit.status == "ok"
    assert fit.across.b_lower < 0.96 < fit.across.b_upper
    s = fit.students
    x, z = np.log([a.student for a in s]), np.log([a.optimum for a in s])
    peer, scatter = _line(x, z, np.array([a.se_log for a in s]) ** 2)
    assert scatter > 0
    assert fit.across.b == pytest.approx(peer.params[1], rel=1e-6)
    assert fit.across.b_se == pytest.approx(peer.bse[1], rel=1e-6)
    assert (fit.across.b_lower, fit.across.b_upper) == pytest.approx(tuple(peer.conf_int()[1]), rel=1e-6)
    half = (fit.across.b_upper - fit.across.b_lower) / 2
    assert fit.across.verdict == ("supported" if half <= 0.2 else "compatible, not tested")
    middle = fit.predict([np.exp(x.mean())])
    assert middle["lower"][0] < middle["teacher"][0] < middle["upper"][0]


def test_the_line_and_the_held_out_student():
    """Against statsmodels, on the optima that were found."""
    fit = fit_capacity_gap(capacity_gap_runs(FOUR, noise=0.001, seeds=6))
    c, found = fit.across, [s for s in fit.students if s.optimum is not None]
    N, T, se = (np.array([getattr(s, name) for s in found]) for name in ("student", "optimum", "se_log"))
    _, scatter = _line(np.log(N), np.log(T), se**2)
    line = sm.WLS(T, sm.add_constant(N / 1e9), weights=1 / (T**2 * (se**2 + scatter))).fit()
    assert (c.linear.intercept, c.linear.slope) == pytest.approx((line.params[0], line.params[1] / 1e9), rel=1e-6)
    if line.scale >= 1:
        assert (c.linear.slope_lower, c.linear.slope_upper) == pytest.approx(tuple(line.conf_int()[1] / 1e9), rel=1e-6)
    smaller, _ = _line(np.log(N[:3]), np.log(T[:3]), se[:3] ** 2)
    assert c.held_out.student == pytest.approx(7.75e9)
    assert c.held_out.observed == pytest.approx(T[3])
    assert np.log(c.held_out.predicted) == pytest.approx(smaller.predict([1, np.log(N[3])])[0], rel=1e-6)
    assert c.held_out.lower < T[3] < c.held_out.upper
    low, high = c.b_resampled
    assert c.b_lower < low < c.b < high < c.b_upper
    assert "line: slope" in fit.summary()
    assert "student 7.75e+09 from the smaller ones" in fit.summary()


def test_all_estimators_are_shown_and_none_is_chosen():
    fit = fit_capacity_gap(capacity_gap_runs(FOUR[:2], noise=0.002), bootstrap=200)
    table = fit.estimates()
    assert table.groupby("student")["estimator"].count().tolist() == [5, 5]
    own = table[table["estimator"] == "local_cubic"]
    assert own["optimum"].tolist() == [s.optimum for s in fit.students]
    assert (table["lower"] <= table["optimum"]).all()
    one_seed = fit_capacity_gap(capacity_gap_runs(seeds=1)).estimates()
    assert one_seed["optimum"].isna().all()
    assert (one_seed["reason"] != "").all()


def test_noise_and_detectable_rise_are_stated():
    """The noise comes back, and four seeds find about 1.8 of it."""
    (student,) = fit_capacity_gap(capacity_gap_runs(noise=0.002), bootstrap=100).students
    assert student.sigma == pytest.approx(0.002, rel=0.25)
    assert student.detectable == pytest.approx(student.sigma * 1.79, rel=0.02)
    fit = fit_capacity_gap(capacity_gap_runs(noise=0.002), bootstrap=100)
    assert f"5.46e+08: {student.sigma:.2g}, {student.detectable:.2g}" in fit.summary()
    assert {"sigma", "detectable"} <= set(fit.frame())
    assert "unknown" in fit_capacity_gap(capacity_gap_runs(seeds=1)).noise()


def test_three_students_make_no_law():
    fit = fit_capacity_gap(capacity_gap_runs(FOUR[:3]), bootstrap=400)
    assert fit.status == "not_identified"
    assert fit.across.reason.startswith("3 of 3 students have an identified optimum over a factor of 9.19")
    assert fit.across.k is None
    assert fit.across.b is None


def test_a_student_s_result_does_not_depend_on_the_others():
    one = fit_capacity_gap(capacity_gap_runs(FOUR[:1]), bootstrap=200).students[0]
    two = fit_capacity_gap(capacity_gap_runs(FOUR[:2]), bootstrap=200).students[0]
    assert (one.optimum, one.lower, one.upper) == (two.optimum, two.lower, two.upper)


def test_a_result_survives_json_exactly():
    for data in (capacity_gap_runs(FOUR), capacity_gap_runs(seeds=1)):
        fit = fit_capacity_gap(data, bootstrap=100)
        assert CapacityGapFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False))) == fit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="teacher_loss_nats_per_token"), "'teacher_loss_nats_per_token' is missing"),
        (lambda d: d[d["objective"] == "lm"], "no rows of objective 'distill'"),
        (lambda d: d.assign(status="diverged"), "all 52 runs of student 5.46e.08 diverged"),
        (lambda d: d.assign(temperature=d["seed"] + 1.0), "runs of different temperature"),
        (lambda d: d.assign(loss_nats_per_token=np.nan), "nan in row 0"),
    ],
)
def test_bad_tables_are_one_line_errors(change, message):
    with pytest.raises(InputError, match=message) as error:
        fit_capacity_gap(change(capacity_gap_runs()))
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("ratios", [2.0 ** np.arange(0, 6.1, 0.5), 2.0 ** np.arange(0, 6.1)])
def test_coverage_of_the_interval(ratios):
    """95 % intervals hold the truth in 92 to 98 % of tables, give or take three standard errors of 300 tables."""
    truth = 546e6 * _best_ratio(546e6)
    held = n = 0
    for i in range(300):
        data = capacity_gap_runs(ratios=ratios, noise=0.002, seeds=4, seed=i)
        (student,) = fit_capacity_gap(data, bootstrap=400).students
        if student.optimum is not None:
            n += 1
            held += student.lower <= truth <= student.upper
    assert n >= 280
    assert 0.91 <= held / n <= 0.99


def test_students_cut_out_of_their_teachers_are_another_question():
    runs = capacity_gap_runs(noise=0.002)
    pruned = runs[runs["stage"] == "student"].assign(
        stage="pruned", loss_nats_per_token=lambda d: d["loss_nats_per_token"] + 0.1
    )
    both = pd.concat([runs, pruned], ignore_index=True)
    assert fit_capacity_gap(both, bootstrap=50).students == fit_capacity_gap(runs, bootstrap=50).students
    (student,) = fit_capacity_gap(both, stage="pruned", bootstrap=50).students
    assert student.means == pytest.approx([mean + 0.1 for mean in fit_capacity_gap(runs, bootstrap=50).students[0].means])

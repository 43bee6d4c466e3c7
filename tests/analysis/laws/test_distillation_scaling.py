import numpy as np
import pandas as pd
import pytest

from analysis.laws.capacity_gap_published import Coefficient
from analysis.laws.distillation import BUSBRIDGE_2025_DISTILLED
from analysis.laws.distillation_scaling import DistillationScaling, fit_distillation
from analysis.laws.forms import BUSBRIDGE_2025
from curselab.errors import InputError

LAW = DistillationScaling()
SIZES = np.array([143e6, 266e6, 546e6, 975e6, 1.82e9, 4.82e9, 7.75e9])


def _runs():
    """Plain and distilled runs of the published law, without noise."""
    size, per_param = (a.ravel() for a in np.meshgrid(SIZES, [20, 80, 320]))
    plain = pd.DataFrame({"params": size, "tokens": size * per_param, "loss": LAW.own_loss(size, size * per_param)})
    student, per_param, teacher = np.array(np.meshgrid(SIZES, [20, 80, 320], [*SIZES, 12.6e9])).reshape(3, -1)
    signal = LAW.own_loss(teacher, 20 * teacher)
    distilled = pd.DataFrame({"params": student, "tokens": student * per_param, "signal": signal})
    return plain, distilled.assign(loss=LAW.loss(student, student * per_param, signal))


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/capacity_gap.csv").set_index(["law", "symbol"])
    for row in LAW.coefficients().to_dict("records"):
        published = table.loc[(f"busbridge_2025_{row['law']}", row["symbol"])]
        assert (row["value"], row["lower"], row["upper"]) == tuple(published[["value", "lower", "upper"]])
        assert published["level"] == LAW.level
        assert published["trust"] == LAW.trust
    assert {c.symbol: c.value for c in LAW.supervised} == BUSBRIDGE_2025
    for symbol, value in BUSBRIDGE_2025_DISTILLED.items():
        assert symbol == "h" or {c.symbol: c.value for c in LAW.distilled}[symbol] == value


@pytest.mark.parametrize(
    ("student", "ratios"),
    [
        (198e6, (100, 55, 26, 12.1, 10.5)),
        (546e6, (87, 17, 9.5, 8.9, 9.1)),
        (1.82e9, (75, 9.0, 8.3, 8.5, 9.1)),
        (7.75e9, (77, 10.1, 9.9, 10.2, 10.9)),
    ],
)
def test_ratios_that_table_6_implies(student, ratios):
    """Computed independently from the printed constants, students at 20, 80, 160, 320 and 1000 tokens a parameter."""
    found = [LAW.best_teacher(student, m * student, draws=0).teacher / student for m in (20, 80, 160, 320, 1000)]
    np.testing.assert_allclose(found, ratios, rtol=0.05)


def test_the_best_teacher_is_a_library_s_minimum():
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda x: float(LAW.student_loss(546e6, 320 * 546e6, 546e6 * np.exp(x))), bounds=(0.5, 4), method="bounded"
    )
    best = LAW.best_teacher(546e6, 320 * 546e6, draws=0)
    assert np.log(best.teacher / 546e6) == pytest.approx(found.x, abs=1e-3)
    assert best.lower is None
    assert best.notes == ()


def test_the_interval_is_that_of_the_printed_intervals():
    """Independent draws within the printed intervals, made once by another program, at 546M and 1.82B."""
    for student, low, high in ((546e6, 6.5, 16.5), (1.82e9, 6.4, 13.0)):
        best = LAW.best_teacher(student, 320 * student, draws=2000)
        np.testing.assert_allclose([best.lower / student, best.upper / student], [low, high], rtol=0.08)


def test_leaving_the_range_is_said():
    notes = [note.message for note in LAW.best_teacher(1e8, 5e8, draws=0).notes]
    assert [note.split(" lies")[0] for note in notes][0] == "student (parameters) 1e+08"
    assert "student's tokens a parameter 5 lies outside 20 to 320, where the law was fitted" in notes


def test_both_laws_come_back_from_runs_without_noise():
    plain, distilled = _runs()
    fit = fit_distillation(plain, distilled, params="params", loss="loss", teacher_loss="signal", bootstrap=0)
    for symbol, value in BUSBRIDGE_2025.items():
        assert fit.supervised.params[symbol] == pytest.approx(value, rel=1e-4), symbol
    for symbol, value in BUSBRIDGE_2025_DISTILLED.items():
        assert fit.distilled.params[symbol] == pytest.approx(value, rel=1e-3), symbol
    law = fit.law()
    assert law.trust == "fitted"
    assert law.params_range == (143e6, 7.75e9)
    best, published = (one.best_teacher(546e6, 320 * 546e6, draws=0).teacher for one in (law, LAW))
    assert best == pytest.approx(published, rel=1e-3)
    assert set(fit.frame()["law"]) == {"supervised", "distilled"}


def test_a_fitted_law_draws_its_own_resamples():
    constants = tuple(c.value for c in LAW.supervised) + tuple(BUSBRIDGE_2025_DISTILLED.values())
    distilled = tuple(Coefficient(symbol, value, "1") for symbol, value in BUSBRIDGE_2025_DISTILLED.items())
    law = DistillationScaling(distilled=distilled, samples=(constants,))
    best = law.best_teacher(546e6, 320 * 546e6)
    assert best.lower == best.upper == pytest.approx(best.teacher)


def test_empty_tables_are_one_line_errors():
    plain, distilled = _runs()
    with pytest.raises(InputError, match="distilled: a table with rows is needed"):
        fit_distillation(plain, distilled.iloc[:0], params="params", loss="loss", teacher_loss="signal")

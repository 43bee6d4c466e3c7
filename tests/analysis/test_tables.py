import numpy as np
import pytest

from analysis.fit import fit_file
from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.depth import fit_depth
from analysis.laws.learning_rate import fit_learning_rate
from analysis.laws.multilinguality import fit_runs as fit_multilingual_runs
from analysis.laws.scaling import fit_runs
from analysis.tables import interval, latex, short, with_uncertainty, write_table
from curselab.contract import check_frame
from tests.analysis.depth_factories import CURED, PLAIN, depth_tables
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs
from tests.analysis.multilinguality_factories import multilinguality_runs


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        # CODATA 2018 prints the gravitational constant as 6.674 30(15) and the tau's mass as 1776.86(12) MeV
        (6.67430, 0.00015, "6.67430(15)"),
        (1776.86, 0.12, "1776.86(12)"),
        (0.34731, 0.0154, "0.347(15)"),
        (477.8, 124.5, "480(120)"),
        (2143.4, 1293.0, "2100(1300)"),
        (12.34, 1.23, "12.3(1.2)"),
        (0.5, 0.0996, "0.50(10)"),
        (1.5, 0.0, "1.50"),
        (1.5, float("nan"), "1.50"),
    ],
)
def test_two_digits_of_the_error_are_kept(value, se, text):
    assert with_uncertainty(value, se) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99999, "1.00"), (1234.5, "1230"), (2.5e8, r"$2.50 \times 10^{8}$"), (2e-5, r"$2.00 \times 10^{-5}$"), (0.0, "0")],
)
def test_numbers_are_rounded_to_three_digits(value, text):
    assert short(value) == text


def test_no_number_is_a_dash():
    assert interval(None, float("nan")) == "[--, --]"


def test_a_law_s_table_is_booktabs_with_counts():
    text = latex(fit_runs(scaling_runs(noise=0.005, seeds=2), bootstrap=30))
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"95\% interval", "50 runs, 0 diverged, up to 2 seeds"):
        assert line in text
    assert text.count(r"\\") == 6
    assert "not identified" not in text


def test_what_is_not_identified_shows_no_number():
    data = scaling_runs(noise=0.003)[lambda d: d["params_total"] <= 30_000]
    fit = fit_runs(data, bootstrap=30)
    alpha = next(line for line in latex(fit).splitlines() if line.startswith(r"$\alpha$"))
    assert alpha == r"$\alpha$ & -- & not identified & -- \\"
    gap = latex(fit_capacity_gap(capacity_gap_runs(ratios=2.0 ** np.arange(0, 2.6, 0.5)), bootstrap=200))
    assert "not identified, $>$" in gap
    assert "Law over students not identified: 0 of 1 students" in gap


def test_the_rule_s_cost_and_the_verdict_on_it_are_in_the_table():
    fit = fit_learning_rate(learning_rate_runs((6_000, 25_000)), bootstrap=200)
    size = fit.sizes[0]
    row = next(line for line in latex(fit).splitlines() if line.startswith("6000 &"))
    assert f"& {short(size.optimum)} & {interval(size.lower, size.upper)} " in row
    assert f"& {short(100 * size.cost, 2)} {interval(100 * size.cost_lower, 100 * size.cost_upper)} &" in row
    assert r"costs less than 1\% of the loss is shown." in latex(fit)
    unknown = latex(fit_learning_rate(learning_rate_runs(seeds=2), bootstrap=0))
    assert "not identified (few seeds)" in unknown
    assert "is open." in unknown


def test_schemes_have_their_verdicts_at_the_largest_depth():
    runs, layers = depth_tables({"pre": PLAIN, "lns_gamma_init": CURED}, depths=(6, 12), rates=(1.0,))
    fit = fit_depth(runs, layers)
    rows = [line for line in latex(fit).splitlines() if line.startswith((r"pre &", r"lns\_gamma\_init &"))]
    assert len(rows) == 4
    assert rows[1].endswith(rf"& {fit.curse.call} \\")
    assert rows[0].endswith(r"&  \\")
    share = fit.arm("pre", 12).effective.median_share
    assert f"{short(share.value)} {interval(share.lower, share.upper)}" in rows[1]
    alone = latex(fit_depth(runs[runs["seed"] == 0], layers))
    assert "(no interval)" in alone
    assert "not identified" in alone


def test_a_table_is_written_from_a_fit_file(tmp_path):
    check_frame("runs", scaling_runs(noise=0.01), where="x").to_csv(tmp_path / "runs.csv", index=False)
    result = fit_file("scaling", tmp_path / "runs.csv", tmp_path / "fit.json")
    write_table(tmp_path / "fit.json", tmp_path / "table.tex")
    assert (tmp_path / "table.tex").read_text() == latex(result)


def test_each_arm_is_a_row_with_both_baselines_and_its_verdict():
    runs = multilinguality_runs(sizes=(6_000,), tokens=(20_000, 63_000), ratios=(1,), languages=3, seeds=2)
    fit = fit_multilingual_runs(runs, bootstrap=100)
    text = latex(fit)
    assert text.count(r"\\") == 1 + 2 + 3 * 2  # heading, the control and three arms at two sizes of data
    (verdict,) = (v for v in fit.verdicts if v.mixture == "null_language" and v.tokens == 20_000)
    assert f"null language & 6000 & 20000 & 1.0 & {short(2**verdict.gain)} [" in text
    assert f"& {short(2**verdict.matched)} [" in text
    assert "similar over dissimilar" in text
    assert f"Censored: {100 * fit.censored:.0f}" in text

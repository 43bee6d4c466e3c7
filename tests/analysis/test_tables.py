import numpy as np
import pandas as pd

from analysis.fit import fit_file
from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.depth import fit_depth
from analysis.laws.learning_rate import fit_learning_rate
from analysis.laws.multilinguality import fit_runs as fit_multilingual_runs
from analysis.laws.scaling import fit_runs
from analysis.tables import lay_out, render, write_table
from analysis.typeset import interval, short
from curselab.contract import check_frame
from tests.analysis.depth_factories import CURED, PLAIN, depth_tables
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs
from tests.analysis.multilinguality_factories import multilinguality_runs


def test_a_law_s_table_is_booktabs_with_counts():
    text = render(fit_runs(scaling_runs(noise=0.005, seeds=2), bootstrap=30))
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"95\% interval", "50 runs, 0 diverged, up to 2 seeds"):
        assert line in text
    assert text.count(r"\\") == 6
    assert "not identified" not in text


def test_what_is_not_identified_shows_no_number():
    data = scaling_runs(noise=0.003)[lambda d: d["params_total"] <= 30_000]
    fit = fit_runs(data, bootstrap=30)
    alpha = next(line for line in render(fit).splitlines() if line.startswith(r"$\alpha$"))
    assert alpha.startswith(r"$\alpha$ & -- & not identified & -- &")
    gap = render(fit_capacity_gap(capacity_gap_runs(ratios=2.0 ** np.arange(0, 2.6, 0.5)), bootstrap=200))
    assert "not identified, $>$" in gap
    assert "Law over students not identified: 0 of 1 students" in gap


def test_the_rule_s_cost_and_the_verdict_on_it_are_in_the_table():
    fit = fit_learning_rate(learning_rate_runs((6_000, 25_000)), bootstrap=200)
    size = fit.sizes[0]
    row = next(line for line in render(fit).splitlines() if line.startswith("6000 &"))
    assert f"& {short(size.optimum)} & {interval(size.lower, size.upper)} " in row
    assert f"& {short(100 * size.cost, 2)} {interval(100 * size.cost_lower, 100 * size.cost_upper)} &" in row
    assert r"costs less than 1\% of the loss is shown." in render(fit)
    unknown = render(fit_learning_rate(learning_rate_runs(seeds=2), bootstrap=0))
    assert "not identified (few seeds)" in unknown
    assert "is open." in unknown


def test_schemes_have_their_verdicts_at_the_largest_depth():
    runs, layers = depth_tables({"pre": PLAIN, "lns_gamma_init": CURED}, depths=(6, 12), rates=(1.0,))
    fit = fit_depth(runs, layers)
    rows = [line for line in render(fit).splitlines() if line.startswith((r"pre &", r"lns\_gamma\_init &"))]
    assert len(rows) == 4
    assert rows[1].endswith(rf"& {fit.curse.call} \\")
    assert rows[0].endswith(r"&  \\")
    share = fit.arm("pre", 12).effective.median_share
    assert f"{short(share.value)} {interval(share.lower, share.upper)}" in rows[1]
    alone = render(fit_depth(runs[runs["seed"] == 0], layers))
    assert "(no interval)" in alone
    assert "not identified" in alone


def test_a_table_is_written_from_a_fit_file(tmp_path):
    check_frame("runs", scaling_runs(noise=0.01), where="x").to_csv(tmp_path / "runs.csv", index=False)
    result = fit_file("scaling", tmp_path / "runs.csv", tmp_path / "fit.json")
    for ending in (".tex", ".md", ".csv", ".html"):
        write_table(tmp_path / "fit.json", tmp_path / f"table{ending}")
        assert (tmp_path / f"table{ending}").read_text() == render(result, ending)
    estimates = pd.read_csv(tmp_path / "table.csv").set_index("Parameter")["Estimate (s.e.)"]
    for symbol in result.symbols:
        assert f"& {estimates[symbol]} &" in render(result)


def test_each_arm_is_a_row_with_both_baselines_and_its_verdict():
    runs = multilinguality_runs(sizes=(6_000,), tokens=(20_000, 63_000), ratios=(1,), languages=3, seeds=2)
    fit = fit_multilingual_runs(runs, bootstrap=100)
    text = render(fit)
    assert text.count(r"\\") == 1 + 2 + 3 * 2 + 6  # heading, the control and three arms at two sizes of data, published
    (verdict,) = (v for v in fit.verdicts if v.mixture == "null_language" and v.tokens == 20_000)
    assert f"null language & 6000 & 20000 & 1.0 & {short(2**verdict.gain)} [" in text
    assert f"& {short(2**verdict.matched)} [" in text
    assert "similar over dissimilar" in text
    assert f"Censored: {100 * fit.censored:.0f}" in text
    worth = lay_out(fit).cells.set_index(["Arm", "$D$ (tokens)"])["Worth, 95% interval"]
    # Chang et al., section 6: worth a third more data at best, 63 % less at worst; by 12.6M and 0.4M parameters
    assert worth["Chang et al. 2024, similar", r"$1.00 \times 10^{6}$"].tolist() == ["1.33", "1.12"]
    assert worth["Chang et al. 2024, 1B tokens added", r"$1.00 \times 10^{9}$"].tolist() == ["0.37", "0.12"]


def test_published_exponents_stand_beside_ours_and_sizes_do_not():
    rows = dict(line.split(" & ", 1) for line in render(fit_runs(scaling_runs(), bootstrap=0)).splitlines() if " & " in line)
    # Eq. 10 of Hoffmann et al., table 1 of Besiroglu et al.
    assert rows[r"$\alpha$"].endswith(r"& 0.34 & 0.3478 \\")
    assert rows[r"$\beta$"].endswith(r"& 0.28 & 0.3658 \\")
    for size in "EAB":
        assert rows[f"${size}$"].endswith(r"& -- & -- \\")
    kaplan = render(fit_runs(scaling_runs(), law="kaplan", bootstrap=0))
    assert any(line.startswith(r"$\alpha_N$ &") and line.endswith(r"& 0.076 \\") for line in kaplan.splitlines())


def test_published_gaps_stand_beside_ours_at_the_same_depth():
    runs, layers = depth_tables({"pre": PLAIN, "lns": CURED, "post": PLAIN}, depths=(12, 24), rates=(1.0,))
    fit = fit_depth(runs, layers)
    table = lay_out(fit).cells.set_index(["Scheme", "$L$"])
    published = table["Published (models)"]
    # perplexities of Sun et al., table 1, and of ProRes, table 6
    assert published["lns", "12"] == f"{np.log(25.76 / 26.73):.3f} (1)"
    assert published["lns", "24"] == f"{np.log(15.71 / 17.02):.3f} to {np.log(14.63 / 15.21):.3f} (4)"
    assert published["post", "24"].endswith("(1), diverged (5)")
    assert published["pre", "24"] == "--"
    (fall,) = (f.estimate for f in fit.falls if (f.scheme, f.depth) == ("lns", 24))
    assert table.loc[("lns", "24"), "Less that of pre"] == f"{short(-fall.value)} {interval(-fall.upper, -fall.lower)}"


def test_published_ratios_of_best_teachers_are_rows_of_their_own():
    ratios = lay_out(fit_capacity_gap(capacity_gap_runs(), bootstrap=50)).cells.set_index("Student (parameters)")["Ratio"]
    assert ratios["Zhang et al. 2023, pruned"] == "2.498 [2.2, 2.9]"
    assert ratios["Busbridge et al. 2025"] == "9 [8.3, 11]"

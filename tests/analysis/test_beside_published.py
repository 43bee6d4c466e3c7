import fnmatch

import numpy as np
import pandas as pd
import pytest

from analysis.beside_published import LEFT_OUT, beside_published
from analysis.fit import read_table
from analysis.laws.capacity_gap import fit_capacity_gap
from analysis.laws.depth import fit_depth
from analysis.laws.learning_rate import fit_learning_rate
from analysis.laws.multilinguality import fit_runs as fit_multilinguality
from analysis.laws.prepacking import fit_prepacking
from analysis.laws.scaling import fit_runs
from analysis.laws.stability_gap import fit_runs as fit_stability_gap
from analysis.typeset import interval, short
from curselab.contract import CONTRACT
from curselab.errors import InputError
from tests.analysis.depth_factories import CURED, CURSED, depth_tables
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs
from tests.analysis.multilinguality_factories import multilinguality_runs
from tests.analysis.stability_gap_factories import stability_gap_tables

PUBLISHED = CONTRACT.parent / "published"


def _rows(fit, runs=None):
    return beside_published(fit, runs).cells


def test_every_published_row_is_compared_or_has_its_reason():
    for law, reasons in LEFT_OUT.items():
        keys = pd.concat([pd.read_csv(path).iloc[:, 0] for path in PUBLISHED.glob(f"{law}*.csv")])
        counts = [len(fnmatch.filter(keys, names)) for names in reasons]
        assert min(counts) > 0
        assert sum(counts) == len(keys)


def test_a_gap_of_losses_is_less_the_published_one():
    runs, layers = depth_tables({"pre": CURSED, "lns": CURED}, depths=(6, 12), rates=(1.0,))
    fit = fit_depth(runs, layers)
    losses = (
        pd.read_csv(PUBLISHED / "depth.csv")
        .query("study == 'sun_2025' and table == 'T1' and model == 'LLaMA-130M'")
        .set_index("scheme")["value"]
    )
    printed = float(np.log(losses["lns"] / losses["pre"]))  # of perplexities
    (fall,) = (f.estimate for f in fit.falls if (f.scheme, f.depth) == ("lns", 12))
    cells = _rows(fit)
    (row,) = cells[cells["Source"] == "sun_2025 T1, LLaMA-130M, primary"].to_dict("records")
    assert row["Published"] == short(printed)
    assert row["Ours"] == f"{short(-fall.value)} {interval(-fall.upper, -fall.lower)}"
    assert row["Difference"] == f"{short(-fall.value - printed)} {interval(-fall.upper - printed, -fall.lower - printed)}"
    deeper = cells[cells["Quantity"].str.contains("$L$ = 24", regex=False)]
    assert (deeper["Remark"] == "not comparable: no models of 24 blocks here").all()


def test_a_ratio_of_best_teachers_is_a_multiple_of_the_published_one():
    fit = fit_capacity_gap(capacity_gap_runs((198_000_000, 546_000_000, 1_820_000_000, 7_750_000_000)), bootstrap=200)
    slope = pd.read_csv(PUBLISHED / "capacity_gap.csv").query("law == 'zhang_2023' and symbol == 'slope'")["value"].item()
    row = _rows(fit).iloc[0]
    assert row["Source"] == "Zhang et al. 2023, secondary"
    assert row["Difference"].startswith(f"x {short(fit.across.k / slope)} [")


def test_without_an_optimum_bounds_stand_beside_the_published_ratios(root):
    runs = read_table("capacity_gap", root / "results" / "reference" / "capacity_gap" / "runs.csv")
    zhang, busbridge = _rows(fit_capacity_gap(runs)).iloc[:2].to_dict("records")
    # best teachers above 215k of 55.5k and 37k of 6k, docs/laws/capacity_gap.md
    assert zhang["Ours"] == busbridge["Ours"] == "above 3.87 to 6.24 (95%, a bound for each of 4 students)"
    assert zhang["Difference"] == "published lies below the bounds of 4"
    assert busbridge["Difference"] == "published lies within all bounds"


def test_speed_ups_are_those_of_the_times_beside_the_printed_ones(root):
    runs = read_table("prepacking", root / "results" / "reference" / "prepacking" / "runs.csv")
    fit = fit_prepacking(runs, bootstrap=0)
    cell = runs[(runs["distribution"] == "mmlu") & (runs["batch"] == 8)]
    seconds = cell.pivot_table(index="model", columns="method", values="seconds")
    ours = sorted(seconds["padded_left"] / seconds["prepacking"])
    cells = _rows(fit, runs)
    (row,) = cells[cells["Quantity"].str.contains("MMLU, 8 prompts")].to_dict("records")
    assert row["Published"] == "2.30 to 2.34"
    assert row["Ours"] == f"{short(ours[0])} to {short(ours[-1])}"
    assert row["Difference"] == f"{100 * (np.mean(ours) / np.mean([2.296, 2.338]) - 1):+.0f}%"
    with pytest.raises(InputError, match="prepacking: its speed-ups stand in the table of times"):
        beside_published(fit)


def test_what_measures_something_else_says_so():
    runs, metrics = stability_gap_tables(arms=((), ("subset",)), budgets=(100_000,))
    gains = _rows(fit_stability_gap(runs, metrics))
    assert gains["Published"].iloc[:3].tolist() == ["+0.2", "+3.2", "+3.9"]  # 26.3, 29.3 and 30.0 less 26.1
    assert gains["Remark"].str.startswith("not comparable: ").all()
    languages = multilinguality_runs(sizes=(6_000,), tokens=(20_000, 80_000), languages=2, seeds=2)
    cells = _rows(fit_multilinguality(languages, bootstrap=100))
    worth = cells[cells["Quantity"].str.startswith("worth")]
    assert worth["Published"].tolist() == ["1.33", "1.22", "1.12", "1.22", "0.370", "0.120"]
    assert worth["Remark"].str.startswith("not comparable: ours are 6000").all()


def test_exponents_stand_beside_the_printed_ones_and_sizes_do_not():
    fit = fit_runs(scaling_runs(noise=0.005, seeds=2), bootstrap=30)
    cells = _rows(fit)
    alpha = cells[cells["Quantity"] == "alpha"].iloc[0]
    assert alpha["Difference"].startswith(short(fit.params["alpha"] - float(alpha["Published"])))
    assert (cells.loc[cells["Quantity"] == "A", "Remark"] == "not comparable: hangs on text and tokenizer").all()


def test_a_law_of_which_nothing_is_published_is_refused():
    fit = fit_learning_rate(learning_rate_runs((6_000, 25_000)), bootstrap=200)
    with pytest.raises(InputError, match="learning_rate: no published number measures"):
        beside_published(fit)

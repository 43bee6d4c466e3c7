import numpy as np
import pandas as pd
import pytest

from analysis.laws.stability_gap_runs import LOSS, read_conditions
from curselab.contract import check_frame
from curselab.errors import InputError
from tests.analysis.stability_gap_factories import FACTORIAL, STEPS_A_BUDGET, mixture, stability_gap_tables


@pytest.fixture(scope="module")
def tables():
    return stability_gap_tables(questions=True)


def test_tables_of_the_contract_become_conditions(tables):
    runs, metrics = (check_frame(name, table, where="test") for name, table in zip(("runs", "metrics"), tables, strict=True))
    conditions = read_conditions(runs, metrics)
    assert [(c.name, c.tokens) for c in conditions] == [("annealed to code", tokens) for tokens in STEPS_A_BUDGET]
    first = conditions[0]
    assert first.old == ("prose", "told")
    controls = [arm.name for arm in first.arms if not arm.trains_on_new]
    assert sorted(controls) == ["low_rate, old text", "old_text"]
    cells = [arm for arm in first.arms if arm.strategies is not None]
    assert {arm.strategies for arm in cells} == set(FACTORIAL)
    assert {arm.n_runs for arm in first.arms} == {3}
    assert set(first.references["arm"]) == {"new_alone"}


def test_a_log_has_every_evaluation_of_every_run_once(tables):
    runs, metrics = tables
    condition = read_conditions(runs, metrics)[0]
    own = runs[runs["base_id"].notna() & (runs["tokens"] == condition.tokens)]
    scored = metrics[metrics["run_id"].isin(own["run_id"]) & (metrics["metric"] == LOSS)]
    log = condition.log.dropna(subset=[LOSS])
    assert len(log) == len(scored)
    assert sorted(log[LOSS]) == sorted(scored["value"])
    assert not log.duplicated(["arm", "seed", "split", "step"]).any()
    assert log["learning_rate"].notna().all()
    asked = metrics["run_id"].isin(own["run_id"]) & (metrics["metric"] == "accuracy_share")
    assert condition.log["accuracy_share"].notna().sum() == asked.sum() > 0


def test_the_base_s_last_evaluation_starts_a_curve_that_has_no_start(tables):
    runs, metrics = tables
    late = metrics[(metrics["step"] > 0)]
    with pytest.raises(InputError, match="no evaluation of .* before its first step"):
        read_conditions(runs, late)
    bases = runs.loc[runs["stage"] == "annealed", "run_id"]
    ends = [(base, domain, 2.5 + i) for i, base in enumerate(bases) for domain in ("code", "prose", "told")]
    rows = [("stability_gap", base, 999, 500_000, "validation", domain, LOSS, value) for base, domain, value in ends]
    with_ends = pd.concat([late, pd.DataFrame(rows, columns=late.columns)], ignore_index=True)
    log = read_conditions(runs, with_ends)[0].log
    start = log[log["step"] == 0].groupby("seed")[LOSS].unique()
    assert [list(values) for values in start] == [[2.5], [3.5], [4.5]]
    assert (log.loc[log["step"] == 0, "tokens"] == 0).all()
    assert log["learning_rate"].notna().all()


def test_runs_that_diverged_are_counted_and_in_no_log():
    lost = mixture(("subset",), 100_000)
    condition = read_conditions(*stability_gap_tables(diverged=(lost,), budgets=(100_000,), arms=((), ("subset",))))[0]
    arm = next(arm for arm in condition.arms if arm.name == "subset")
    assert (arm.n_runs, arm.n_diverged) == (3, 1)
    assert set(condition.log.loc[condition.log["arm"] == "subset", "seed"]) == {1, 2}


def test_what_is_no_continual_pre_training_is_one_line(tables):
    runs, metrics = tables
    with pytest.raises(InputError, match="no run goes on from a base"):
        read_conditions(runs.assign(base_id=None), metrics)
    with pytest.raises(InputError, match="is the base of others and not in the table"):
        read_conditions(runs[runs["stage"] != "annealed"], metrics)
    with pytest.raises(InputError, match="names no mixture"):
        read_conditions(runs.assign(mixture=np.where(runs["stage"] == "annealed", None, runs["mixture"])), metrics)
    with pytest.raises(InputError, match="two runs of seed"):
        read_conditions(runs.assign(seed=0), metrics)
    with pytest.raises(InputError, match="column 'domain' is missing"):
        read_conditions(runs, metrics.drop(columns="domain"))

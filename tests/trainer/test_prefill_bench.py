import pandas as pd
import pytest
import torch

from analysis.laws.prepacking import fit_prepacking
from analysis.laws.prepacking_work import WORK, Shape, count_work
from curselab.contract import check_frame
from trainer.prefill_bench import bench, in_turn, lengths_of, peak_bytes
from trainer.prefill_bench_spec import PrefillBenchSpec
from trainer.prefill_plan import METHODS

SPEC = PrefillBenchSpec(
    width=(64,), depth=1, distribution=("lognormal", "uniform"), batch=(6,), draw=(0,), longest=48, repeats=1, threads=1
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    said: list[str] = []
    rows = list(bench(SPEC, say=said.append))
    assert said == [f"prepacking w64 {name} batch 6 draw 0" for name in SPEC.distribution]
    return check_frame("prepacking", pd.DataFrame(rows), where="x")


def test_every_method_has_a_row_that_keeps_the_contract(table: pd.DataFrame) -> None:
    assert len(table) == 2 * len(METHODS)
    assert set(table["method"]) == set(METHODS)
    padded = table[table["method"] == "padded_left"]
    assert (padded["speedup"] == 1).all()
    ratio = (table["seconds"] / table["limit_seconds"]).to_numpy()
    assert table["time_over_limit"].to_numpy() == pytest.approx(ratio)


def test_what_is_counted_is_what_the_law_counts_from_the_lengths(table: pd.DataFrame) -> None:
    (model,) = SPEC.shapes.values()
    shape = Shape(width=model.width, depth=model.depth, ffn_width=model.ffn_width)
    for distribution, part in table.groupby("distribution"):
        expected = count_work(lengths_of(SPEC, str(distribution), 6, 0), shape).set_index("method").sort_index()
        assert part.set_index("method").sort_index()[list(WORK)].astype(int).equals(expected.astype(int)[list(WORK)])


def test_the_law_reads_the_table(table: pd.DataFrame) -> None:
    fit = fit_prepacking(table, bootstrap=0)
    assert fit.counts.n_runs == len(table)
    assert fit.convergence.starts == 2


def test_peak_memory_is_what_tensors_hold_at_once() -> None:
    def twice() -> torch.Tensor:
        a = torch.ones(250_000)
        b = a + 1
        del a
        return b + 1

    assert peak_bytes(twice) == pytest.approx(2_000_000, rel=0.001)


def test_methods_take_turns_after_one_run_for_warmth() -> None:
    order: list[str] = []
    times = in_turn({"buckets": lambda: order.append("b"), "prepacking": lambda: order.append("p")}, 3)
    assert "".join(order) == "bp" * 4
    assert set(times) == {"buckets", "prepacking"}


def test_lengths_of_a_batch_follow_from_its_own_cell() -> None:
    assert lengths_of(SPEC, "uniform", 6, 0) == lengths_of(SPEC, "uniform", 6, 0)
    assert lengths_of(SPEC, "uniform", 6, 0) != lengths_of(SPEC, "uniform", 6, 1)

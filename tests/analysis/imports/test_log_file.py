import pandas as pd
import pytest

from analysis import import_log, read_runs, read_trainer_state
from curselab.errors import InputError
from tests.analysis.imports.logs import NEW, STATE, write_chart


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_log_is_written_as_the_contract_s_table_and_read_back(tmp_path, ending):
    out = tmp_path / f"metrics.{ending}"
    import_log(STATE, out, ["eval_new_loss=loss_nats_per_token:new"], tokens="num_input_tokens_seen", sweep="mine")
    expected = read_trainer_state(STATE, {"eval_new_loss": NEW}, tokens="num_input_tokens_seen", sweep="mine")
    pd.testing.assert_frame_equal(read_runs(out, "metrics"), expected)


def test_kinds_are_told_by_their_files(tmp_path):
    write_chart(tmp_path / "chart.csv", {"a": (1e6, 20)})
    words = ["a - eval/loss=loss_nats_per_token"]
    table = import_log(tmp_path / "chart.csv", tmp_path / "x.csv", words, tokens="10", step="train/global_step")
    assert table["tokens"].tolist() == [200]
    with pytest.raises(InputError, match="the column of the optimiser step is needed"):
        import_log(tmp_path / "chart.csv", tmp_path / "x.csv", words, tokens="10")
    with pytest.raises(InputError, match="only a CSV export needs it"):
        import_log(STATE, tmp_path / "x.csv", words, tokens="10", step="step")
    with pytest.raises(InputError, match=r"no event file \(\*tfevents\*\) is there"):
        import_log(tmp_path, tmp_path / "x.csv", words, tokens="10")
    with pytest.raises(InputError, match=r"a trainer_state.json, a .csv, an event file"):
        import_log(tmp_path / "log.txt", tmp_path / "x.csv", words, tokens="10")
    with pytest.raises(InputError, match="NAME=WHAT is needed"):
        import_log(STATE, tmp_path / "x.csv", ["eval_new_loss"], tokens="10")
    with pytest.raises(InputError, match=r"ending in .csv or .parquet"):
        import_log(STATE, tmp_path / "x.txt", ["eval_new_loss=loss_nats_per_token"], tokens="10")

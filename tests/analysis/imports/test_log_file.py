import re

import pandas as pd
import pytest

from analysis import import_log, read_runs, read_trainer_state
from analysis.laws.forms import BESIROGLU_2024
from curselab.errors import InputError
from tests.analysis.imports.logs import NEW, STATE, dipping, write_chart, write_state


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


def test_the_manual_s_code_runs(root, tmp_path, monkeypatch, capsys):
    """Each block of docs/imports.md on logs of known truth; that of TensorBoard only where it is installed."""
    for arm, drop in (("control", 0.1), ("new", 0.5)):
        write_state(tmp_path / arm / "trainer_state.json", dipping(drop))
    sizes, thousands = {"s": 2.1e6, "m": 8.4e6, "l": 33.5e6}, (4, 8, 16)
    write_chart(tmp_path / "wandb_export.csv", {f"{s}-{k}k": (n, 1000 * k) for s, n in sizes.items() for k in thousands})
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    gap, scaling, board = re.findall(r"```python\n(.*?)```", (root / "docs" / "imports.md").read_text(), re.S)
    exec(gap, names)
    assert {g.arm: g.verdict for g in names["fit"].gaps} == {"control": "learning rate", "new": "gap"}
    assert "new, old: gap" in capsys.readouterr().out
    exec(scaling, names)
    assert dict(zip(names["fit"].symbols, names["fit"].estimate, strict=True)) == pytest.approx(BESIROGLU_2024, rel=1e-6)
    writer = pytest.importorskip("torch.utils.tensorboard", reason="extra tensorboard").SummaryWriter("runs/new")
    for loss in (3.0, 2.9):
        writer.add_scalar("eval/loss", loss, 500)
    writer.close()
    exec(board, names)
    assert names["metrics"]["tokens"].tolist() == [500 * 65_536]

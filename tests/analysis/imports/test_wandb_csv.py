import pandas as pd
import pytest

from analysis import read_wandb_csv
from curselab.errors import InputError
from tests.analysis.imports.logs import OLD, loss_of, write_chart

LOSS = {"eval/loss": "loss_nats_per_token"}


def test_each_run_of_a_chart_is_read_by_its_column(tmp_path):
    write_chart(tmp_path / "chart.csv", {"small": (1e6, 20), "large": (1e7, 10)})
    read = {
        run: read_wandb_csv(tmp_path / "chart.csv", {f"{run} - eval/loss": OLD}, step="train/global_step", tokens=65_536)
        for run in ("small", "large")
    }
    assert read["small"]["step"].tolist() == [10, 20]
    assert read["large"]["value"].tolist() == [loss_of(1e7, 10)]
    assert read["small"]["run_id"].iloc[0] != read["large"]["run_id"].iloc[0]


def test_the_history_of_a_run_is_read_where_it_was_evaluated(tmp_path):
    """As pandas writes the rows of scan_history(): steps of logs without one are empty, so all are floats."""
    history = pd.DataFrame(
        {
            "_step": [0, 1, 2, 3],
            "train/global_step": [0, 5, 5, None],
            "train/loss": [None, 3.3, None, None],
            "eval/loss": [4.0, None, 3.5, None],
            "note": [None, None, 'a "quoted",\nnote', None],
        }
    )
    history.to_csv(tmp_path / "history.csv")
    metrics = read_wandb_csv(tmp_path / "history.csv", LOSS, step="train/global_step", tokens=10)
    assert metrics[["step", "tokens", "value"]].to_numpy().tolist() == [[0, 0, 4.0], [5, 50, 3.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"step,eval/loss\n0,3\n5,NaN\n", "eval/loss at step 5 is nan: a run that diverged"),
        (b"step,eval/loss\n0,3\n5,\n5,2,1\n", "a header and rows of as many cells"),
        (b"step,eval/loss\n", "a header and rows of as many cells"),
        (b"Step,eval/loss\n0,3\n", "nothing is logged as 'step' .there is 'Step'"),
        (b"step,run - eval/loss\n0,3\n", "nothing is logged as 'eval/loss' .there is 'run - eval/loss'"),
        (b"step,eval/loss,eval/loss__MIN,eval/loss__MAX\n0,3,3,3\n9,2,1,3\n", "an average of 1 to 3 at step 9"),
        (b"step,eval/loss\n0,\xff\n", "not a CSV table in UTF-8"),
        (b'step,eval/loss\n0,"3"x\n', "not a CSV table in UTF-8"),
        (None, "No such file or directory, a CSV export is needed"),
    ],
)
def test_another_table_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_wandb_csv(tmp_path / "x.csv", LOSS, step="step", tokens=1)

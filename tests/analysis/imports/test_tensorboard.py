import re
import sys

import numpy as np
import pytest

from analysis import evaluation_log, fit_stability_gap, read_tensorboard
from curselab.errors import InputError
from tests.analysis.imports.logs import OLD, STEPS, TOKENS, dipping

LOSS = {"eval/loss": "loss_nats_per_token"}


@pytest.fixture
def write(tmp_path):
    """Write scalars by torch's own SummaryWriter."""
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    def written(name, points, suffix="", **options):
        with SummaryWriter(str(tmp_path / name), filename_suffix=suffix) as writer:
            for tag, step, value in points:
                writer.add_scalar(tag, value, step, **options)
            writer.add_histogram("weights", np.arange(9.0), 0)
        return tmp_path / name

    return written


@pytest.mark.parametrize("options", [{}, {"new_style": True}, {"new_style": True, "double_precision": True}])
def test_scalars_are_read_as_both_kinds_of_summary(write, options):
    run = write("run", [("eval/loss", 0, 4.0), ("eval/loss", 7, 2.3), ("other", 7, 9.0)], **options)
    metrics = read_tensorboard(run, LOSS, tokens=10)
    assert metrics["step"].tolist() == [0, 7]
    assert metrics["value"].tolist() == [4.0, 2.3 if "double_precision" in options else float(np.float32(2.3))]
    (file,) = run.iterdir()
    assert read_tensorboard(file, LOSS, tokens=10).equals(metrics)


def test_the_later_file_wins_where_a_run_was_started_again(write):
    run = write("run", [("eval/loss", step, 3.0) for step in (0, 10, 20)], suffix=".1")
    write("run", [("eval/loss", step, 2.0) for step in (20, 30)], suffix=".2")
    with pytest.raises(InputError, match="eval/loss is 3 and 2 at step 20"):
        read_tensorboard(run, LOSS, tokens=10)
    assert read_tensorboard(run, LOSS, tokens=10, repeated="last")["value"].tolist() == [3.0, 3.0, 2.0, 2.0]


def test_a_file_that_is_damaged_or_cut_short_is_refused_and_what_is_left_of_it_is_named(write):
    (file,) = write("run", [("eval/loss", step, 3.0) for step in range(5)]).iterdir()
    whole = file.read_bytes()
    third = [match.start() for match in re.finditer(b"eval/loss", whole)][2]
    damaged = whole[:third] + b"E" + whole[third + 1 :]
    for broken, left in ((whole[:-3], 5), (damaged, 2)):
        file.write_bytes(broken)
        with pytest.raises(InputError, match=r"nothing can be read from byte \d+ on") as error:
            read_tensorboard(file, LOSS, tokens=10)
        end = int(re.findall(r"truncate -s (\d+)", str(error.value))[0])
        file.write_bytes(broken[:end])
        assert len(read_tensorboard(file, LOSS, tokens=10)) == left


def test_a_gap_that_was_logged_is_measured(write):
    logs = [("eval/loss", int(step), loss) for step, loss in zip(STEPS, dipping(0.5), strict=True)]
    log = evaluation_log(read_tensorboard(write("run", logs), {"eval/loss": OLD}, tokens=TOKENS))
    (gap,) = fit_stability_gap(log, value="loss_nats_per_token").gaps
    t = np.linspace(0, 1, 10_001)
    depth = float((0.5 * (np.exp(-t / 0.2) - np.exp(-t / 0.04)) - 0.05 * t).max())
    assert gap.verdict == "gap, no control"
    assert gap.depth.lower <= depth <= gap.depth.upper


def test_a_folder_without_events_is_refused_and_the_runs_in_it_are_named(write, tmp_path):
    write("a", [("x", 0, 1.0)])
    write("b", [("x", 0, 1.0)])
    with pytest.raises(InputError, match="there are some in a, b: name one run"):
        read_tensorboard(tmp_path, LOSS, tokens=10)
    with pytest.raises(InputError, match="the folder of one run is needed"):
        read_tensorboard(tmp_path / "c", LOSS, tokens=10)
    with pytest.raises(InputError, match="nothing is logged as 'eval/loss' .there is 'x'"):
        read_tensorboard(tmp_path / "a", LOSS, tokens=10)


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    with pytest.raises(InputError, match=r"pip install 'curselab\[tensorboard\]'"):
        read_tensorboard(tmp_path, LOSS, tokens=10)

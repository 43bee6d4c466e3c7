"""Files of weights and training states: whole or absent; and runs that are killed go on to the bits of runs that are not."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies

from analysis.collect import collect_complete
from curselab.errors import InputError
from trainer.checkpoint import Checkpoints, load_trained, resumable, save_state, save_weights
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.probes import Probes
from trainer.run import run_in_folder
from trainer.spec import DomainShare, EvaluationSpec, OptimizerSpec, RunSpec, ScheduleSpec, TrainingSpec
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import LanguagesText, TextSpec

SPEC = ModelSpec(width=64, depth=2, heads=2, ffn_width=176)

# a limit on file size stands for a full disk: both fail in the middle of a write
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from curselab.errors import InputError
from trainer.checkpoint import save_state, save_weights
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
model = Decoder(ModelSpec(width=64, depth=2, heads=2, ffn_width=176), 256, seed=0)
def state(path): torch.save(model.state_dict(), path)
write = {"weights": lambda p: save_weights(model, p), "state": lambda p: save_state(state, p)}[sys.argv[1]]
try:
    write(Path(sys.argv[2]))
except (InputError, OSError) as error:
    print(str(error).replace(chr(10), "LINE BREAK"))
    sys.exit(7)
"""

STEPS = 24
TEXT = TextSpec(source=LanguagesText(families=1, languages_per_family=2, bytes_per_language=60_000))


@pytest.mark.parametrize("what", ["weights", "state"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(root: Path, tmp_path: Path, what: str) -> None:
    file = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, what, str(file)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7, done.stderr
    assert str(file) in done.stdout
    assert "LINE BREAK" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_weights_without_a_finished_run_are_not_loaded(tmp_path: Path) -> None:
    save_weights(Decoder(SPEC, 256, seed=0), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="no trained weights"):
        load_trained(tmp_path)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> PreparedText:
    """Two small artificial languages."""
    return prepare_text(TEXT, tmp_path_factory.mktemp("corpora") / TEXT.text_id)


@pytest.fixture
def hard(spec, corpora):
    """Build specs that hold everything which resuming could get wrong."""
    first, second = corpora.domains

    def build(backend: str, seed: int) -> RunSpec:
        return spec(
            model=ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32, dropout=0.1),
            training=TrainingSpec(
                tokens=STEPS * 8 * 32,
                batch_sequences=8,
                accumulate=2,
                mixture=(DomainShare(domain=first, share=0.7), DomainShare(domain=second, share=0.3)),
            ),
            schedule=ScheduleSpec(kind="wsd", warmup_tokens=4 * 8 * 32, decay_share=0.3),
            evaluation=EvaluationSpec(tokens=2048, curve_tokens=512, factor=2.0),
            text=TEXT,
            compute=replace(spec().compute, backend=backend),
            seed=seed,
            keep_weights=True,
            keep_optimizer=True,
        )

    return build


def train(chosen: RunSpec, runs: Path, text: PreparedText, every_s: float = 0.0) -> dict:
    return run_in_folder(chosen, sweep="s", stage="t", runs=runs, text=text, checkpoint_every_s=every_s)


def train_and_die(chosen: RunSpec, runs: Path, text: PreparedText, step: int, where: str, number: int, every_s: float) -> None:
    """Send this process a signal at one step: after its update, or half-way through its checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        done, write = Probes.after_step, torch.save

        def after_step(self, at, loss, model):
            done(self, at, loss, model)
            if at == step and where == "update":
                os.kill(os.getpid(), number)

        def save(state, path, **named):
            write(state, path, **named)
            if state["global_step"] == step and where == "checkpoint":
                if isinstance(path, Path):  # Lightning saves into memory first
                    os.truncate(path, path.stat().st_size // 2)
                os.kill(os.getpid(), number)

        patch.setattr(Probes, "after_step", after_step)
        patch.setattr(torch, "save", save)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        train(chosen, runs, text, every_s)


def killed(*arguments, number: int = signal.SIGKILL, every_s: float = 0.0) -> None:
    """Train in a process that is killed."""
    child = multiprocessing.get_context("fork").Process(target=train_and_die, args=(*arguments, number, every_s))
    child.start()
    child.join()
    assert child.exitcode == -number


def assert_same_files(first: Path, second: Path) -> None:
    for name in ("weights.safetensors", "metrics.parquet", "summary.json", "optimizer.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert not [*first.glob("checkpoint*"), *first.glob(".*")]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("backend", ["lockstep", "lightning"])
def test_runs_killed_at_random_steps_end_with_the_same_bits(hard, corpora, tmp_path: Path, backend: str, seed: int) -> None:
    chosen = hard(backend, seed)
    train(chosen, tmp_path / "whole", corpora, every_s=1e9)
    rng = np.random.default_rng((seed, len(backend)))
    for step in sorted(rng.choice(np.arange(1, STEPS), size=2, replace=False)):
        killed(chosen, tmp_path / "broken", corpora, int(step), str(rng.choice(["update", "checkpoint"])))
    folder = tmp_path / "broken" / chosen.run_id
    assert not (folder / "summary.json").exists()
    train(chosen, tmp_path / "broken", corpora)
    resumed = json.loads((folder / "provenance.json").read_text())["resumed_at_step"]
    assert resumed == step - 1 if step > 1 else resumed is None
    assert_same_files(folder, tmp_path / "whole" / chosen.run_id)


@pytest.mark.parametrize("backend", ["lockstep", "lightning"])
def test_a_run_killed_as_it_diverges_is_in_the_table_as_one_that_was_left_alone(
    hard, corpora, tmp_path: Path, backend: str
) -> None:
    wild = replace(hard(backend, 0), optimizer=OptimizerSpec(learning_rate=1e30, grad_clip=0.0))
    whole = train(wild, tmp_path / "whole", corpora, every_s=1e9)
    killed(wild, tmp_path / "broken", corpora, whole["diverged_step"], "update")
    assert train(wild, tmp_path / "broken", corpora) == whole
    tables = [collect_complete(tmp_path / runs) for runs in ("broken", "whole")]
    (row,) = tables[0].runs.to_dict("records")
    assert (row["status"], row["diverged_step"]) == ("diverged", whole["diverged_step"])
    assert np.isnan(row["loss_nats_per_token"])
    pd.testing.assert_frame_equal(tables[0].runs, tables[1].runs)
    pd.testing.assert_frame_equal(tables[0].metrics, tables[1].metrics)


@pytest.mark.parametrize("backend", ["lockstep", "lightning"])
def test_a_run_that_is_asked_to_stop_writes_a_checkpoint_first(hard, corpora, tmp_path: Path, backend: str) -> None:
    chosen = hard(backend, 0)
    killed(chosen, tmp_path / "broken", corpora, 7, "update", number=signal.SIGTERM, every_s=1e9)
    folder = tmp_path / "broken" / chosen.run_id
    assert (folder / "checkpoint.ckpt").exists()
    train(chosen, tmp_path / "broken", corpora)
    assert json.loads((folder / "provenance.json").read_text())["resumed_at_step"] == 7
    train(chosen, tmp_path / "whole", corpora)
    assert_same_files(folder, tmp_path / "whole" / chosen.run_id)


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    else:
        info = max(ZipFile(file).infolist(), key=lambda entry: entry.file_size)
        # past the record's header, whose padding may hold anything
        content[info.header_offset + 200 + info.file_size // 2] ^= 0x01
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "bit-flipped"])
@pytest.mark.parametrize(
    ("damaged", "begins"), [(["checkpoint.ckpt"], 5), (["checkpoint.ckpt", "checkpoint.before.ckpt"], None)]
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    hard, corpora, tmp_path: Path, caplog, how: str, damaged: list[str], begins: int | None
) -> None:
    chosen = hard("lockstep", 0)
    killed(chosen, tmp_path / "broken", corpora, 7, "update")
    folder = tmp_path / "broken" / chosen.run_id
    for name in damaged:
        damage(folder / name, how)
    train(chosen, tmp_path / "broken", corpora)
    assert json.loads((folder / "provenance.json").read_text())["resumed_at_step"] == begins
    assert caplog.text.count("damaged checkpoint") == len(damaged)
    train(chosen, tmp_path / "whole", corpora)
    assert_same_files(folder, tmp_path / "whole" / chosen.run_id)


MARKS = {"code_sha256": "0" * 64, "state_of": "a run"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A checkpoint as the trainer writes it, whose content may be replaced, and that content."""
    path, model = tmp_path_factory.mktemp("state") / "checkpoint.ckpt", Decoder(SPEC, 256, seed=0)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    optimizer.step()
    whole = {"fingerprint": MARKS, "global_step": 7, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    save_state(lambda temporary: torch.save(whole, temporary), path)
    return path, path.read_bytes()


def same_state(first: object, second: object) -> bool:
    """Tell whether two states are equal to the last bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_state(value, second[key]) for key, value in first.items())
    return first == second


@given(data=strategies.data())
def test_a_checkpoint_with_a_turned_bit_or_cut_short_is_the_same_or_none(state, data: strategies.DataObject) -> None:
    path, whole = state
    path.write_bytes(whole)
    expected = resumable(path, MARKS)
    assert expected is not None
    at = data.draw(strategies.integers(0, 8 * len(whole) - 1), label="bit")
    if data.draw(strategies.booleans(), label="cut"):
        damaged = whole[: at // 8]
    else:
        damaged = whole[: at // 8] + bytes([whole[at // 8] ^ 1 << at % 8]) + whole[at // 8 + 1 :]
    path.write_bytes(damaged)
    found = resumable(path, MARKS)
    assert found is None or same_state(found, expected)
    assert path.exists() == (found is not None)


def test_a_checkpoint_of_another_run_is_not_resumed(hard, corpora, tmp_path: Path, caplog) -> None:
    one, other = hard("lockstep", 0), hard("lockstep", 1)
    killed(one, tmp_path, corpora, 7, "update")
    (tmp_path / other.run_id).mkdir()
    (tmp_path / one.run_id / "checkpoint.ckpt").rename(tmp_path / other.run_id / "checkpoint.ckpt")
    train(other, tmp_path, corpora)
    assert "a checkpoint of another run" in caplog.text
    assert json.loads((tmp_path / other.run_id / "provenance.json").read_text())["resumed_at_step"] is None


def test_checkpoints_are_due_by_the_clock(tmp_path: Path) -> None:
    now = [0.0]
    checkpoints = Checkpoints(tmp_path / "c.ckpt", every_s=60.0, fingerprint={}, clock=lambda: now[0])
    for content, seconds in (("first", 59.9), ("second", 60.0), ("third", 60.0)):
        now[0] += seconds
        if checkpoints.due():
            checkpoints.save(lambda path, content=content: path.write_text(f"{content} state"))
    assert [path.read_bytes().split()[0] for path in (checkpoints.path, checkpoints.before)] == [b"third", b"second"]

import json
import math
import multiprocessing
from pathlib import Path
from zipfile import ZipFile

import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock

from curselab.contract import check_record
from curselab.errors import InputError
from trainer.checkpoint import Checkpoints
from trainer.evaluation import evaluation_steps
from trainer.run import fingerprint, is_complete, run, run_in_folder
from trainer.spec import LanguagesText, ModelSpec, ObjectiveSpec, OptimizerSpec, TextSpec, TrainingSpec
from trainer.text import prepare_text
from trainer.text.languages import entropy_rates


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in model.parameters()]


def same_bits(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def test_same_spec_and_seed_give_bit_equal_weights(spec, text, tmp_path: Path) -> None:
    first, again = (run(spec(), sweep="s", stage="t", text=text, runs=tmp_path) for _ in range(2))
    other = run(spec(seed=1), sweep="s", stage="t", text=text, runs=tmp_path)
    assert same_bits(first.model, again.model)
    assert first.summary == again.summary
    assert not same_bits(first.model, other.model)


def test_a_run_writes_what_the_contract_says(spec, text, tmp_path: Path) -> None:
    chosen = spec(keep_weights=True)
    summary = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    folder = tmp_path / chosen.run_id
    check_record("runs", json.loads((folder / "summary.json").read_text()))
    for row in pq.read_table(folder / "metrics.parquet").to_pylist():
        check_record("metrics", row)
    assert summary["status"] == "ok"
    assert summary["loss_bits_per_byte"] == pytest.approx(
        summary["loss_nats_per_token"] * summary["eval_tokens"] / summary["eval_bytes"] / math.log(2)
    )
    assert {p.name for p in folder.iterdir()} == {
        "spec.json", "summary.json", "provenance.json", "metrics.parquet", "weights.safetensors", "lock"
    }  # fmt: skip


def test_a_complete_run_is_read_and_not_trained_again(spec, text, tmp_path: Path) -> None:
    chosen = spec()
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / chosen.run_id).iterdir() if p.name != "lock"}
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    assert {p: p.stat().st_mtime_ns for p in files} == files


@pytest.mark.parametrize("damage", ["summary.json", "provenance.json"])
def test_a_truncated_record_makes_a_run_incomplete(spec, text, tmp_path: Path, damage: str) -> None:
    chosen = spec()
    first = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    file = tmp_path / chosen.run_id / damage
    file.write_text(file.read_text()[:40])
    assert not is_complete(tmp_path / chosen.run_id, stage="t", marks=fingerprint(text))
    assert run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text) == first


def test_a_run_of_other_code_is_not_complete(spec, text, tmp_path: Path) -> None:
    chosen = spec()
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    marks = fingerprint(text)
    assert is_complete(tmp_path / chosen.run_id, stage="t", marks=marks)
    assert not is_complete(tmp_path / chosen.run_id, stage="t", marks={**marks, "code_sha256": "0" * 64})


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def kill_at_checkpoint(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    original, written = Checkpoints.save, []

    def dying(self, write):
        original(self, write)
        written.append(self.path)
        if len(written) == number:
            raise Killed

    monkeypatch.setattr(Checkpoints, "save", dying)


def start_and_kill(chosen, text, runs: Path, step: int) -> None:
    """Checkpoint every step, and end as by a signal right after that of ``step``."""
    with pytest.MonkeyPatch.context() as patch:
        kill_at_checkpoint(patch, step)
        with pytest.raises(Killed):
            run_in_folder(chosen, sweep="s", stage="t", runs=runs, text=text, checkpoint_every_s=0.0)


@pytest.mark.parametrize("step", [1, 7, 19])
def test_an_interrupted_run_goes_on_to_the_same_bits(spec, text, tmp_path: Path, step: int) -> None:
    chosen = spec(keep_weights=True)
    whole = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "whole", text=text)
    start_and_kill(chosen, text, tmp_path / "broken", step)
    folder = tmp_path / "broken" / chosen.run_id
    assert (folder / "checkpoint.ckpt").exists()
    assert not (folder / "summary.json").exists()
    resumed = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "broken", text=text)
    assert resumed == whole
    assert json.loads((folder / "provenance.json").read_text())["resumed_at_step"] == step
    for name in ("weights.safetensors", "metrics.parquet", "summary.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / chosen.run_id / name).read_bytes()
    assert not (folder / "checkpoint.ckpt").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_a_damaged_checkpoint_starts_the_run_anew(spec, text, tmp_path: Path, damage: str, caplog) -> None:
    chosen = spec()
    start_and_kill(chosen, text, tmp_path, 7)
    file = tmp_path / chosen.run_id / "checkpoint.ckpt"
    content = bytearray(file.read_bytes())
    if damage == "truncate":
        content = content[: len(content) // 2]
    else:
        info = max(ZipFile(file).infolist(), key=lambda entry: entry.file_size)
        # past the record's header, whose padding may hold anything
        content[info.header_offset + 200 + info.file_size // 2] ^= 0x01
    file.write_bytes(content)
    result = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    assert result == run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "whole", text=text)
    assert json.loads((tmp_path / chosen.run_id / "provenance.json").read_text())["resumed_at_step"] is None
    assert "damaged checkpoint" in caplog.text


def test_divergence_is_a_recorded_outcome(spec, text, tmp_path: Path) -> None:
    wild = spec(optimizer=OptimizerSpec(learning_rate=1e30, grad_clip=0.0), keep_weights=True)
    summary = run_in_folder(wild, sweep="s", stage="t", runs=tmp_path, text=text)
    assert summary["status"] == "diverged"
    assert 1 <= summary["diverged_step"] <= wild.steps
    assert summary["loss_nats_per_token"] is None
    check_record("runs", summary)
    assert not (tmp_path / wild.run_id / "weights.safetensors").exists()

    orphan = spec(objective=ObjectiveSpec(kind="distill", teacher=wild.run_id))
    summary = run_in_folder(orphan, sweep="s", stage="t", runs=tmp_path, text=text)
    assert summary["status"] == "no_teacher"
    assert summary["loss_nats_per_token"] is None
    check_record("runs", summary)


def test_a_student_moves_towards_its_teacher(spec, text, tmp_path: Path) -> None:
    teacher = spec(keep_weights=True, training=TrainingSpec(tokens=40 * 8 * 32, batch_sequences=8, split="teacher"))
    taught = run_in_folder(teacher, sweep="s", stage="teacher", runs=tmp_path, text=text)
    student = spec(objective=ObjectiveSpec(kind="distill", teacher=teacher.run_id), seed=5)
    result = run(student, sweep="s", stage="student", text=text, runs=tmp_path)
    assert result.summary["teacher_id"] == teacher.run_id
    assert result.summary["teacher_loss_nats_per_token"] == taught["loss_nats_per_token"]
    divergence = [row["value"] for row in result.metrics if row["metric"] == "objective_nats_per_token"]
    assert divergence[-1] < 0.5 * divergence[0]
    plain = run(spec(seed=5), sweep="s", stage="plain", text=text, runs=tmp_path)
    assert result.summary["train_flop"] > plain.summary["train_flop"]


def test_a_missing_teacher_is_named(spec, text, tmp_path: Path) -> None:
    student = spec(objective=ObjectiveSpec(kind="distill", teacher="0123456789ab"))
    with pytest.raises(InputError, match="teacher 0123456789ab is not trained"):
        run(student, sweep="s", stage="student", text=text, runs=tmp_path)


def hold(path: str, ready, done) -> None:
    with FileLock(path):
        ready.set()
        done.wait(60)


def test_a_second_process_on_one_run_refuses(spec, text, tmp_path: Path) -> None:
    chosen = spec()
    folder = tmp_path / chosen.run_id
    folder.mkdir()
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(str(folder / "lock"), ready, done))
    holder.start()
    try:
        assert ready.wait(60)
        with pytest.raises(InputError, match=f"run {chosen.run_id}: another process is training it"):
            run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    finally:
        done.set()
        holder.join(60)
    assert run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)["status"] == "ok"


def test_training_approaches_the_entropy_of_a_known_language_and_never_beats_it(tmp_path: Path, spec) -> None:
    # four words a class, so a small model can learn the whole language in seconds
    source = LanguagesText(families=1, languages_per_family=1, word_classes=2, words_per_class=2, bytes_per_language=300_000)
    chosen = TextSpec(source=source)
    prepared = prepare_text(chosen, tmp_path / "text")
    (facts,) = entropy_rates(source).values()
    trained = run(
        spec(
            text=chosen,
            model=ModelSpec(width=32, depth=2, heads=1, ffn_width=88, context=64),
            training=TrainingSpec(tokens=200 * 16 * 64),
        ),
        sweep="s",
        stage="t",
        text=prepared,
        runs=tmp_path,
    ).summary
    floor = facts.entropy_bits_per_byte
    assert floor < trained["loss_bits_per_byte"] + 3 * trained["loss_se_nats_per_token"] / math.log(2)
    assert trained["loss_bits_per_byte"] < 1.25 * floor


def test_the_last_step_is_always_evaluated() -> None:
    for steps in (1, 2, 7, 1000):
        for points in (1, 2, 6):
            chosen = evaluation_steps(steps, points)
            assert chosen[-1] == steps
            assert chosen == sorted(set(chosen))
            assert len(chosen) <= points
            assert chosen[0] >= 1


def test_damaged_weights_of_a_teacher_are_named(spec, text, tmp_path: Path) -> None:
    teacher = spec(keep_weights=True)
    run_in_folder(teacher, sweep="s", stage="teacher", runs=tmp_path, text=text)
    file = tmp_path / teacher.run_id / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 0x01
    file.write_bytes(content)
    student = spec(objective=ObjectiveSpec(kind="distill", teacher=teacher.run_id))
    with pytest.raises(InputError, match=r"weights\.safetensors: damaged weights"):
        run(student, sweep="s", stage="student", text=text, runs=tmp_path)

import errno
import json
import math
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file

import trainer.run
from curselab.contract import check_record
from curselab.errors import InputError
from trainer.checkpoint import load_trained
from trainer.losses import text_loss
from trainer.model_spec import ModelSpec
from trainer.optimizer import make_optimizer
from trainer.probes import Probes
from trainer.run import fingerprint, is_complete, run, run_in_folder, run_together
from trainer.spec import ComputeSpec, ObjectiveSpec, OptimizerSpec, PlannedRun, ScheduleSpec, StartSpec, TrainingSpec
from trainer.stream import make_stream
from trainer.text import prepare_text
from trainer.text.languages import entropy_rates
from trainer.text_spec import LanguagesText, TextSpec
from trainer.training import prepare


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


@pytest.mark.parametrize("name", ["spec.json", "summary.json", "provenance.json", "metrics.parquet"])
@pytest.mark.parametrize("how", ["cut", "turned"])
def test_a_damaged_file_makes_a_run_incomplete_and_training_mends_it(spec, text, tmp_path: Path, name: str, how: str) -> None:
    chosen = spec()
    first = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    file = tmp_path / chosen.run_id / name
    whole = file.read_bytes()
    at = whole.index(b'"metrics.parquet": "') + 25 if name == "provenance.json" else len(whole) // 2
    file.write_bytes(whole[:at] + (b"" if how == "cut" else bytes([whole[at] ^ 1]) + whole[at + 1 :]))
    assert not is_complete(tmp_path / chosen.run_id, stage="t", marks=fingerprint(text))
    assert run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text) == first
    assert name == "provenance.json" or file.read_bytes() == whole


@pytest.mark.parametrize("backend", ["lockstep", "lightning"])
def test_a_clock_that_jumps_changes_nothing(spec, text, tmp_path: Path, monkeypatch, backend: str) -> None:
    chosen = spec(keep_weights=True, compute=ComputeSpec(backend=backend))
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "steady", text=text)
    hands = np.random.default_rng(0)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: hands.uniform(-1e9, 4e9))
        run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "jumping", text=text, checkpoint_every_s=0.0)
    steady, jumping = (tmp_path / runs / chosen.run_id for runs in ("steady", "jumping"))
    for name in ("spec.json", "metrics.parquet", "weights.safetensors", "summary.json"):
        assert (steady / name).read_bytes() == (jumping / name).read_bytes()
        os.utime(jumping / name, (1.0, hands.uniform(0, 4e9)))
    assert is_complete(jumping, stage="t", marks=fingerprint(text))


def test_a_disk_that_is_full_at_any_write_costs_that_try_alone(spec, text, tmp_path: Path, monkeypatch) -> None:
    training = TrainingSpec(tokens=3 * 8 * 32, batch_sequences=8)
    chosen = spec(keep_weights=True, keep_optimizer=True, training=training)
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "roomy", text=text)
    roomy, full = (tmp_path / runs / chosen.run_id for runs in ("roomy", "full"))
    sync, failures, status = os.fsync, 0, None
    while status is None:
        until = iter(range(failures, -1, -1))

        def fsync(descriptor: int, until=until) -> None:
            if next(until, None) == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        try:
            summary = run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path / "full", text=text, checkpoint_every_s=0.0)
            status = summary["status"]
        except OSError as error:
            assert (error.errno, Path(error.filename).parent) == (errno.ENOSPC, full)  # noqa: PT017 (in all tries but the last)
            failures += 1
        assert not list(full.glob(".*"))
    assert failures > 10
    for name in ("spec.json", "metrics.parquet", "weights.safetensors", "optimizer.safetensors", "summary.json"):
        assert (roomy / name).read_bytes() == (full / name).read_bytes()


def test_a_run_of_other_code_is_not_complete(spec, text, tmp_path: Path) -> None:
    chosen = spec()
    run_in_folder(chosen, sweep="s", stage="t", runs=tmp_path, text=text)
    marks = fingerprint(text)
    assert is_complete(tmp_path / chosen.run_id, stage="t", marks=marks)
    assert not is_complete(tmp_path / chosen.run_id, stage="t", marks={**marks, "code_sha256": "0" * 64})


def test_divergence_is_a_recorded_outcome(spec, text, tmp_path: Path) -> None:
    wild = spec(optimizer=OptimizerSpec(learning_rate=1e30, grad_clip=0.0), keep_weights=True)
    summary = run_in_folder(wild, sweep="s", stage="t", runs=tmp_path, text=text)
    assert summary["status"] == "diverged"
    assert 1 <= summary["diverged_step"] <= wild.steps
    assert summary["loss_nats_per_token"] is None
    check_record("runs", summary)
    assert not (tmp_path / wild.run_id / "weights.safetensors").exists()

    needs_it = {
        "no_teacher": spec(objective=ObjectiveSpec(kind="distill", teacher=wild.run_id)),
        "no_base": spec(start=StartSpec(base=wild.run_id)),
    }
    for status, orphan in needs_it.items():
        summary = run_in_folder(orphan, sweep="s", stage="t", runs=tmp_path, text=text)
        assert summary["status"] == status
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


def test_a_run_starts_from_the_weights_of_its_base(spec, text, tmp_path: Path) -> None:
    base = spec(keep_weights=True)
    ended = run_in_folder(base, sweep="s", stage="base", runs=tmp_path, text=text)
    still = spec(
        start=StartSpec(base=base.run_id),
        optimizer=OptimizerSpec(learning_rate=1e-30, weight_decay=0.0, weight_decay_embedding=0.0),
    )
    result = run(still, sweep="s", stage="t", text=text, runs=tmp_path)
    assert result.summary["base_id"] == base.run_id
    assert result.summary["base_params_non_embedding"] == ended["params_non_embedding"]
    assert (result.summary["sparsity"], ended["sparsity"]) == (0, None)
    assert result.summary["loss_nats_per_token"] == ended["loss_nats_per_token"]


def test_a_run_goes_on_with_the_moments_of_its_base(spec, text, tmp_path: Path) -> None:
    base = spec(keep_weights=True, keep_optimizer=True)
    run_in_folder(base, sweep="s", stage="base", runs=tmp_path, text=text)
    one = dict(
        training=TrainingSpec(tokens=8 * 32, batch_sequences=8), schedule=ScheduleSpec(kind="constant", warmup_share=0.0)
    )
    kept = run(
        spec(start=StartSpec(base=base.run_id, optimizer="kept"), **one), sweep="s", stage="t", text=text, runs=tmp_path
    )
    _, model = load_trained(tmp_path / base.run_id)
    optimizer, _ = make_optimizer(spec(**one), model.requires_grad_(True))
    flat = load_file(tmp_path / base.run_id / "optimizer.safetensors")
    moments = {n: {key: flat[f"{n}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")} for n in range(len(flat) // 3)}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    text_loss(model, make_stream(spec(**one), prepare(spec(**one), text=text, runs=tmp_path).windows).batch(0)).backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    assert same_bits(kept.model, model)
    new = run(spec(start=StartSpec(base=base.run_id), **one), sweep="s", stage="t", text=text, runs=tmp_path)
    assert not same_bits(new.model, model)


def test_a_base_of_another_shape_or_without_moments_is_named(spec, text, tmp_path: Path) -> None:
    base = spec(keep_weights=True)
    run_in_folder(base, sweep="s", stage="base", runs=tmp_path, text=text)
    other = spec(start=StartSpec(base=base.run_id), model=ModelSpec(width=32, depth=1, heads=1, ffn_width=24, context=32))
    for chosen, words in (
        (other, "a model of another shape"),
        (spec(start=StartSpec(base=base.run_id, optimizer="kept")), "holds no state of the optimiser"),
        (spec(start=StartSpec(base="0123456789ab")), "its base 0123456789ab is not trained"),
    ):
        with pytest.raises(InputError, match=words):
            run(chosen, sweep="s", stage="t", text=text, runs=tmp_path)


def test_a_missing_teacher_is_named(spec, text, tmp_path: Path) -> None:
    student = spec(objective=ObjectiveSpec(kind="distill", teacher="0123456789ab"))
    with pytest.raises(InputError, match="teacher 0123456789ab is not trained"):
        run(student, sweep="s", stage="student", text=text, runs=tmp_path)


def hold(path: str, ready, done) -> None:
    with FileLock(path):
        ready.set()
        done.wait(60)


def test_a_second_process_on_runs_waits_and_holds_them_in_one_order(spec, text, tmp_path: Path, caplog) -> None:
    first, last = sorted((PlannedRun("s", "t", spec(seed=seed)) for seed in range(2)), key=lambda run: run.run_id)
    lock = tmp_path / last.run_id / "lock"
    lock.parent.mkdir()
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(str(lock), ready, done))
    holder.start()
    assert ready.wait(60)
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(run_together, [last, first], runs=tmp_path, text=text)
        while f"run {last.run_id}: another process is training it (it holds {lock})" not in caplog.text and not second.done():
            time.sleep(0.01)
        with pytest.raises(Timeout):  # so a process that wants both cannot hold the other one
            FileLock(tmp_path / first.run_id / "lock").acquire(timeout=0)
        assert not (tmp_path / last.run_id / "spec.json").exists()
        done.set()
        outcomes = second.result()
    holder.join()
    assert {run_id: outcome.summary["status"] for run_id, outcome in outcomes.items()} == dict.fromkeys(
        (first.run_id, last.run_id), "ok"
    )


def train_once_told(chosen, runs: Path, text, begun, go) -> None:
    after_step = Probes.after_step

    def stops(self, step, loss, model):
        if step == 1:
            begun.set()
            go.wait(60)
        after_step(self, step, loss, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Probes, "after_step", stops)
        run_in_folder(chosen, sweep="s", stage="t", runs=runs, text=text)


def test_a_run_that_another_process_trains_is_read_and_not_trained_twice(spec, text, tmp_path: Path, caplog) -> None:
    chosen = spec(keep_weights=True)
    context = multiprocessing.get_context("fork")
    begun, go = context.Event(), context.Event()
    child = context.Process(target=train_once_told, args=(chosen, tmp_path, text, begun, go))
    child.start()
    assert begun.wait(60)
    with ThreadPoolExecutor(1) as threads, pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.run, "fit", trains_nothing)
        second = threads.submit(run_in_folder, chosen, sweep="s", stage="t", runs=tmp_path, text=text)
        while "another process is training it" not in caplog.text and not second.done():
            time.sleep(0.01)
        go.set()
        summary = second.result()
    child.join()
    assert child.exitcode == 0
    assert summary == json.loads((tmp_path / chosen.run_id / "summary.json").read_text())


def trains_nothing(trainings: list) -> None:
    assert trainings == []


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

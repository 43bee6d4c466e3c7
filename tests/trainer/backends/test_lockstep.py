"""The plain loop against the reference backend, bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.backends import backend
from trainer.model_spec import ModelSpec
from trainer.run import run_in_folder
from trainer.spec import ObjectiveSpec, OptimizerSpec, RunSpec, ScheduleSpec, TrainingSpec
from trainer.training import RunResult, prepare

MODELS = [
    ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32),
    ModelSpec(width=24, depth=1, heads=1, ffn_width=40, context=32, tie_embeddings=False),
    ModelSpec(width=16, depth=2, heads=2, ffn_width=64, context=32, norm="layer", positions="learned", ffn="gelu"),
]


def train(name: str, specs: list[RunSpec], text, runs: Path) -> list[RunResult]:
    trainings = [prepare(spec, text=text, runs=runs) for spec in specs]
    backend(name)(trainings)
    return [training.result(sweep="s", stage="t") for training in trainings]


def assert_same_bits(first: RunResult, second: RunResult) -> None:
    assert first.summary == second.summary
    assert first.metrics == second.metrics
    assert (first.model is None) == (second.model is None)
    if first.model is not None and second.model is not None:
        for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.fixture
def teacher(spec, text, tmp_path: Path) -> RunSpec:
    """A trained teacher in ``tmp_path``."""
    chosen = spec(keep_weights=True, model=ModelSpec(width=32, depth=2, heads=1, ffn_width=88, context=32), seed=7)
    run_in_folder(chosen, sweep="s", stage="teacher", runs=tmp_path, text=text)
    return chosen


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["cosine", "wsd", "constant"])
def test_one_run_has_the_bits_of_the_reference(spec, text, tmp_path: Path, model: ModelSpec, kind: str) -> None:
    chosen = spec(model=model, schedule=ScheduleSpec(kind=kind))
    (plain,), (reference,) = (train(name, [chosen], text, tmp_path) for name in ("lockstep", "lightning"))
    assert plain.summary["status"] == "ok"
    assert_same_bits(plain, reference)


def test_students_of_one_teacher_have_the_bits_of_students_trained_alone(spec, text, tmp_path: Path, teacher) -> None:
    base = spec(objective=ObjectiveSpec(kind="distill", teacher=teacher.run_id, temperature=2.0))
    students = [
        base,
        replace(base, model=MODELS[1]),
        replace(base, optimizer=OptimizerSpec(learning_rate=3e-3, grad_clip=0.1)),
        replace(base, objective=replace(base.objective, distill_weight=0.5)),
        replace(base, training=TrainingSpec(tokens=11 * 8 * 32, batch_sequences=8)),
    ]
    together = train("lockstep", students, text, tmp_path)
    for result, student in zip(together, students, strict=True):
        assert_same_bits(result, *train("lightning", [student], text, tmp_path))


def test_the_teacher_passes_over_each_batch_once(spec, text, tmp_path: Path, teacher, monkeypatch) -> None:
    base = spec(objective=ObjectiveSpec(kind="distill", teacher=teacher.run_id))
    students = [replace(base, optimizer=OptimizerSpec(learning_rate=rate)) for rate in (1e-2, 3e-3, 1e-3)]
    trainings = [prepare(student, text=text, runs=tmp_path) for student in students]
    passes = []
    for training in trainings:
        training.teacher.model.register_forward_hook(lambda *_: passes.append(1))
    backend("lockstep")(trainings)
    assert len(passes) == base.steps


def test_a_student_that_diverges_leaves_the_others_alone(spec, text, tmp_path: Path, teacher) -> None:
    good = spec(objective=ObjectiveSpec(kind="distill", teacher=teacher.run_id))
    wild = replace(good, optimizer=OptimizerSpec(learning_rate=1e30, grad_clip=0.0))
    for result, student in zip(train("lockstep", [wild, good], text, tmp_path), (wild, good), strict=True):
        (alone,) = train("lightning", [student], text, tmp_path)
        assert result.summary == alone.summary
    assert alone.summary["status"] == "ok"

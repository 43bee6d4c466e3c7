import pytest

from curselab.errors import InputError
from sweeps.grid import expand
from sweeps.registry import FOLDER, SWEEPS, read_yaml
from trainer.flops import count_parameters
from trainer.spec import FilesText, RunSpec


def scaling(**axes: list) -> list[RunSpec]:
    runs = expand("scaling", {"run": axes}, overrides={}, where="test")
    return [run.spec for run in runs]


def test_a_stage_is_the_product_of_its_axes() -> None:
    specs = scaling(**{"size": ["6k", "25k"], "training.tokens": [10_000, 20_000, 40_000], "seed": [0, 1]})
    assert len(specs) == 12
    assert {(s.model.width, s.training.tokens, s.seed) for s in specs} == {
        (w, t, s) for w in (16, 32) for t in (10_000, 20_000, 40_000) for s in (0, 1)
    }


def test_an_id_depends_on_the_run_and_not_on_its_grid() -> None:
    alone = scaling(**{"size": ["6k"], "training.tokens": [10_000], "seed": [0]})[0]
    among = scaling(**{"seed": [2, 0], "training.tokens": [10_000], "size": ["25k", "6k"]})
    assert alone.run_id in {spec.run_id for spec in among}


def test_tokens_per_parameter_are_rounded_up_to_whole_batches() -> None:
    (spec,) = scaling(size=["25k"], tokens_per_parameter=[20], seed=[0])
    params = count_parameters(spec.model, 256).non_embedding
    assert spec.training.tokens % spec.tokens_per_step == 0
    assert 20 * params <= spec.training.tokens < 20 * params + spec.tokens_per_step


def test_students_meet_every_teacher() -> None:
    axes = {
        "teacher": {"size": ["6k", "14k", "25k"], "tokens_per_parameter": [20], "seed": [0, 1]},
        "student": {"size": ["6k", "14k"], "training.tokens": [50_000], "seed": [0, 1]},
    }
    runs = expand("capacity_gap", axes, overrides={}, where="test")
    teachers = {run.run_id: run.spec for run in runs if run.stage == "teacher"}
    students = [run.spec for run in runs if run.stage == "student"]
    assert len(teachers) == 6
    assert len(students) == 4 * 6
    assert {s.objective.teacher for s in students} == set(teachers)
    assert all(t.training.split == "teacher" and t.keep_weights for t in teachers.values())
    assert all(s.training.split == "train" for s in students)


def test_students_without_teachers_are_refused() -> None:
    axes = {"student": {"size": ["6k"], "training.tokens": [50_000]}}
    with pytest.raises(InputError, match="learns from stage teacher, which has no runs"):
        expand("capacity_gap", axes, overrides={}, where="test")


def test_another_text_replaces_the_sweeps_own_with_one_line() -> None:
    overrides = {"text": {"source": {"kind": "files", "path": "corpus"}}}
    (run,) = expand("scaling", {"run": {"size": ["6k"], "training.tokens": [10_000]}}, overrides=overrides, where="test")
    assert run.spec.text.source == FilesText(path="corpus")


@pytest.mark.parametrize("ratio", [0, -1, "20", True])
def test_a_bad_ratio_is_named(ratio: object) -> None:
    with pytest.raises(InputError, match="tokens_per_parameter"):
        scaling(size=["6k"], tokens_per_parameter=[ratio])


def test_sizes_are_named_by_their_non_embedding_parameters() -> None:
    for name in read_yaml(FOLDER / "sizes.yaml"):
        (spec,) = scaling(size=[name], tokens_per_parameter=[20])
        params = count_parameters(spec.model, 256).non_embedding
        named = int(name[:-1]) * {"k": 1e3, "m": 1e6}[name[-1]]
        assert params == pytest.approx(named, abs=0.5 * {"k": 1e3, "m": 1e6}[name[-1]])


def test_every_registered_sweep_has_its_file() -> None:
    found = {path.stem for path in FOLDER.glob("*.yaml")} - {"sizes"}
    assert found == set(SWEEPS)

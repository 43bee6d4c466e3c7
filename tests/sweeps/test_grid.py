from collections import Counter
from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.grid import expand
from sweeps.registry import BENCHES, FOLDER, PROBLEMS, SWEEPS, read_yaml
from trainer.flops import count_parameters
from trainer.schedule import factor_at, last_rate
from trainer.spec import RunSpec
from trainer.text_spec import FilesText


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


def test_a_stage_may_have_several_sets_of_axes() -> None:
    small, large = (
        {"size": [size], "training.tokens": [50_000], "seed": seeds} for size, seeds in (("6k", [0, 1, 2]), ("25k", [0]))
    )
    runs = expand("scaling", {"run": [small, large]}, overrides={}, where="test")
    apart = [run for axes in (small, large) for run in expand("scaling", {"run": axes}, overrides={}, where="test")]
    assert [run.run_id for run in runs] == [run.run_id for run in apart]
    with pytest.raises(InputError, match=r"test: run \w+ is there twice"):
        expand("scaling", {"run": [small, small]}, overrides={}, where="test")
    with pytest.raises(InputError, match=r"test\.run\[1\]\.size: '7k' was given"):
        expand("scaling", {"run": [small, {**large, "size": ["7k"]}]}, overrides={}, where="test")


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
    with pytest.raises(InputError, match="its teachers are the runs of stage teacher, which has none in this grid"):
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
    for name in read_yaml(FOLDER / "sizes.yaml")["sizes"]:
        (spec,) = scaling(size=[name], tokens_per_parameter=[20])
        params = count_parameters(spec.model, 256).non_embedding
        named = int(name[:-1]) * {"k": 1e3, "m": 1e6}[name[-1]]
        assert params == pytest.approx(named, abs=0.5 * {"k": 1e3, "m": 1e6}[name[-1]])


def rates(**axes: list) -> list[float]:
    return [spec.optimizer.learning_rate for spec in scaling(**{"training.tokens": [524_288], **axes})]


def test_sizes_take_the_rate_of_the_ladders_rule_and_large_ones_their_own() -> None:
    assert rates(size=["6k", "14k", "101k", "201k", "85m"]) == [0.01094, 0.007292, 0.002734, 0.001367, 0.0006]


def test_a_rule_may_follow_the_length_of_a_run_and_the_ladders_does_not() -> None:
    lengths = {"training.tokens": [524_288, 2_097_152]}
    assert len(set(rates(size=["6k"], **lengths))) == 1  # or budgets would share no steps
    rule = {"kind": "inverse_width_depth", "base": 0.4, "horizon": 524_288, "exponent": -0.22}
    short, long = rates(size=["6k"], **{**lengths, "optimizer.learning_rate": [rule]})
    assert (short, long) == (0.0125, pytest.approx(0.0125 * 4**-0.22, rel=1e-3))


def test_a_factor_multiplies_the_rate_of_a_rule_and_a_number_alike() -> None:
    assert rates(size=["101k", "85m"], learning_rate_factor=[0.5, 1, 2]) == [0.001367, 0.002734, 0.005469, 3e-4, 6e-4, 1.2e-3]
    number = {"size": ["6k"], "optimizer.learning_rate": [0.001], "learning_rate_factor": [0.5, 4]}
    assert rates(**number) == [0.0005, 0.004]


def test_a_factor_of_one_is_the_same_run() -> None:
    plain = scaling(size=["6k"], **{"training.tokens": [10_000]})
    assert scaling(size=["6k"], learning_rate_factor=[1], **{"training.tokens": [10_000]}) == plain


def test_an_axis_may_change_the_rule_and_the_shape_that_it_reads() -> None:
    rules = [{"kind": "inverse_width", "base": 0.1}, {"kind": "inverse_width_depth", "base": 0.2}, 0.02]
    assert rates(size=["6k"], **{"optimizer.learning_rate": rules, "model.depth": [4]}) == [0.00625, 0.003125, 0.02]


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"learning_rate_factor": [0]}, "test.run.learning_rate_factor: 0 was given, a number above 0"),
        ({"learning_rate_factor": [True]}, "True was given, a number above 0"),
        ({"learning_rate_factor": [float("nan")]}, "nan was given, a number above 0"),
        (
            {"learning_rate_factor": [2], "optimizer.learning_rate": ["0.1"]},
            "optimizer.learning_rate: the string '0.1'",
        ),
        (
            {"optimizer.learning_rate": [{"kind": "mup"}]},
            "learning_rate.kind: the string 'mup' was given (allowed: inv",
        ),
        ({"optimizer": [3]}, "test.run.optimizer: 3 was given, a mapping is needed"),
    ],
)
def test_a_bad_learning_rate_is_one_line(axes: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        rates(size=["6k"], **axes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_registered_sweep_and_problem_has_its_file() -> None:
    found = {path.stem for path in FOLDER.glob("*.yaml")} - {"sizes"}
    assert found == {*SWEEPS, *PROBLEMS, *BENCHES}


def test_a_stage_with_bases_starts_from_each_run_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {
        "base": {"training": {"batch_sequences": 4}},
        "stages": {"base": {"set": {"keep_weights": True}}, "go_on": {"bases": "base"}},
    }
    monkeypatch.setattr("sweeps.grid.read_yaml", lambda path: read_yaml(path) if path.name == "sizes.yaml" else content)
    axes = {"size": ["6k"], "training.tokens": [50_000], "seed": [0, 1]}
    runs = expand("scaling", {"base": axes, "go_on": {**axes, "start.optimizer": ["new"]}}, overrides={}, where="test")
    bases = {run.run_id for run in runs if run.stage == "base"}
    assert len(bases) == 2
    assert sorted(run.spec.start.base for run in runs if run.stage == "go_on") == sorted([*bases, *bases])


def test_students_are_cut_out_of_larger_bases_that_teach_them(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"training.tokens": [50_000], "seed": [0]}
    same_rate = scaling(size=["25k"], **axes)[0].optimizer.learning_rate
    content = {
        "base": {"training": {"batch_sequences": 4}},
        "stages": {
            "teacher": {"set": {"keep_weights": True}},
            "pruned": {"bases": "teacher", "pruned": True, "taught_by_base": True, "set": {"objective": {"kind": "distill"}}},
        },
    }
    monkeypatch.setattr("sweeps.grid.read_yaml", lambda path: read_yaml(path) if path.name == "sizes.yaml" else content)
    teachers = {"size": ["6k", "25k", "101k"], **axes}
    runs = expand("scaling", {"teacher": teachers, "pruned": {"size": ["25k"], **axes}}, overrides={}, where="test")
    by_id = {run.run_id: run.spec for run in runs}
    students = [run.spec for run in runs if run.stage == "pruned"]
    assert len(students) == 2  # nothing is cut out of a smaller model
    for student in students:
        base = by_id[student.start.base]
        assert student.objective.teacher == student.start.base
        assert student.model == base.model
        counts = count_parameters(base.model, 1)
        target = count_parameters(by_id[students[0].start.base].model, 1)  # the base of 25k, of which nothing goes
        assert (1 - student.start.sparsity) * (counts.attention + counts.ffn) == pytest.approx(
            target.attention + target.ffn, rel=1e-5
        )
    assert [student.start.sparsity for student in students] == [0, pytest.approx(0.75, abs=0.01)]
    assert {student.optimizer.learning_rate for student in students} == {same_rate}


def test_crossed_students_learn_from_every_teacher_but_the_one_they_are_cut_out_of() -> None:
    axes = {"size": ["6k"], "training.tokens": [50_000], "seed": [0]}
    teachers = {**axes, "size": ["6k", "14k", "25k"]}
    runs = expand("capacity_gap", {"teacher": teachers, "pruned": axes, "crossed": axes}, overrides={}, where="test")
    pairs = {
        stage: [(r.spec.start.base, r.spec.objective.teacher) for r in runs if r.stage == stage]
        for stage in ("pruned", "crossed")
    }
    ids = [run.run_id for run in runs if run.stage == "teacher"]
    assert sorted(pairs["pruned"]) == sorted((one, one) for one in ids)
    assert sorted(pairs["crossed"]) == sorted((one, other) for one in ids for other in ids if one != other)


def test_a_grid_keeps_bases_and_teachers_of_the_sizes_that_it_names() -> None:
    axes = {"size": ["6k"], "training.tokens": [50_000], "seed": [0]}
    axes_of_crossed = {**axes, "bases": ["14k"], "teachers": ["6k", "14k"]}
    stages = {"teacher": {**axes, "size": ["6k", "14k", "25k"]}, "crossed": axes_of_crossed}
    runs = expand("capacity_gap", stages, overrides={}, where="test")
    small, middle, _ = (run.run_id for run in runs if run.stage == "teacher")
    assert [(r.spec.start.base, r.spec.objective.teacher) for r in runs if r.stage == "crossed"] == [(middle, small)]
    for axis, message in (
        ({"bases": ["101k"]}, "crossed.bases: no run of stage teacher has size 101k"),
        ({"teachers": ["7k"]}, "crossed.teachers: '7k' was given"),
    ):
        with pytest.raises(InputError, match=message):
            expand("capacity_gap", {**stages, "crossed": {**axes, **axis}}, overrides={}, where="test")
    with pytest.raises(InputError, match=r"plain.bases: stage plain has no bases"):
        expand("capacity_gap", {"plain": {**axes, "bases": ["6k"]}}, overrides={}, where="test")


def test_a_paired_run_starts_from_the_base_of_its_own_seed_and_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {
        "base": {"training": {"batch_sequences": 4}},
        "stages": {"base": {"set": {"keep_weights": True}}, "go_on": {"bases": "base", "paired": True}},
    }
    monkeypatch.setattr("sweeps.grid.read_yaml", lambda path: read_yaml(path) if path.name == "sizes.yaml" else content)
    axes = {"size": ["6k", "14k"], "training.tokens": [50_000], "seed": [0, 1, 2]}
    runs = expand("scaling", {"base": axes, "go_on": {**axes, "seed": [1, 2]}}, overrides={}, where="test")
    by_id = {run.run_id: run.spec for run in runs}
    pairs = [(by_id[run.spec.start.base], run.spec) for run in runs if run.stage == "go_on"]
    assert len(pairs) == 4
    assert all((base.seed, base.model) == (spec.seed, spec.model) for base, spec in pairs)


# subset read more than once, lowest perplexity, and old text: none, a subset (drawn once) or all of it (drawn anew)
def cell(mixture: tuple) -> tuple[bool, bool, str]:
    new, *others = mixture
    old = [part for part in others if part.domain != "told"]
    drawn = "none" if not old else "once" if old[0].tokens else "anew"
    return 0 < new.tokens < 100_000, new.selection == "lowest_perplexity", drawn


def test_the_stability_gap_is_a_full_factorial_whose_arms_share_steps_rates_and_bases(root: Path) -> None:
    axes = read_yaml(root / "config" / "default.yaml")["sweeps"]["stability_gap"]
    runs = expand("stability_gap", axes, overrides={}, where="test")
    arms = [run.spec for run in runs if run.stage in ("strong", "strategy")]
    budgets, seeds = {spec.training.tokens for spec in arms}, {spec.seed for spec in arms}
    assert len(budgets) >= 3
    assert len(seeds) >= 3
    cells = Counter(cell(spec.training.mixture) for spec in arms if spec.training.mixture[0].selection != "highest_perplexity")
    wanted = {(subset, quality, drawn) for subset in (True, False) for quality in (True, False) for drawn in ("none", "anew")}
    wanted |= {(True, quality, "once") for quality in (True, False)}  # without a subset, once and anew are one
    assert cells == dict.fromkeys(wanted, len(budgets) * len(seeds))
    # the control C1 among them: one path of rates, one state of the optimiser, the same text told
    control = [run.spec for run in runs if run.stage == "old_text"]
    for spec in (*arms, *control):
        assert spec.schedule == arms[0].schedule
        assert spec.optimizer == arms[0].optimizer
        assert spec.start.optimizer == "new"
        assert [part.share for part in spec.training.mixture if part.domain == "told"] == [0.2]
        assert sum(part.share for part in spec.training.mixture if part.domain in ("prose", "asked")) in (
            pytest.approx(0), pytest.approx(0.2), pytest.approx(0.8)
        )  # fmt: skip
    assert {(spec.training.tokens, spec.seed, spec.start.base) for spec in arms} == {
        (spec.training.tokens, spec.seed, spec.start.base) for spec in control
    }
    by_id = {run.run_id: run for run in runs}
    assert {by_id[spec.start.base].stage for spec in arms} == {"annealed"}
    for run in runs:
        if run.spec.start.base:
            base = by_id[run.spec.start.base]
            assert base.spec.seed == run.spec.seed
            assert (base.spec.keep_weights, base.spec.keep_optimizer) == (True, True)
            assert base.spec.training.order != run.spec.training.order


def test_low_rate_goes_on_where_the_base_ended_and_continued_where_the_trunk_did(root: Path) -> None:
    axes = read_yaml(root / "config" / "default.yaml")["sweeps"]["stability_gap"]
    runs = expand("stability_gap", axes, overrides={}, where="test")
    by_id = {run.run_id: run.spec for run in runs}
    for run in runs:
        if run.stage in ("low_rate", "continued"):
            base, spec = by_id[run.spec.start.base], run.spec
            rates = {spec.optimizer.learning_rate * factor_at(spec, step) for step in (0, spec.steps // 2, spec.steps - 1)}
            assert len(rates) == 1
            # the base's last step stands one step before the end of its decay
            assert rates.pop() == pytest.approx(last_rate(base), rel=0.01)
            assert spec.start.optimizer == "kept"

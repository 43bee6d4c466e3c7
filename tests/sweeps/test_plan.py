import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.laws.multilinguality_similarity import alike, sets_of, similarity, trigram_overlap
from curselab.errors import InputError
from sweeps.plan import load_plan
from sweeps.registry import SWEEPS
from trainer.spec import PlannedRun
from trainer.text.document import SHUFFLED
from trainer.text.prepare import range_split
from trainer.text.sources import documents

GRIDS = ("smoke", "default", "full", "paper")


@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_expands_and_every_run_has_one_shard(root: Path, grid: str) -> None:
    plan = load_plan(root / "config" / f"{grid}.yaml")
    assert plan.grid == grid
    assert {*plan.sweeps, *plan.left_out} == set(SWEEPS)
    shared_out = [run for sweep in plan.sweeps for shard in plan.shards(sweep) for run in plan.shard(sweep, shard)]
    assert sorted(run.run_id for run in shared_out) == sorted(run.run_id for run in plan.runs)
    assert all(plan.flop(run) > 0 for run in plan.runs)


def test_default_scaling_has_the_sizes_budgets_and_seeds_that_a_fit_needs(root: Path) -> None:
    runs = [run.spec for run in load_plan(root / "config/default.yaml").runs if run.sweep == "scaling"]
    assert len({spec.model for spec in runs}) >= 5
    assert len({spec.training.tokens for spec in runs}) >= 4
    assert len({spec.seed for spec in runs}) >= 2
    assert {spec.text.source.kind for spec in runs} == {"installed"}


@pytest.mark.parametrize("grid", GRIDS)
def test_depth_compares_every_scheme_with_the_baseline_on_equal_terms(root: Path, grid: str) -> None:
    runs = [run.spec for run in load_plan(root / "config" / f"{grid}.yaml").runs if run.sweep == "depth"]
    arms: dict[tuple[str, str], set[tuple[int, float, int]]] = {}
    for spec in runs:
        arm = (spec.model.scheme, spec.model.initialisation)
        arms.setdefault(arm, set()).add((spec.model.depth, spec.optimizer.learning_rate, spec.seed))
    assert {("pre", "scaled"), ("pre", "plain"), ("lns", "plain")} <= set(arms)
    assert len(set(map(frozenset, arms.values()))) == 1  # the same depths, rates and seeds
    assert len({(spec.training.tokens, spec.model.width, spec.text) for spec in runs}) == 1
    assert all(spec.probes.tokens and spec.probes.loss_tokens for spec in runs)


@pytest.mark.parametrize("grid", GRIDS)
def test_arms_of_multilinguality_are_compared_on_equal_terms(root: Path, grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.plan._missing_folders", lambda runs: set())
    plan = load_plan(root / "config" / f"{grid}.yaml")
    cells: dict[str, set[tuple[str, int, int, int, int]]] = {}
    for run in plan.runs:
        if run.sweep == "multilinguality":
            spec, (target, *_) = run.spec, run.spec.training.mixture
            assert spec.evaluation.domains == (target.domain,)
            cell = (target.domain, spec.model.width, target.tokens, spec.training.tokens, spec.seed)
            cells.setdefault(run.stage, set()).add(cell)
    assert cells["matched"] == cells["similar"] == cells["dissimilar"] >= cells["null_language"]
    alone = {(*cell[:3], cell[4]) for cell in cells["monolingual"]}
    assert {(*cell[:3], cell[4]) for cell in cells["similar"]} <= alone
    targets, _, _, _, seeds = map(set, zip(*cells["similar"], strict=True))
    assert len(seeds) >= (3 if grid in ("full", "paper") else 2)
    assert len(targets) >= (6 if grid in ("full", "paper") else 2)
    # steps do not fall where data grows
    by_data = sorted({(cell[2], cell[3]) for cell in cells["monolingual"]})
    assert by_data == sorted(by_data, key=lambda cell: cell[1])


def full_multilinguality(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[PlannedRun]:
    monkeypatch.setattr("sweeps.plan._missing_folders", lambda runs: set())
    runs = [run for run in load_plan(root / "config/full.yaml").runs if run.sweep == "multilinguality"]
    assert {run.spec.text.source.path for run in runs} == {f"../shared/corpora/{folder.name}"}
    return runs


def test_sets_of_the_full_grid_are_those_of_the_papers_rule(root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared / "corpora/bible_nt"
    runs = full_multilinguality(root, folder, monkeypatch)
    languages = pd.read_csv(folder / "languages.csv")
    languages = languages[languages["code"].isin(runs[0].spec.text.source.domains)]
    assert set(languages["script"]) == {"Latin"}
    shared_trigrams = trigram_overlap({code: (folder / f"{code}.txt").read_text() for code in languages["code"]})
    pairs = alike(languages).merge(shared_trigrams, on=["lang_a", "lang_b"])
    matrix = similarity(pairs, ["same_family", "same_genus", "ln_shared_trigrams"])
    for run in runs:
        target, *others = (part.domain for part in run.spec.training.mixture)
        if run.stage in ("similar", "dissimilar"):
            assert others == sets_of(matrix, target, 5)[run.stage == "dissimilar"]
    targets = {run.spec.evaluation.domains[0] for run in runs}
    assert len(languages[languages["code"].isin(targets)]["family"].unique()) >= 4


def test_no_added_language_of_the_full_grid_is_read_twice(root: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared / "corpora/bible_nt"
    runs = full_multilinguality(root, folder, monkeypatch)
    spec = runs[0].spec.text
    there: Counter[str] = Counter()
    for document in documents(replace(spec.source, path=str(folder))):
        there[document.domain] += len(document.text.encode()) * (range_split(document.position, spec) == "train")
    for run in runs:
        for part in run.spec.training.mixture[1:]:
            assert part.share * run.spec.training.tokens <= there[part.domain.removesuffix(SHUFFLED)]
        assert run.spec.training.mixture[0].tokens < there[run.spec.training.mixture[0].domain]


def test_a_sweep_on_a_folder_that_is_not_there_is_left_out_and_says_so(tmp_path: Path) -> None:
    axes = {"size": ["6k"], "training.tokens": [4096], "seed": [0]}
    own = {**axes, "text.source": [{"kind": "files", "path": str(tmp_path / "no")}]}
    content = {"grid": "g", "shards": 1, "sweeps": {"scaling": {"run": axes}, "learning_rate": {"chosen": own}}}
    file = tmp_path / "g.yaml"
    file.write_text(json.dumps(content))
    plan = load_plan(file)
    assert plan.sweeps == ("scaling",)
    assert set(plan.left_out) == {"learning_rate"}
    assert "sweeps.learning_rate is left out, no such folder: " in plan.left_out["learning_rate"]
    # of a sweep that needs the folder in one stage, among other sources, the others are left
    facts = {"kind": "facts", "bytes_per_domain": 5_000}
    several = {**axes, "text.source": [{"kind": "several", "sources": [facts, own["text.source"][0]]}]}
    both = {**content["sweeps"], "learning_rate": {"chosen": axes, "bracket": several}}
    file.write_text(json.dumps({**content, "sweeps": both}))
    plan = load_plan(file)
    assert {run.stage for run in plan.runs if run.sweep == "learning_rate"} == {"chosen"}
    assert "sweeps.learning_rate.bracket is left out, no such folder: " in plan.left_out["learning_rate"]
    file.write_text(json.dumps(content))
    (tmp_path / "no").mkdir()
    assert load_plan(file).sweeps == ("scaling", "learning_rate")
    # a text that the grid names for all its sweeps is no option
    text = {"source": {"kind": "files", "path": "nowhere"}}
    file.write_text(json.dumps({**content, "text": text, "sweeps": {"scaling": {"run": axes}}}))
    assert load_plan(file).sweeps == ("scaling",)


def test_students_wait_for_the_shards_of_their_teachers(root: Path) -> None:
    plan = load_plan(root / "config/default.yaml")
    trained_by: dict[str, str] = {
        run.run_id: shard for shard in plan.shards("capacity_gap") for run in plan.shard("capacity_gap", shard)
    }
    for shard in plan.shards("capacity_gap"):
        teachers = {run.spec.objective.teacher for run in plan.shard("capacity_gap", shard)} - {""}
        assert set(plan.needs("capacity_gap", shard)) == {trained_by[teacher] for teacher in teachers}
        assert bool(teachers) == shard.startswith("student")


def write(path: Path, seeds: list[int]) -> Path:
    path.write_text(
        "grid: g\nshards: 4\nsweeps: {scaling: {run: {size: [6k], training.tokens: [4096], seed: " + str(seeds) + "}}}\n"
    )
    return path


def test_a_new_run_leaves_every_other_run_in_its_shard(tmp_path: Path) -> None:
    before = load_plan(write(tmp_path / "a.yaml", [1, 2, 3, 4, 5, 6]))
    after = load_plan(write(tmp_path / "b.yaml", [9, 6, 5, 4, 3, 2, 1]))

    def homes(plan) -> dict[str, str]:
        return {run.run_id: shard for shard in plan.shards("scaling") for run in plan.shard("scaling", shard)}

    assert homes(before).items() <= homes(after).items()
    (new,) = set(homes(after)) - set(homes(before))
    changed = [s for s in before.shards("scaling") if before.digest("scaling", s) != after.digest("scaling", s)]
    assert set(changed) <= {homes(after)[new]}


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(
        "grid: g\nshards: 1\n"
        "sweeps: {scaling: {run: {size: [6k], training.tokens: [4096], optimizer.learning_rate: [3e-4]}}}\n"
    )
    (run,) = load_plan(file).runs
    assert run.spec.optimizer.learning_rate == 3e-4


@pytest.mark.parametrize("content", ["", "[]", "grid: g", "grid: g\nshards: true\nsweeps: {}"])
def test_what_is_no_grid_is_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        load_plan(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)

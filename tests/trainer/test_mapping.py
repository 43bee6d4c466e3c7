import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from analysis.collect import read_runs
from curselab.errors import InputError
from sweeps.plan import load_plan
from sweeps.problem import read_problem
from trainer.mapping import Cell, network, questions, run_mapping, train, train_cell
from trainer.mapping_spec import MappingSpec

SMALL = {"student_width": [4, 6], "teacher_width": [6, 8], "seed": [0, 1], "least_samples": 2048, "samples_per_parameter": 4}


@pytest.fixture
def spec() -> MappingSpec:
    """The problem as it is in its YAML, on networks that take milliseconds."""
    return read_problem("mapping", {**SMALL, "batch": 64}, where="test")


def test_every_answer_is_the_only_one_that_the_definition_allows(spec: MappingSpec) -> None:
    """Read from the definition: all 3^8 contexts, those with two pairs, and every place that could be the answer."""
    expected = {}
    for context in itertools.product((0, 1, 2), repeat=8):
        if context.count(1) != 2 or context.count(2) != 2:
            continue
        for query in range(8):
            if context[query] == 0:
                allowed = [query]
            else:
                allowed = [place for place in range(8) if place != query and context[place] == context[query]]
            assert len(allowed) == 1
            expected[context, query] = allowed[0]
    inputs, answers = questions(spec.values)
    assert inputs.shape == (len(expected), 16) == (3360, 16)
    seen = {}
    for row, answer in zip(inputs.int().tolist(), answers.tolist(), strict=True):
        assert sum(row[8:]) == 1
        seen[tuple(row[:8]), row[8:].index(1)] = answer
    assert seen == expected
    easy = np.mean([context[query] == 0 for context, query in expected])
    assert easy == 0.5  # the mixture of an easy and a hard class that the curse needs


@pytest.mark.parametrize("width", [1, 4, 32])
def test_parameters_are_counted_as_torch_does(spec: MappingSpec, width: int) -> None:
    model = network(spec.places, width, torch.Generator().manual_seed(0))
    assert spec.parameters(width) == sum(parameter.numel() for parameter in model.parameters())
    assert model(torch.zeros(3, 16)).shape == (3, 8)


def test_networks_start_from_torch_s_own_distribution() -> None:
    """Kolmogorov-Smirnov against layers that torch has initialised itself."""
    from scipy.stats import ks_2samp

    ours = network(8, 400, torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = [nn.Linear(layer.in_features, layer.out_features) for layer in ours if isinstance(layer, nn.Linear)]
    for mine, other in zip([layer for layer in ours if isinstance(layer, nn.Linear)], theirs, strict=True):
        for name in ("weight", "bias"):
            a, b = (getattr(layer, name).detach().flatten().numpy() for layer in (mine, other))
            assert ks_2samp(a, b).pvalue > 0.001


def test_a_network_learns_what_it_is_taught(spec: MappingSpec) -> None:
    """With enough samples the answers themselves, and a student of them its teacher's soft targets."""
    inputs, answers = questions((0, 0, 1, 1))
    long = replace(spec, values=(0, 0, 1, 1), least_samples=200_000, learning_rate=3e-3, batch=128)
    logits = train(long, 32, inputs, answers, seed=0, role=0)
    assert (logits.argmax(1) == answers).all()
    soft = torch.tensor([0.5, 0.3, 0.15, 0.05]).repeat(len(inputs), 1)
    learned = train(long, 32, inputs, soft, seed=0, role=1).softmax(1)
    assert (learned - soft).abs().max() < 0.01


def test_soft_targets_give_the_gradient_of_distillation() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, teacher = torch.randn(2, 5, 8, generator=generator)
    one, two = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    nn.functional.cross_entropy(one, teacher.softmax(1)).backward()
    divergence = nn.functional.kl_div(two.log_softmax(1), teacher.log_softmax(1), log_target=True, reduction="batchmean")
    divergence.backward()
    assert torch.allclose(one.grad, two.grad, atol=1e-7)


def test_a_student_s_weights_and_samples_do_not_depend_on_its_teacher(spec: MappingSpec, monkeypatch) -> None:
    starts: dict[tuple[int, int], list[torch.Tensor]] = {}
    drawn: dict[tuple[int, int], list[torch.Tensor]] = {}
    current = []

    def noted_network(places: int, width: int, generator: torch.Generator) -> nn.Sequential:
        model = network(places, width, generator)
        current[:] = [(width, len(starts.get(width, [])))]
        starts.setdefault(width, []).append(torch.cat([p.detach().flatten().clone() for p in model.parameters()]))
        return model

    randint = torch.randint

    def noted_randint(*arguments, **keywords) -> torch.Tensor:
        drawn.setdefault(current[0], []).append(randint(*arguments, **keywords))
        return drawn[current[0]][-1]

    monkeypatch.setattr("trainer.mapping.network", noted_network)
    monkeypatch.setattr(torch, "randint", noted_randint)
    spec = replace(spec, student_width=(4,))
    losses = [train_cell(spec, Cell(width, 0))[0]["loss_nats_per_label"] for width in (6, 8)]
    assert torch.equal(*starts[4])
    assert losses[0] != losses[1]
    (one, two) = (torch.stack(drawn[4, number]) for number in (0, 1))
    assert torch.equal(one, two)
    train_cell(spec, Cell(6, 1))
    assert not torch.equal(starts[4][0], starts[4][2])
    train_cell(replace(spec, student_width=(6,)), Cell(6, 0))
    assert not torch.equal(starts[6][0], starts[6][-1])  # nor does a student start from its teacher's weights


def test_scores_are_the_expected_loss_on_every_input(spec: MappingSpec) -> None:
    (row, *_) = train_cell(spec, Cell(8, 0))
    inputs, answers = questions(spec.values)
    logits = train(spec, 8, inputs, answers, seed=0, role=0).double().numpy()
    chosen = np.take_along_axis(logits, answers.numpy()[:, None], 1)[:, 0]
    assert row["teacher_loss_nats_per_label"] == pytest.approx(np.mean(np.log(np.exp(logits).sum(1)) - chosen), rel=1e-12)
    assert 0 < row["loss_nats_per_label"] < 3


def test_the_committed_table_is_what_training_gives(root: Path) -> None:
    """One student of the full grid; the bits are those of one machine, so a little is allowed."""
    full = replace(load_plan(root / "config/full.yaml").problem("mapping"), student_width=(32,))
    (row,) = train_cell(full, Cell(16, 1))
    table = read_runs(root / "results/reference/mapping/runs.csv", "mapping")
    same = table[(table["student_width"] == 32) & (table["teacher_width"] == 16) & (table["seed"] == 1)]
    kept = same.iloc[0].to_dict()
    for name in ("teacher_loss_nats_per_label", "loss_nats_per_label"):
        assert row.pop(name) == pytest.approx(kept.pop(name), rel=1e-3)
    assert row == kept


def test_what_diverges_has_a_status_and_no_loss(spec: MappingSpec) -> None:
    rows = train_cell(replace(spec, learning_rate=1e30), Cell(6, 0))
    assert [row["status"] for row in rows] == ["no_teacher"] * 2
    assert all(row["teacher_loss_nats_per_label"] is None and row["loss_nats_per_label"] is None for row in rows)


GRID = """
grid: grid
shards: 1
sweeps: {scaling: {run: {size: [6k], training.tokens: [4096], seed: [0]}}}
problems:
  mapping: {student_width: [4, 6], teacher_width: [6, 8, 10], seed: [0, 1], least_samples: 20_000, batch: 64}
"""


def test_a_killed_problem_goes_on_and_ends_with_the_same_bytes(root: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID)
    words = ("problem", "mapping", "--config", "grid.yaml", "--workers", "2")

    def start(out: str, results: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "curselab", *words, "--out", out, "--results", results],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    whole = start("whole", "results_whole")
    assert whole.communicate()[1].count("| mapping teacher_width") == 6
    killed = start("cut", "results_cut")
    kept = tmp_path / "results_cut" / "runs" / "mapping"
    deadline = time.monotonic() + 120
    while len(list(kept.glob("[0-9a-f]*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    before = {path: path.stat().st_mtime_ns for path in kept.glob("[0-9a-f]*.json")}
    assert 2 <= len(before) < 6
    assert not (tmp_path / "cut").exists()
    again = start("cut", "results_cut")
    _, said = again.communicate()
    assert again.returncode == 0, said
    assert said.count("| mapping teacher_width") == 6 - len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name in ("runs.csv", "runs.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_cell_is_trained_anew_when_its_training_changes_not_when_the_grid_does(spec: MappingSpec, tmp_path: Path) -> None:
    lines: list[str] = []

    def trained(changed: MappingSpec) -> int:
        before = len(lines)
        rows, provenance = run_mapping(changed, runs=tmp_path, workers=1, say=lines.append)
        assert len(provenance) == len(changed.teacher_width) * len(changed.seed)
        assert len(rows) == len(provenance) * len(changed.student_width)
        return len(lines) - before

    assert trained(spec) == 4
    assert trained(spec) == 0
    assert trained(replace(spec, teacher_width=(6, 8, 10))) == 2
    assert trained(replace(spec, teacher_width=(8,), seed=(1,))) == 0
    assert trained(replace(spec, learning_rate=1e-3)) == 4
    facts = json.loads(next(tmp_path.glob("*.json")).read_text())["provenance"]
    assert {"git_revision", "code_sha256", "torch", "wall_s", "cpu_s"} <= set(facts)
    kept = {file: file.read_text() for file in tmp_path.glob("*.json")}
    for damaged in (lambda whole: whole[:100], lambda whole: whole.replace('"student_width": ', '"student_width": 1', 1)):
        for file, whole in kept.items():
            file.write_text(damaged(whole))
        with pytest.raises(InputError, match=r"\.json: damaged; delete it and start again"):
            trained(spec)

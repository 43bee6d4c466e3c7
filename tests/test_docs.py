"""The code of the manual as a reader runs it: the blocks of a page in order, in one namespace, on tables of known truth."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning  # noqa: F401  (its import draws from Python's global generator, which no test may do)
import numpy as np
import pandas as pd
import pytest
import rich.style  # noqa: F401  (the same)
import torch
from ruamel.yaml import YAML
from typer.testing import CliRunner

from analysis.collect import write_frame
from analysis.decisions.multilinguality_simulation import TRUTH as HELP_THEN_HURT
from analysis.decisions.multilinguality_simulation import Design, languages_of, simulate
from analysis.fit import fit_file
from analysis.laws.distillation_scaling import DistillationScaling
from analysis.laws.forms import BESIROGLU_2024
from curselab.cli import app
from curselab.contract import check_frame, table
from tests.analysis.depth_factories import CURED, PLAIN, depth_tables
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs
from tests.analysis.imports.logs import dipping, write_chart, write_state
from tests.analysis.laws.test_stability_gap import dip, log_of
from tests.analysis.multilinguality_factories import ARMS, multilinguality_runs
from tests.analysis.prepacking_factories import TRUTH as TIMES
from tests.analysis.prepacking_factories import times
from tests.analysis.stability_gap_factories import stability_gap_tables
from tests.pages import PAGES, ROOT, blocks
from tests.trainer.peers import llama
from tests.trainer.test_norms import model_spec, shaken
from trainer.spec import ScheduleSpec, StartSpec, TrainingSpec
from trainer.strict import from_mapping
from trainer.text_spec import TextSpec

Names = dict[str, Any]
Reader = Iterator[None]
"""Puts down the files and names that a page leaves to its reader, and afterwards looks at what the code made of them."""

LEFT_OUT = {
    ("docs/laws/stability_gap.md", "old text, all: learning rate (smooth, AICc margin 153.1, 3 seeds)"): "a pilot's log",
    ("docs/tutorials/own_table.md", "python3 -m venv .venv && . .venv/bin/activate"): "the tests run where this was done",
}
"""Blocks that are not run, by their first line, and why."""
ELSEWHERE = {"docs/tutorials/regenerate.md": "tests/workflow/test_workflow.py, on its tiny grid"}
TRUTH = {"E": 1.7, "A": 60.0, "B": 120.0, "alpha": 0.35, "beta": 0.3}
"""Of ``scaling_runs``."""


def put(sweep: str, frame: pd.DataFrame, name: str = "runs", contract: str | None = None) -> Path:
    """Write a table where the workflow would."""
    path = Path(f"results/tables/{sweep}/{name}.parquet")
    write_frame(path, contract or name, check_frame(contract or name, frame, where=path))
    return path


def near(fit: Any, truth: dict[str, float]) -> bool:
    """Whether constants lie within four standard errors of the truth."""
    return bool(((fit.params - pd.Series(truth)).abs() < 4 * fit.bse).all())


def readme(names: Names) -> Reader:
    runs = scaling_runs(noise=0.005, seeds=2)[["params_total", "tokens", "loss_nats_per_token"]]
    runs.set_axis(["N", "D", "loss"], axis=1).to_csv("my_runs.csv", index=False)
    yield
    assert near(names["fit"], TRUTH)


def scaling(names: Names) -> Reader:
    put("scaling", scaling_runs(noise=0.005, seeds=2))
    yield
    assert near(names["fit"], TRUTH)


def capacity_gap(names: Names) -> Reader:
    law, sizes, ratios = DistillationScaling(), (143e6, 546e6, 1.82e9, 7.75e9), (20, 80, 320)
    size, ratio = (axis.ravel() for axis in np.meshgrid(sizes, ratios))
    plain = {"params_non_embedding": size, "tokens": ratio * size, "loss_nats_per_token": law.own_loss(size, ratio * size)}
    swept = {"students": tuple(map(int, sizes)), "ratios": 2.0 ** np.arange(6), "noise": 0.0, "seeds": 1}
    distilled = pd.concat([capacity_gap_runs(tokens_per_param=ratio, **swept) for ratio in ratios])
    put("capacity_gap", capacity_gap_runs())
    names |= {"plain_runs": pd.DataFrame(plain), "distilled_runs": distilled.query("stage == 'student'")}
    yield
    (student,) = names["fit"].frame().to_dict("records")
    assert student["lower"] < law.best_teacher(546e6, 320 * 546e6, draws=0).teacher < student["upper"]


def learning_rate(names: Names) -> Reader:
    runs = learning_rate_runs((6_000, 14_000))
    put("learning_rate", runs)
    mine = {"params_non_embedding": "N", "learning_rate": "lr", "loss_nats_per_token": "loss"}
    names["my_runs"] = runs.rename(columns=mine)
    yield
    assert all(size.lower < 0.8 * size.chosen < size.upper for size in names["fit"].sizes)


def depth(names: Names) -> Reader:
    runs, layers = depth_tables({"pre": PLAIN, "lns": CURED}, depths=(12, 24))
    put("depth", runs)
    put("depth", layers, "layers")
    deepest = runs.query("scheme == 'pre' and depth == 24 and learning_rate == 1e-3")
    last = layers[layers["run_id"].isin(deepest["run_id"])].query("step == step.max()")
    deltas = last.query("metric == 'loss_removed_delta_nats_per_token'").pivot_table("value", "run_id", "layer")
    grown = last.query("metric == 'residual_variance'")
    names |= {"deltas": deltas, "layer": grown["layer"], "variance": grown["value"], "seed": grown["run_id"]}
    yield
    assert names["fit"].curse.call == "no curse found"


def multilinguality(names: Names) -> Reader:
    swept = {"sizes": (75_000,), "tokens": (20_000, 200_000, 2_000_000), "ratios": (10,), "languages": 4}
    put("multilinguality", multilinguality_runs({name: ARMS[name] for name in ("similar", "dissimilar")}, **swept))
    design = Design(languages=6, params=(75e3, 450e3), tokens=(20e3, 200e3, 630e3, 2e6), ratios=(10,))
    rng = np.random.default_rng(0)
    own = simulate(languages_of(HELP_THEN_HURT, design, rng), design, rng, matched=True).runs
    own = own.assign(loss=np.exp(own["log_loss"]), language="l" + own["language"])
    own.rename(columns={"params": "N", "tokens": "D"}).to_csv("runs.csv", index=False)
    yield
    measured = names["equivalent_data"](names["fit"], params=450e3, language="l01", losses=[3.40, 3.41])
    assert measured.state == "measured"
    assert [f"{value:.1e}" for value in (measured.tokens, measured.lower, measured.upper)] == ["3.2e+05", "2.9e+05", "3.5e+05"]


def prepacking(names: Names) -> Reader:
    measured = times(noise=0.01)
    unread = dict.fromkeys(set(table("prepacking").names) - set(measured), 1)
    put("prepacking", measured.assign(**unread), contract="prepacking")
    generator = torch.Generator().manual_seed(0)
    lengths = [7, 1, 30, 12, 2]
    model = shaken(model_spec("pre", depth=2, context=64)).float().eval()
    prompts = [torch.randint(61, (length,), generator=generator) for length in lengths]
    names |= {"model": model, "prompts": prompts, "lengths": lengths}
    yield
    assert names["begun"].caches[3][0].key.shape[1] == lengths[3]
    assert near(names["fit"], TIMES)


def stability_gap(names: Names) -> Reader:
    arms = {"old text": lambda t: dip(t, 0.05, 0.3), "new": lambda t: dip(t, 0.05, 0.6)}
    log_of(arms).to_csv("log.csv", index=False)
    runs, metrics = stability_gap_tables(arms=((),), seeds=2, budgets=(100_000,), questions=True)
    put("stability_gap", metrics, "metrics")
    fit_file("stability_gap", put("stability_gap", runs), Path("results/fits/stability_gap.json"))
    yield
    assert names["fit"].conditions[0].reading == "gap"
    loss = names["parts"]["loss"]
    assert (loss.argmax() + 1, round(loss.max(), 3)) == (6273, 3.406)


def training(names: Names) -> Reader:
    llama(shaken(model_spec("pre", depth=3)).float()).save_pretrained("path/to/checkpoint")
    windows = torch.randint(61, (18, 13), generator=torch.Generator().manual_seed(0))
    names["windows"] = windows
    yield
    assert {row.layer for row in names["measure_checkpoint"](names["model"], windows)} >= {1, 2, 3}


def imports(names: Names) -> Reader:
    for arm, drop in (("control", 0.1), ("new", 0.5)):
        write_state(Path(arm, "trainer_state.json"), dipping(drop))
    sizes, thousands = {"s": 2.1e6, "m": 8.4e6, "l": 33.5e6}, (4, 8, 16)
    write_chart(Path("wandb_export.csv"), {f"{s}-{k}k": (n, 1000 * k) for s, n in sizes.items() for k in thousands})
    with pytest.importorskip("torch.utils.tensorboard", reason="extra tensorboard").SummaryWriter("runs/new") as writer:
        for loss in (3.0, 2.9):  # a step that was logged twice
            writer.add_scalar("eval/loss", loss, 500)
    yield
    assert {gap.arm: gap.verdict for gap in names["fit"].gaps} == {"control": "learning rate", "new": "gap"}
    assert names["law"].params.to_dict() == pytest.approx(BESIROGLU_2024, rel=1e-6)
    assert names["metrics"]["tokens"].tolist() == [500 * 65_536]


def own_table(names: Names) -> Reader:
    yield
    truth, intervals = pd.Series(BESIROGLU_2024), names["fit"].conf_int()
    assert truth.between(intervals["lower"], intervals["upper"]).all()
    assert Path("fit.pdf").read_bytes().startswith(b"%PDF")
    assert r"\toprule" in Path("fit.tex").read_text()


READERS = {
    "README.md": readme,
    "docs/imports.md": imports,
    "docs/laws/capacity_gap.md": capacity_gap,
    "docs/laws/depth.md": depth,
    "docs/laws/learning_rate.md": learning_rate,
    "docs/laws/multilinguality.md": multilinguality,
    "docs/laws/prepacking.md": prepacking,
    "docs/laws/scaling.md": scaling,
    "docs/laws/stability_gap.md": stability_gap,
    "docs/training.md": training,
    "docs/tutorials/own_table.md": own_table,
}


@pytest.mark.parametrize("page", READERS)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: Names = {}
    with contextmanager(READERS[page])(names):
        for language, code, line in blocks(page):
            if (page, code.splitlines()[0]) in LEFT_OUT:
                continue
            if language == "python":
                exec(compile("\n" * line + code, page, "exec"), names)
            elif language == "output":
                printed = [row.rstrip() for row in capsys.readouterr().out.splitlines()]
                assert set(code.splitlines()) <= set(printed)
            elif language == "sh" and "tutorials" in page:
                for words in code.splitlines():
                    done = CliRunner().invoke(app, words.removeprefix("curselab "), catch_exceptions=False)
                    assert done.exit_code == 0, done.output


def test_no_page_with_code_is_forgotten_and_no_exception_is_stale() -> None:
    assert {page for page in PAGES for block in blocks(page) if block.language == "python"} == {*READERS, *ELSEWHERE}
    assert set(LEFT_OUT) <= {(page, block.code.splitlines()[0]) for page in READERS for block in blocks(page)}


def test_configuration_that_a_page_shows_is_read() -> None:
    specs = {"schedule": ScheduleSpec, "start": StartSpec, "text": TextSpec, "training": TrainingSpec}
    read = []
    for page in PAGES:
        for code in (block.code for block in blocks(page) if block.language == "yaml"):
            shown = YAML(typ="safe").load(code.replace("RUN_ID", "a" * 12))
            for key in shown.keys() & specs.keys():
                needed = {"tokens": 65_536} if key == "training" else {}
                read.append(from_mapping(specs[key], needed | shown[key], where=f"{page}: {key}"))
    assert {type(spec) for spec in read} == set(specs.values())


@pytest.mark.parametrize("page", PAGES)
def test_tests_and_benchmarks_that_a_page_names_are_there(page: str) -> None:
    for path in re.findall(r"(?<![\w/])(?:tests|benchmarks)/[\w*./]*\w", (ROOT / page).read_text()):
        assert list(ROOT.glob(path)), path

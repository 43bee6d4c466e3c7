"""Write ``docs/evidence.md``, what was measured of the claims that all results rest on: ``python -m benchmarks.evidence``.

``--only NAME ...`` measures these rows and keeps the others as they are. What takes hours is read from committed tables, or
pointed to in the log. Two minutes of one core.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from analysis.fitting.least_squares import multistart, standard_errors
from analysis.fitting.posynomial import solve
from benchmarks.fits import HUBER, LAW, load
from curselab.errors import InputError
from curselab.files import write_text
from tests.certified import test_nist as nist
from tests.trainer import test_checkpoint as checkpoints
from tests.trainer import test_prefill as prefill
from tests.trainer.backends import test_packed as packs
from trainer.model_spec import ModelSpec
from trainer.prefill_plan import METHODS
from trainer.spec import ComputeSpec, OptimizerSpec, RunSpec, TrainingSpec
from trainer.text import prepare_text

ROOT = Path(__file__).parents[1]
PAGE, LOG = ROOT / "docs/evidence.md", ROOT / "docs/log.md"
HEAD = """---
hide: [toc]
---

# Evidence

What was measured of the claims that all results rest on. `make evidence` measures again and writes this page,
`python -m benchmarks.evidence --only NAME` one row of it; no number was typed.

| what | found | how |
|---|---|---|
"""
Found = tuple[str, str]
"""What was found, and the day."""
NOTHING = ("not measured yet", "")


@dataclass(frozen=True)
class Claim:
    """A row of the page."""

    what: str
    how: str
    """Data, seeds and limits."""
    measure: Callable[[], str | Found]
    """What is found; with the day where that is not today."""

    def find(self) -> Found:
        """Measure."""
        found = self.measure()
        return found if isinstance(found, tuple) else (found, date.today().isoformat())


def certified() -> str:
    """Digits that agree with NIST's."""
    folder = ROOT.parent / "shared"
    if not (folder / "data/nist").is_dir():
        raise InputError("shared/data/nist is not beside this checkout: the row stays as it is")
    digits = {}
    for name, model in nist.MODELS.items():
        starts, values, errors, y, x = nist.read(folder, name)
        slopes = nist.jacobian(model, x)
        for number, start in enumerate(starts):
            best = multistart(lambda b, f=model, x=x, y=y: f(b, x) - y, slopes, [start], evaluations=20_000).theta
            found = standard_errors(slopes(best), model(best, x) - y)
            digits[name, number] = (nist.digits(best, values), nist.digits(found, errors))
    values, errors = np.array(list(digits.values())).T
    odd = np.array([name == "Lanczos1" for name, _ in digits])
    return (
        f"{len(digits)} fits: at least {values.min():.1f} digits of parameters, {errors[~odd].min():.1f} of standard errors; "
        f"{errors[odd].min():.1f} of those of Lanczos1, whose residuals are rounding"
    )


def landscape() -> str:
    """Where the starts of the published grid end."""
    x, y, source = load()
    steps = np.arange(0, 2.1, 0.5)
    starts = np.array(list(itertools.product(range(0, 30, 5), range(0, 30, 5), steps - 1, steps, steps)), dtype=float)
    ends = solve(LAW, x, y, objective=HUBER, starts=starts)
    reached = np.sort(ends.value[ends.converged])
    optima = np.split(reached, np.flatnonzero(np.diff(reached) > 1e-6 * reached[1:]) + 1)
    away = abs(solve(LAW, x, y, objective=HUBER).value[0] / reached[0] - 1)
    counts = ", ".join(f"{len(same):,} end at an optimum of {same[0]:.6g}" for same in optima)
    lost, flat = ~ends.converged, (starts[:, 3:] == 0).any(axis=1)
    return (
        f"{len(y)} {source} runs, {len(starts):,} starts: {counts}, {lost.sum():,} at none, of which "
        f"{(lost & flat).sum():,} began with an exponent of 0. Without starts the lowest is found, to {away:.0e}"
    )


def small(text: object, **fields: object) -> RunSpec:
    """A run of a second."""
    shape = ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32)
    training = TrainingSpec(tokens=checkpoints.STEPS * 8 * 32, batch_sequences=8)
    return replace(RunSpec(model=shape, training=training, optimizer=OptimizerSpec(learning_rate=1e-2), text=text), **fields)


def resumed() -> str:
    """Weights of runs that were killed, less those of runs that were not."""
    away, rng = [], np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = prepare_text(checkpoints.TEXT, folder / "text")
        for seed, backend in itertools.product(range(5), ("lockstep", "lightning")):
            spec = small(checkpoints.TEXT, compute=ComputeSpec(backend=backend), keep_weights=True, seed=seed)
            checkpoints.train(spec, folder / "whole", text, 1e9)
            for step in sorted(rng.choice(np.arange(1, checkpoints.STEPS), size=2, replace=False)):
                checkpoints.killed(spec, folder / "killed", text, int(step), str(rng.choice(["update", "checkpoint"])))
            checkpoints.train(spec, folder / "killed", text)
            one, two = (load_file(folder / kind / spec.run_id / "weights.safetensors") for kind in ("whole", "killed"))
            away.append(max(float((one[key] - two[key]).abs().max()) for key in one))
    return f"largest difference of a weight {max(away):g}, in {len(away)} runs killed twice"


def packed_models() -> str:
    """Weights of models in a pack, against each alone."""
    away, same = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = prepare_text(checkpoints.TEXT, folder / "text")
        for model in packs.MODELS:
            specs = packs.unlike(small(checkpoints.TEXT, model=model))
            for spec, member in zip(specs, packs.train("packed", specs, text, folder), strict=True):
                alone, reference = (packs.weights(packs.train(b, [spec], text, folder)[0]) for b in ("packed", "lightning"))
                same.append(torch.equal(packs.weights(member), alone))
                away.append(float((alone - reference).norm() / reference.norm()))
    return f"{sum(same)} of {len(same)} have the bits of a pack of one; that is within {max(away):.0e} of the reference's norm"


def packed_prompts() -> str:
    """Logits and caches of prompts in one batch, against each prompt alone."""
    logits, caches = [], []
    for name in prefill.MODELS:
        model, prompts = prefill.decoder(name), prefill.prompts()
        for method in METHODS:
            done = prefill.run(model, prompts, method)
            for number, prompt in enumerate(prompts):
                expected, layers, _ = prefill.alone(model, prompt)
                logits.append(float((done.logits[number] - expected).abs().max()))
                for found, wanted in zip(done.caches[number], layers, strict=True):
                    caches += [float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True)]
    return f"logits differ by at most {max(logits):.0e}, keys and values by {max(caches):.0e}"


def two_processes() -> str:
    """What the test of two processes says."""
    test = "tests/trainer/test_devices.py::test_two_devices_train_the_run_that_one_trains"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()[-1]
    return f"of their tests {said.split(' in ')[0]}"


def simulated(file: str, share: str, question: str, *, bold: int) -> Found:
    """How far shares of simulated tables lie from their level; ``bold`` is the sign of the side that promises too much."""
    path = ROOT / "results/reference" / file
    if not path.exists():
        return NOTHING
    table = pd.read_csv(path)
    level = table["nominal_percent"]
    away = bold * (table[share] - level) / np.minimum(level, 100 - level) / 0.4  # 1: 2 % beside 5 % or 95 %
    careful, less = table["upper_percent"] < level, table["lower_percent"] > level
    if bold < 0:
        careful, less = less, careful
    worst, tables = table.loc[away.idxmax()], table["replicates"]
    return (
        f"{(away.abs() <= 1).sum()} of {len(table)} near their level; beyond chance {careful.sum()} are more careful and "
        f"{less.sum()} less ({tables.min():,} to {tables.max():,} tables each). Farthest: {worst[share]:.1f} % "
        f"[{worst['lower_percent']:.1f}, {worst['upper_percent']:.1f}] for {worst['nominal_percent']:g} %, {worst['law']}, "
        f"{worst[question]}"
    ), committed(str(path))


def training_speed() -> Found:
    """Columns ``ratio`` of the log's tables, the first in CPU-seconds and the second by the clock."""
    heading, text = section("^Training speed")
    tables = [[line.split(" | ") for line in block.splitlines()] for block in text.split("\n\n") if " | ratio |" in block]
    cpu, clock = (pd.Series([float(row[3].split()[0]) for row in table[2:]]) for table in tables)
    return f"tokens a CPU-second {spread(cpu)} times the loop's, by the clock of two cores {spread(clock)}", since(heading)


def prefill_speed() -> Found:
    """Times of the full grid of prepacking, each batch by all methods."""
    file = "results/reference/prepacking/runs.csv"
    times = pd.read_csv(ROOT / file).query("method == 'token_stream'")
    gain, over = spread(times["speedup"]), spread(times["time_over_limit"])
    return f"{gain} times as fast as left padding, {over} times the [limit](laws/prepacking.md)", committed(file)


def spread(values: pd.Series) -> str:
    """Median and range."""
    return f"{values.median():.2f} ({values.min():.2f} to {values.max():.2f})"


def logged(pattern: str) -> Found:
    """Point to a section of the log."""
    heading, _ = section(pattern)
    anchor = re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())  # as Python-Markdown makes it
    return (f"[{heading}](log.md#{anchor})", since(heading)) if heading else NOTHING


def section(pattern: str) -> Found:
    """Heading and text of the newest section of the log whose heading has a pattern."""
    parts = (part.partition("\n") for part in LOG.read_text().split("\n## ")[1:])
    return next(((heading, text) for heading, _, text in parts if re.search(pattern, heading)), ("", ""))


def since(heading: str) -> str:
    """Day when a section of the log was written."""
    return committed("docs/log.md", f"-S## {heading}")


def committed(path: str, *which: str) -> str:
    """Day of the last commit of a file, or of some of its text."""
    words = ["git", "log", "-1", "--format=%cs", *which, "--", path]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout.strip() or date.today().isoformat()


CLAIMS: Mapping[str, Claim] = {
    "nist": Claim(
        "Fits agree with the 27 certified nonlinear problems of NIST StRD, from both starts",
        "log relative error, 11 at most; `tests/certified/test_nist.py` writes the models. No seed",
        certified,
    ),
    "landscape": Claim(
        "Optima of the fit of Hoffmann et al., and which of them is found",
        "their grid of starts and their objective; a gradient of 1e-8 is an optimum. One law, no seed",
        landscape,
    ),
    "coverage": Claim(
        "How often 95 % intervals hold the truth",
        "simulated runs, `benchmarks/false_positives.py`; designs, seeds and all shares: `results/reference/coverage.csv`",
        lambda: simulated("coverage.csv", "held_percent", "quantity", bold=-1),
    ),
    "false_positives": Claim(
        "How often tests at the 5 % level find what is not there",
        "the same command; near is 3 to 7 % for 5 %, 93 to 97 % for 95 %; all: `results/reference/false_positives.csv`",
        lambda: simulated("false_positives.csv", "rejected_percent", "test", bold=1),
    ),
    "resume": Claim(
        "A killed run goes on to the weights of an undisturbed one",
        "kill -9 after an update or within a checkpoint, random steps of seed 0; two backends, one thread of one machine",
        resumed,
    ),
    "packs": Claim(
        "A model in a pack is the model alone",
        "five shapes, four runs of other seeds, rates and lengths each, in float32 on a CPU; the reference is Lightning",
        packed_models,
    ),
    "prompts": Claim(
        "A packed or padded prompt has the logits and caches that it has alone",
        f"{len(METHODS)} methods, {len(prefill.MODELS)} random models, 9 prompts of 1 to 30 tokens, seed 0; float32 on a CPU",
        packed_prompts,
    ),
    "devices": Claim(
        "Two processes train the run that one trains, by DDP and by FSDP",
        "loss to a relative 1e-5, `tests/trainer/test_devices.py`; ten steps on a CPU, seed 0; not tried on GPUs",
        two_processes,
    ),
    "training_speed": Claim(
        "Speed of training beside a plain loop of PyTorch",
        "`benchmarks/training.py`, median and range of six small shapes on one machine",
        training_speed,
    ),
    "prefill_speed": Claim(
        "Speed of a prefill without padding, as one stream of tokens",
        "48 batches of `results/reference/prepacking`, median and range; widths 128 and 256, two cores",
        prefill_speed,
    ),
    "workflow": Claim(
        "10,000 runs are planned, and found complete, in under a minute",
        "`benchmarks/workflow_scale.py`; empty outputs on a local disk",
        lambda: logged("10,000 runs"),
    ),
    "slurm": Claim(
        "A grid through Slurm has the bytes that it has without",
        "`pytest -m slow tests/workflow/test_slurm.py`; one node, no GPU",
        lambda: logged("Slurm|cluster of one node"),
    ),
    "faults": Claim("Faults cost no result", "`benchmarks/faults.py`", lambda: logged(r"(?i)\bfaults?\b|\bkill(s|ed)? ")),
    "fuzzing": Claim(
        "Bad input ends in one line, not in a traceback", "`benchmarks/fuzz.py`", lambda: logged(r"(?i)\bfuzz|\bhostile")
    ),
    "mutation": Claim("Tests notice a change of the code", "`benchmarks/mutants.py`", lambda: logged(r"(?i)\bmuta")),
}


def page(found: Mapping[str, Found]) -> str:
    """The page, of what was found."""
    rows = []
    for name, claim in CLAIMS.items():
        said, day = found.get(name, NOTHING)
        rows.append(f"| {claim.what} | {said} | `{name}`{day and ' '}{day}: {claim.how} |\n")
    return HEAD + "".join(rows)


def read(text: str) -> dict[str, Found]:
    """What a page says was found."""
    rows = re.findall(r"^\| .+? \| (.+?) \| `(\w+)` ?([\d-]*): ", text, re.M)
    return {name: (said, day) for said, name, day in rows}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CLAIMS, default=list(CLAIMS), metavar="NAME", help=", ".join(CLAIMS))
    found = read(PAGE.read_text()) if PAGE.exists() else {}
    for name in parser.parse_args().only:
        try:
            found[name] = CLAIMS[name].find()
        except InputError as error:
            print(f"{name}: {error}", file=sys.stderr)
        write_text(PAGE, page(found))


if __name__ == "__main__":
    main()

"""How often printed tests find what is not there, and how often intervals hold the truth.

``python benchmarks/false_positives.py [--replicates 1000] [--test NAME ...] [--seed 0] [--out FOLDER]``. Every study of
``benchmarks/known_truths`` is repeated on tables of its own random numbers, at most as often as its cost allows. Answers are
appended to a log, table by table, so the same command goes on where it was stopped. Prints two tables in Markdown, with exact
binomial intervals (Clopper and Pearson 1934), and writes them as ``false_positives.csv`` and ``coverage.csv``.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.known_truths import STUDIES
from curselab.files import write_with

ROOT = Path(__file__).parents[1]
LOG = ROOT / "results" / "logs" / "known_truths.csv"
COLUMNS = ["study", "seed", "replicate", "question", "hits", "trials", "cpu_s"]
SHARES = {"false_positives": "rejected_percent", "coverage": "held_percent"}


def main() -> None:
    """Simulate what is missing, then print and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=1000, help="tables of each study, where its cost allows them")
    parser.add_argument("--test", nargs="+", choices=list(STUDIES), default=list(STUDIES), metavar="NAME", help="studies")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of both tables")
    parser.add_argument("--log", type=Path, default=LOG, help="answers so far; remove it to begin anew")
    options = parser.parse_args()
    for name in options.test:
        simulate(name, options.replicates, options.seed, options.log)
    for kind, table in tables(options.log, options.seed, options.test).items():
        print(table.to_markdown(index=False, floatfmt=".1f"), end="\n\n")
        if options.out is not None:
            write_with(options.out / f"{kind}.csv", lambda path, table=table: table.to_csv(path, index=False))


def simulate(name: str, replicates: int, seed: int, log: Path) -> None:
    """Append the answers of the tables that the log lacks."""
    log.parent.mkdir(parents=True, exist_ok=True)
    done = set(_read(log).query("study == @name and seed == @seed")["replicate"])
    with log.open("a", newline="") as file:
        rows = csv.writer(file)
        for i in range(min(replicates, STUDIES[name].most)):
            if i not in done:
                begin = time.process_time()
                answers = list(STUDIES[name].answer(np.random.default_rng([seed, i, *name.encode()])))
                spent = f"{time.process_time() - begin:.3f}"
                rows.writerows([name, seed, i, question, int(hits), trials, spent] for question, hits, trials in answers)
                file.flush()


def tables(log: Path, seed: int, names: list[str]) -> dict[str, pd.DataFrame]:
    """One row a question, of both kinds."""
    answers = _read(log)
    counts = answers[answers["seed"] == seed].groupby(["study", "question"]).agg(
        replicates=("replicate", "nunique"), hits=("hits", "sum"), answers=("trials", "sum")
    )  # fmt: skip
    rows: dict[str, list[dict[str, object]]] = {kind: [] for kind in SHARES}
    for name in names:
        study = STUDIES[name]
        for key, question in study.questions.items():
            if (name, key) not in counts.index or not counts.loc[(name, key), "answers"]:
                continue
            n, hits, trials = (int(x) for x in counts.loc[(name, key)])
            low, high = binomtest(hits, trials).proportion_ci(method="exact")
            rows[question.kind].append(
                {
                    "law": study.law,
                    "test" if question.kind == "false_positives" else "quantity": question.text,
                    "design": study.design,
                    "replicates": n,
                    "answers": trials,
                    "nominal_percent": question.nominal_percent,
                    SHARES[question.kind]: round(100 * hits / trials, 2),
                    "lower_percent": round(100 * low, 2),
                    "upper_percent": round(100 * high, 2),
                    "seed": seed,
                    "study": name,
                    "note": question.note,
                }
            )
    return {kind: pd.DataFrame(found) for kind, found in rows.items() if found}


def _read(log: Path) -> pd.DataFrame:
    return pd.read_csv(log, names=COLUMNS) if log.exists() else pd.DataFrame(columns=COLUMNS)


if __name__ == "__main__":
    main()

"""Known help and hurt against what the analysis finds: ``python benchmarks/multilinguality.py [--tables N] [--help]``.

Three sizes of model, five of data, added amounts of 1 to 30 times the target, from the help-then-hurt law. Noise is the
standard deviation of ln L of one run: that of 0.02 bits at 3.1 bits a byte, and of 0.118, as in a pilot of 75k parameters.
Prints two tables in Markdown: crossovers that their 95 % interval holds, and false calls where there is nothing to be found.
"""

import argparse

import numpy as np

from analysis.decisions.multilinguality_simulation import TRUTH, Design, judge_tables, nothing, recover_crossovers

NOISES = (0.0065, 0.038)
RATIO = 10.0
DESIGNS = {
    "8 languages, 3 seeds": {},
    "8 languages, transfer differs by 30 %": {"transfer_spread": 0.3},
    "5 languages, 3 seeds": {"languages": 5},
    "1 language, 5 seeds": {"languages": 1, "seeds": 5},
}


def crossover_table(tables: int) -> None:
    """Coverage of the crossover, how often its interval is closed, and how wide it then is."""
    print("| design | noise (ln L) | size | true D_c | held (%) | closed (%) | median width (factor) | bias (ln) |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name, change in DESIGNS.items():
        for noise in NOISES:
            design = Design(noise=noise, **change)
            rows = list(recover_crossovers(TRUTH, design, ratio=RATIO, tables=tables, level=0.95, seed=0))
            for column in zip(*rows, strict=True):
                closed = [r for r in column if r.closed]
                widths = [r.found.upper / r.found.lower for r in closed]
                biases = [np.log(r.found.tokens / r.truth) for r in column if r.found.tokens is not None]
                print(
                    f"| {name} | {noise} | {column[0].found.params:.3g} | {column[0].truth:.3g} |"
                    f" {100 * np.mean([r.held for r in column]):.1f} | {100 * len(closed) / len(column):.0f} |"
                    f" {np.median(widths) if widths else np.nan:.2f} | {np.median(biases) if biases else np.nan:+.3f} |",
                    flush=True,
                )


def null_table(tables: int) -> None:
    """Tables and cells with a false "help" or "hurt"; and, of the first design, with a true one."""
    print(
        "\n| design | noise (ln L) | truth | tables with a call (%) | cells called (%) | by language: tables (%) | cells (%) |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for name, change in DESIGNS.items():
        for noise in NOISES:
            for label, truth in (("nothing", nothing(TRUTH)), ("help and hurt", TRUTH)):
                design = Design(noise=noise, **change)
                if change and label != "nothing":
                    continue
                runs = judge_tables(truth, design, tables=tables, level=0.95, seed=1)
                called = [[[v.verdict in ("help", "hurt") for v in part] for part in pair] for pair in runs]
                cells = []
                for which in (0, 1):
                    some = [row[which] for row in called]
                    cells += [f"{100 * np.mean([any(r) for r in some]):.1f}", f"{100 * np.mean(np.concatenate(some)):.2f}"]
                if design.languages == 1:
                    cells[:2] = "-", "-"
                print(f"| {name} | {noise} | {label} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Known help and hurt against what the analysis finds.")
    parser.add_argument("--tables", type=int, default=400)
    options = parser.parse_args()
    crossover_table(options.tables)
    null_table(options.tables)


if __name__ == "__main__":
    main()

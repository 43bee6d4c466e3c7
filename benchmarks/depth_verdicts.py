"""What the verdicts on depth say where the truth is known: ``python benchmarks/depth_verdicts.py [--help]``.

Prints two tables in Markdown: the verdicts on the curse and on its lift by LayerNorm Scaling, and how often intervals hold the
truth.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from analysis.decisions.depth_simulation import STUDIES, Design, Truth, replicates
from analysis.fitting.seeds import Estimate
from analysis.laws.depth import DepthFit


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--depths", type=int, nargs="+", default=[6, 12, 24])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.003, 0.01], help="of the loss of a run, nats/token")
    parser.add_argument("--scatter", type=float, default=0.3, help="of the logarithm of a block's delta")
    options = parser.parse_args()
    held: list[str] = []
    print("| truth | seeds | noise | curse | lift by lns |\n|---|---|---|---|---|")
    for name, schemes in STUDIES.items():
        for seeds in options.seeds:
            for noise in options.noise:
                depths = tuple(options.depths)
                design = Design(depths=depths, seeds=seeds, noise=noise, delta_scatter=options.scatter)
                fits = list(replicates(schemes, design, tables=options.tables))
                curses = Counter(fit.curse.call for fit in fits)
                lifts = Counter(verdict.call for fit in fits for verdict in fit.lifts if verdict.scheme == "lns")
                print(f"| {name} | {seeds} | {noise:g} | {_shares(curses)} | {_shares(lifts)} |", flush=True)
                held.append(f"| {name} | {seeds} | {noise:g} | {' | '.join(_coverage(fits, schemes, depths))} |")
    print("\n| truth | seeds | noise | gain over depths | fall at the last L | last variance | median share |")
    print("|---" * 7 + "|")
    print("\n".join(held))


def _coverage(fits: Sequence[DepthFit], schemes: Mapping[str, Truth], depths: Sequence[int]) -> list[str]:
    """Share of the intervals that hold the truth, of pre, or of lns against it."""
    pre, lns, last = schemes["pre"], schemes["lns"], depths[-1]
    x = np.log(depths) - np.log(depths).mean()
    gain = float(x @ [pre.loss(depth) for depth in depths] / (x @ x))
    fall = pre.loss(last) - lns.loss(last)
    variance = float(pre.variance(np.array([float(last)]))[0])
    x = np.arange(1.0, last + 1)
    halves = [np.exp(-pre.decline * x[a:b]) for a, b in pairwise((1, last // 2, last - 1))]
    share = float(np.median(halves[1]) / (np.median(halves[0]) + np.median(halves[1])))
    schemes_of = [{scheme.scheme: scheme for scheme in fit.schemes} for fit in fits]
    falls = [next(f.estimate for f in fit.falls if (f.scheme, f.depth) == ("lns", last)) for fit in fits]
    return [
        _held([found["pre"].gain for found in schemes_of], gain),
        _held(falls, fall),
        _held([fit.arm("pre", last).v_last for fit in fits], variance),
        _held([effective.median_share for fit in fits if (effective := fit.arm("pre", last).effective)], share),
    ]


def _held(estimates: Sequence[Estimate | None], truth: float) -> str:
    known = [e for e in estimates if e is not None and e.lower is not None and e.upper is not None]
    held = sum(e.lower <= truth <= e.upper for e in known)  # type: ignore[operator]
    missing = f" ({len(estimates) - len(known)} without)" if len(known) < len(estimates) else ""
    return f"{held / len(known):.1%}{missing}" if known else "--"


def _shares(calls: Counter[str]) -> str:
    return ", ".join(f"{call} {count / calls.total():.0%}" for call, count in calls.most_common())


if __name__ == "__main__":
    main()

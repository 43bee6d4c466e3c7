"""Which family of growth is chosen for profiles of a known one: ``python benchmarks/depth.py [--help]``.

Each table has as many profiles as seeds. Parameters are drawn anew for each table, the noise of ln v is serially correlated
along the layers, and each seed has a level of its own. Prints a table in Markdown: true family by chosen family.
"""

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np

from analysis.laws.depth_families import FAMILIES, harmonic
from analysis.laws.depth_growth import Growth, grow

Truth = Callable[[np.ndarray, np.random.Generator], np.ndarray]

TRUTHS: dict[str, Truth] = {
    "constant": lambda x, rng: np.ones(len(x)),
    "log": lambda x, rng: 1 + rng.uniform(0.5, 3) * harmonic(x),
    "linear": lambda x, rng: 1 + rng.uniform(0.3, 3) * x,
    "quadratic": lambda x, rng: (1 + rng.uniform(0.2, 1) * x) ** 2,
    "power": lambda x, rng: 1 + rng.uniform(0.2, 1) * x ** rng.choice([rng.uniform(0.4, 0.7), rng.uniform(1.4, 3)]),
    "stretched exponential": lambda x, rng: np.exp(rng.uniform(3, 6) * (x / x[-1]) ** rng.uniform(0.4, 0.7)),
    "exponential": lambda x, rng: np.exp(rng.uniform(2, 5) * x / x[-1]),
    "offset exponential": lambda x, rng: 1 + rng.uniform(0.02, 0.2) * np.expm1(rng.uniform(4, 7) * x / x[-1]),
    "broken": lambda x, rng: (
        np.minimum(x, x[len(x) // 2]) ** rng.uniform(0.5, 1)
        * np.exp(rng.uniform(2, 4) * np.maximum(x / x[-1] - x[len(x) // 2] / x[-1], 0))
    ),
}
"""Profiles over x ``(n,)``, with parameters drawn from ranges in which the family means what its name says."""


def simulate(
    truth: str, *, points: int, seeds: int, noise: float, correlation: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Layers ``(points,)`` and ln v ``(seeds, points)``."""
    x = np.arange(1.0, points + 1)
    error = noise * rng.standard_normal((seeds, points))
    for i in range(1, points):
        error[:, i] = correlation * error[:, i - 1] + np.sqrt(1 - correlation**2) * error[:, i]
    return x, np.log(TRUTHS[truth](x, rng)) + error + 0.2 * rng.standard_normal((seeds, 1))


def study(truth: str, *, tables: int, **design: float) -> list[Growth]:
    """Growth of simulated tables."""
    grown = []
    for i in range(tables):
        rng = np.random.default_rng([list(TRUTHS).index(truth), i])
        x, log_v = simulate(truth, rng=rng, **design)  # type: ignore[arg-type]
        grown.append(grow(x, log_v, axis="layer", level=0.95))
    return grown


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=50)
    parser.add_argument("--points", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--correlation", type=float, default=0.5)
    options = vars(parser.parse_args())
    names = [form.name for form in FAMILIES]
    print(f"| truth | identified | right, of these | class named | right | {' | '.join(names)} |")
    print("|---" * (len(names) + 5) + "|")
    for truth in TRUTHS:
        if truth == "broken" and options["points"] < 24:
            continue
        grown = study(truth, **options)
        chosen = Counter(g.family for g in grown if g.status == "ok")
        named = [g.growth in _words(truth) for g in grown if g.growth is not None]
        cells = [str(chosen[name] or "") for name in names]
        print(
            f"| {truth} | {_share(chosen.total(), len(grown))} | {_share(chosen[truth], chosen.total())}"
            f" | {_share(len(named), len(grown))} | {_share(sum(named), len(named))} | {' | '.join(cells)} |",
            flush=True,
        )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "--"


def _words(truth: str) -> set[str]:
    words = {"constant": "none", "log": "logarithmic", "quadratic": "superlinear", "linear": "linear"}
    if truth == "power":
        return {"sublinear", "superlinear"}
    return {words.get(truth, "stretched exponential" if truth.startswith("stretched") else "exponential")}


if __name__ == "__main__":
    main()

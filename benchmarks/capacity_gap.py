"""Known best teachers against what the analysis finds: ``python benchmarks/capacity_gap.py [--tables N] [--help]``.

Two truths. The curves of Busbridge et al. (2025), four students at 320 tokens a parameter, on grids of half octaves and of
octaves from 1 to 64 times the student; and the kernel toy, where the best teachers are a plateau that begins at the student's
size. Four seeds a teacher. A bias is in ln(teacher); a coverage is the share of 95 % intervals that hold the truth, over
students that are identified (their estimator gives an interval). Prints two tables in Markdown.
"""

import argparse

import numpy as np

from analysis.decisions.capacity_gap_simulation import simulate
from analysis.laws.distillation_scaling import DistillationScaling
from analysis.laws.kernel_toy import KernelToy

STUDENTS = (198e6, 546e6, 1.82e9, 7.75e9)
TOKENS_PER_PARAM = 320.0
GRIDS = {"half octaves": 2.0 ** np.arange(0, 6.1, 0.5), "octaves": 2.0 ** np.arange(0, 6.1)}
NOISES = (0.002, 0.005, 0.01)
TOY_STUDENTS = (50, 80, 100, 200, 400)
TOY_NOISES = (0.003, 0.01, 0.03)
ESTIMATORS = ("local_cubic", "local_quadratic", "grid_argmin", "two_exponential", "teacher_loss", "global quadratic")


def global_quadratic(teachers: np.ndarray, means: np.ndarray) -> float:
    """Vertex of a parabola through all means, ln(parameters)."""
    curve = np.polynomial.Polynomial.fit(np.log(teachers), means, 2)
    return float(curve.deriv().roots()[0])


def shape_table(tables: int, resamples: int) -> None:
    """Bias, spread and coverage of every estimator on the published curves."""
    law = DistillationScaling()
    options = {
        "seeds": 4,
        "level": 0.95,
        "compare": True,
        "teacher_loss": lambda teachers: law.own_loss(teachers, 20 * teachers),
    }
    print("| grid | noise | identified (%) | " + " | ".join(ESTIMATORS) + " |\n|" + "---|" * (3 + len(ESTIMATORS)))
    for grid, ratios in GRIDS.items():
        for noise in NOISES:
            rows: dict[str, list[np.ndarray]] = {name: [] for name in ESTIMATORS}
            for size in STUDENTS:
                tokens = TOKENS_PER_PARAM * size
                truth = np.log(law.best_teacher(size, tokens, draws=0).teacher)
                design = [(size, tokens, ratios * size)]
                run = simulate(law.student_loss, design, noise=noise, tables=tables, resamples=resamples, seed=0, **options)
                found = {name: [] for name in ESTIMATORS}
                for (student,), _ in run:
                    if student.status != "ok":
                        continue
                    for e in student.estimates:
                        if e.optimum is not None:
                            found[e.name].append(np.log([e.optimum, e.lower, e.upper]) - truth)
                    vertex = global_quadratic(np.array(student.teachers), np.array(student.means)) - truth
                    found["global quadratic"].append(np.array([vertex, np.nan, np.nan]))
                for name, answers in found.items():
                    rows[name].append(np.array(answers).reshape(-1, 3))
            cells = [_cell(students) for students in rows.values()]
            share = 100 * sum(map(len, rows["global quadratic"])) / (tables * len(STUDENTS))
            print(f"| {grid} | {noise} | {share:.0f} | " + " | ".join(cells) + " |", flush=True)


def _cell(students: list[np.ndarray]) -> str:
    """Mean bias over students, pooled spread, the worst student's bias, and coverage where there are intervals."""
    biases = [answers[:, 0].mean() for answers in students if len(answers)]
    spread = np.sqrt(np.mean([answers[:, 0].var() for answers in students if len(answers)]))
    every = np.concatenate(students)
    held = np.mean((every[:, 1] <= 0) & (every[:, 2] >= 0))
    coverage = "" if np.isnan(every[:, 1]).all() else f", {100 * held:.1f} %"
    return f"{np.mean(biases):+.3f} ± {spread:.3f} ({max(biases, key=abs):+.3f}){coverage}"


def toy_table(tables: int, resamples: int) -> None:
    """The five students of the kernel toy and the law over them."""
    toy = KernelToy.uniform(0)
    plateaus = [toy.best_teachers(n) for n in TOY_STUDENTS]
    design = []
    for n in TOY_STUDENTS:
        sizes = np.round(n * 2.0 ** np.arange(-2, 2.1, 0.5))
        design.append((float(n), 1.0, sizes[sizes <= len(toy.coefficients)]))
    print("\n| noise | " + " | ".join(f"n = {n}, coverage (%)" for n in TOY_STUDENTS) + " | k | b | b = 1 inside (%) |")
    print("|" + "---|" * (len(TOY_STUDENTS) + 4))
    for noise in TOY_NOISES:
        held: list[list[bool]] = [[] for _ in TOY_STUDENTS]
        laws = []
        run = simulate(
            lambda n, tokens, m: toy.error(m, int(n)),
            design,
            noise=noise,
            seeds=4,
            tables=tables,
            resamples=resamples,
            level=0.95,
            seed=0,
        )
        for students, across in run:
            for answers, student, (first, last) in zip(held, students, plateaus, strict=True):
                if student.optimum is not None:
                    answers.append(student.lower <= last and first <= student.upper)
            if across.b is not None:
                laws.append((across.k, across.b, across.b_lower <= 1 <= across.b_upper))
        cells = [f"{100 * np.mean(answers):.0f} of {len(answers)}" if answers else "-" for answers in held]
        k, b, one = np.array(laws, dtype=float).reshape(-1, 3).T
        ends = [f"{np.median(v):.3f} ({np.quantile(v, 0.025):.3f} to {np.quantile(v, 0.975):.3f})" for v in (k, b)]
        print(
            f"| {noise} | " + " | ".join(cells) + f" | {ends[0]} | {ends[1]} | {100 * one.mean():.0f} of {len(laws)} |",
            flush=True,
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Known best teachers against what the analysis finds.")
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    shape_table(options.tables, options.resamples)
    toy_table(options.tables, options.resamples)


if __name__ == "__main__":
    main()

"""Students whom no teacher curses, students that follow the law, and a control in which nothing matters."""

from functools import cache

import numpy as np
import pandas as pd

from analysis.decisions.capacity_gap_simulation import LossLaw, simulate
from analysis.laws.capacity_gap_crossed import crossed_controls
from analysis.laws.capacity_gap_law import AcrossStudents
from analysis.laws.capacity_gap_student import StudentGap
from analysis.laws.distillation_scaling import DistillationScaling
from benchmarks.known_truths.study import LEVEL, TWO_SIDED, Answers, Question, Study, Vector, draw_seed, held, holds

LAW = "capacity_gap"
STUDENTS = (5_968.0, 13_944.0, 25_248.0, 55_536.0)
TEACHERS = np.array([5_968.0, 13_944, 25_248, 55_536, 100_672, 201_280, 443_232, 791_680, 1_771_200])
NOISE = 0.009  # nats/token, of a run of the full grid
RATIO = 4.0  # best teacher over student
PUBLISHED, MODEL = DistillationScaling(), (546e6, 320 * 546e6)  # whose curve all lawful students have, shifted
LAWFUL = (50e6, 100e6, 200e6, 400e6, 800e6)
STEEPNESS = 1.5
SCATTER = 0.4  # of ln N_T about the law
RISE = Question("curse: the loss rises with the teacher (any of 4 students, Holm)", TWO_SIDED)


def _gaps(
    loss: LossLaw, students: tuple[float, ...], teachers: list[Vector], rng: np.random.Generator, *, noise: float, seeds: int
) -> tuple[list[StudentGap], AcrossStudents]:
    design = [(student, 1.0, sizes) for student, sizes in zip(students, teachers, strict=True)]
    options = {"noise": noise, "seeds": seeds, "tables": 1, "resamples": 2000, "level": LEVEL, "seed": draw_seed(rng)}
    return next(simulate(loss, design, **options))


def _full_grid(loss: LossLaw, rng: np.random.Generator) -> list[StudentGap]:
    return _gaps(loss, STUDENTS, [TEACHERS] * len(STUDENTS), rng, noise=NOISE, seeds=3)[0]


def flat(rng: np.random.Generator) -> Answers:
    """Least favourable of all losses that never rise: where the level of the test is exact."""
    students = _full_grid(lambda s, d, m: np.full(len(m), 2.0), rng)
    yield "rise", any(s.p_no_rise <= 1 - LEVEL for s in students), 1
    yield "fall", any(s.p_no_fall <= 1 - LEVEL for s in students), 1
    yield "optimum", any(s.status == "ok" for s in students), 1


def plateau(rng: np.random.Generator) -> Answers:
    """No curse, as it was found."""
    students = _full_grid(lambda s, d, m: 2 + 0.1 * np.maximum(np.log(TEACHERS[4] / m), 0), rng)
    yield "rise", any(s.p_no_rise <= 1 - LEVEL for s in students), 1


def lawful(rng: np.random.Generator, scatter: float = 0.0, steepness: float = 1.0) -> Answers:
    """Best teachers on a line of slope 1, or scattered about it, on a curve that is as steep or so many times steeper."""
    shift = dict(zip(LAWFUL, scatter * rng.standard_normal(len(LAWFUL)), strict=True))

    def loss(student: float, tokens: float, teachers: Vector) -> Vector:
        relative = (teachers / (RATIO * student * np.exp(shift[student]))) ** steepness
        return np.asarray(PUBLISHED.student_loss(*MODEL, relative * _best()))

    teachers = [student * 2.0 ** np.arange(-1, 6.1, 0.5) for student in LAWFUL]
    students, across = _gaps(loss, LAWFUL, teachers, rng, noise=0.005, seeds=4)
    found = [s for s in students if s.optimum is not None]
    best = [held(np.log(RATIO * s.student) + shift[s.student], np.log(s.lower), np.log(s.upper)) for s in found]
    yield "optimum", sum(best), len(best)
    if across.b is not None:
        yield "b", across.verdict == "rejected", 1
        yield "b_held", held(1.0, across.b_lower, across.b_upper), 1
        yield "k_held", held(RATIO, across.k_lower, across.k_upper), 1


@cache
def _best() -> float:
    return PUBLISHED.best_teacher(*MODEL, draws=0).teacher


def scattered(rng: np.random.Generator) -> Answers:
    """Students that follow the law on average."""
    yield from (answer for answer in lawful(rng, SCATTER) if answer[0] != "optimum")


def steep(rng: np.random.Generator) -> Answers:
    """A curve on which the noise tells a wide window from a narrow one now and then."""
    yield from lawful(rng, steepness=STEEPNESS)


def crossed(rng: np.random.Generator) -> Answers:
    """Students that are cut out of one teacher and learn from another."""
    sizes = (55_536.0, 201_280.0, 791_680.0)
    rows = [(25e3, teacher, seed, base, "ok") for teacher in sizes for base in sizes for seed in range(3)]
    runs = pd.DataFrame(rows, columns=["student", "teacher", "seed", "base_params_non_embedding", "status"])
    runs["loss"] = 1.8 + 0.02 * rng.standard_normal(3)[runs["seed"]] + NOISE * rng.standard_normal(len(runs))
    names = {name: name for name in ("student", "teacher", "loss", "seed")}
    (found,) = crossed_controls(runs, names, LEVEL)
    yield "any", min(found.p_base, found.p_teacher, found.p_interaction) <= 1 - LEVEL, 1
    yield "effect", held(0.0, found.bases[0].lower, found.bases[0].upper), 1


_FLOOR = "conservative: students may scatter about the law, so Student's t, and the errors of their optima are a lower bound"
STUDIES = {
    "capacity_gap_flat": Study(
        LAW,
        "4 students, 9 teachers, 3 seeds; every teacher makes the same student",
        flat,
        {
            "rise": RISE,
            "fall": Question("the loss falls with the teacher (any of 4 students, Holm)", TWO_SIDED),
            "optimum": Question(
                "a best teacher is identified (any of 4 students)",
                TWO_SIDED,
                "conservative: needs a rise, a fall, and an interval inside the grid",
            ),
        },
    ),
    "capacity_gap_plateau": Study(
        LAW,
        "the same; the loss falls to the fifth teacher and stays, as in the full grid",
        plateau,
        {
            "rise": Question(
                RISE.text, TWO_SIDED, "conservative: the level is that of equal means, the worst of all losses that never rise"
            )
        },
    ),
    "capacity_gap_law": Study(
        LAW,
        "5 students over a factor of 16, half octaves, 4 seeds; the published curve of 546M, best teachers at N_T = 4 N_S",
        lawful,
        {
            "optimum": holds(
                "best teacher of a student",
                "conservative: a resample's own noise rejects wide windows more often; of the students that are identified",
            ),
            "b": Question("b = 1 is rejected", TWO_SIDED, f"{_FLOOR}; theory: 0.1 %"),
            "b_held": holds("b", _FLOOR),
            "k_held": holds("k", _FLOOR),
        },
    ),
    "capacity_gap_law_scattered": Study(
        LAW,
        f"the same; students scatter about that law by {SCATTER} in ln N_T, several times the error of an optimum",
        scattered,
        {"b": Question("b = 1 is rejected", TWO_SIDED), "b_held": holds("b"), "k_held": holds("k")},
    ),
    "capacity_gap_law_steep": Study(
        LAW,
        f"the same without scatter; the curve is {STEEPNESS} times as steep in ln N_T",
        steep,
        {"optimum": holds("best teacher of a student", "of the students that are identified")},
    ),
    "capacity_gap_crossed": Study(
        LAW,
        "3 bases, 3 teachers, 3 seeds; neither matters",
        crossed,
        {
            "any": Question("crossed control: base, teacher or both matter (any of 3 F tests, Holm)", TWO_SIDED),
            "effect": holds("effect of one base on the loss"),
        },
    ),
}

r"""Tables of a known truth run through the whole capacity-gap analysis, and the seeds that a difference needs.

Seeds for a difference :math:`\Delta` between two teachers at a noise :math:`\sigma` of one run, beside the effect that a seed
has on all teachers alike (one-sided test, pooled noise with :math:`\nu = (r-1)(n_T-1)` degrees of freedom):

.. math:: r \ge 2 \left(\frac{(t_{1-\alpha,\nu} + t_{power,\nu})\, \sigma}{\Delta}\right)^2
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.capacity_gap_law import AcrossStudents, across_students
from analysis.laws.capacity_gap_student import Cells, StudentGap, detectable, draft, judge
from curselab.errors import InputError

Vector = NDArray[np.float64]
LossLaw = Callable[[float, float, Vector], ArrayLike]
"""Student's parameters, its tokens, teachers' parameters ``(n,)``: losses, nats/token, ``(n,)``."""
_MOST_SEEDS = 10_000


def simulate(
    loss: LossLaw,
    design: Sequence[tuple[float, float, Vector]],
    *,
    noise: float,
    seeds: int,
    tables: int,
    resamples: int,
    level: float,
    seed: int,
    compare: bool = False,
    teacher_loss: Callable[[Vector], ArrayLike] | None = None,
) -> Iterator[tuple[list[StudentGap], AcrossStudents]]:
    """Analyse tables of a known truth.

    Parameters
    ----------
    loss : callable
        Truth: student, tokens, teachers ``(n,)`` give losses ``(n,)``, nats/token.
    design : sequence of tuple
        Student, its tokens, its teachers ``(n_teachers,)``.
    noise : float
        Standard deviation of one run, nats/token.
    seeds, tables, resamples : int
        Students a teacher, tables, and resamples of each.
    level : float
        Of intervals and tests.
    seed : int
        Of the simulation.
    compare : bool
        Keep the other estimators too.
    teacher_loss : callable, optional
        Losses of teachers ``(n,)``, nats/token; when left out, any that fall with size.

    Yields
    ------
    tuple of list of StudentGap and AcrossStudents
        A table's students, in the order of the design, and the law over them.
    """
    rng = np.random.default_rng(seed)
    truth = [np.asarray(loss(*cell), dtype=float) for cell in design]
    for _ in range(tables):
        drafts = []
        for (student, _tokens, teachers), means in zip(design, truth, strict=True):
            losses = means + noise * rng.standard_normal((seeds, len(means)))
            signal = 1 / teachers if teacher_loss is None else np.asarray(teacher_loss(teachers), dtype=float)
            cells = Cells(student, teachers, losses, signal, losses.size, 0, None)
            drafts.append(draft(cells, resamples=resamples, rng=rng, level=level, compare=compare))
        students = judge(drafts, level=level)
        yield students, across_students(students, level)


def seeds_needed(noise: float, effect: float, teachers: int, *, level: float = 0.95, power: float = 0.8) -> int | None:
    """Fewest seeds, two or more, whose detectable difference is at most ``effect``; None beyond 10,000.

    Parameters
    ----------
    noise, effect : float
        Standard deviation of one run beside its seed's effect, and difference of two teachers, in one unit.
    teachers : int
        Whose runs the noise is pooled over.
    level, power : float
        One-sided.
    """
    check_positive(noise=noise, effect=effect)
    for seeds in range(2, _MOST_SEEDS):
        if detectable(noise, seeds, (seeds - 1) * (teachers - 1), level=level, power=power) <= effect:
            return seeds
    return None


def check_positive(**values: float) -> None:
    """Refuse what is not a positive finite number, by its name."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name}: {value!r} was given, a positive finite number is needed")

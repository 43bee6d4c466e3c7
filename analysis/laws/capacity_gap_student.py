"""One student size of the capacity-gap law: its best teacher, and whether the runs identify it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from analysis.fitting.minimum import Minima, window
from analysis.fitting.monotone import holm, monotone_test
from analysis.fitting.paired import PairedMeans, paired_means
from analysis.fitting.result import Note, Status
from analysis.laws.capacity_gap_optimum import MIN_INTERIOR, Estimate, Located, cubic_curve, estimates, locate

Vector = NDArray[np.float64]
_MIN_TEACHERS = 3


@dataclass(frozen=True, slots=True)
class Cells:
    """Runs of one student: losses by seed and teacher."""

    student: float
    """Parameters."""
    teachers: Vector
    """Parameters, rising, ``(n_teachers,)``."""
    losses: Vector
    """nats/token, ``(n_seeds, n_teachers)``; NaN where a run diverged or is absent."""
    teacher_loss: Vector
    """nats/token, ``(n_teachers,)``."""
    n_runs: int
    n_diverged: int
    plain_loss: float | None
    """Mean loss of the same student trained without a teacher, nats/token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentGap:
    """What the runs of one student say. Sizes are in parameters, losses in nats/token; None is no answer."""

    student: float
    teachers: tuple[float, ...]
    means: tuple[float, ...]
    """Loss at the average seed, a teacher."""
    se: tuple[float | None, ...]
    """Standard error of each mean from the noise that is left after the seeds' own effects."""
    teacher_loss: tuple[float, ...]
    plain_loss: float | None
    n_runs: int
    n_seeds: int
    n_diverged: int
    sigma: float | None
    """Standard deviation of one run beside its seed's own effect, nats/token."""
    detectable: float | None
    """Difference of two teachers' means that a one-sided test of this noise and these seeds finds in 80 % of cases."""
    lowest: float
    """The teacher with the lowest mean."""
    curve: tuple[float, ...]
    """``c0 .. c3`` of the local cubic in ln(teacher / lowest); empty where no cubic fits within the noise."""
    window: tuple[float, ...]
    """Smallest and largest teacher of the cubic; of the bracket where there is none."""
    rise: float
    """From the lowest mean to the largest teacher's mean."""
    p_no_rise: float | None
    """Of the test that the loss never rises with the teacher, Holm-adjusted over students."""
    p_no_fall: float | None
    """Of the test that the loss never falls with the teacher, Holm-adjusted over students."""
    share_interior: float | None
    """Resamples whose optimum lies inside the grid."""
    status: Status
    reasons: tuple[Note, ...]
    optimum: float | None
    """Best teacher; None unless identified."""
    lower: float | None
    upper: float | None
    """Percentile interval of the optimum, or the bracket around it."""
    se_log: float | None
    """Standard error of ln(optimum)."""
    estimates: tuple[Estimate, ...]
    """What each estimator says, whatever the status; the first is the fit's own. Empty where they were not compared."""
    above: float | None
    below: float | None
    """One-sided bounds, where only one side is known."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One student before its p-values are adjusted for the number of students."""

    cells: Cells
    paired: PairedMeans
    found: Located
    estimates: tuple[Estimate, ...]
    p_rise: float | None
    """None without a repeated seed."""
    p_fall: float | None


def draft(cells: Cells, *, resamples: int, rng: np.random.Generator, level: float, compare: bool = True) -> Draft:
    """Estimate the best teacher of one student, resample it and test both directions.

    Parameters
    ----------
    cells : Cells
        Runs of the student.
    resamples : int
        Of the interval and of the tests; 0 gives neither.
    rng : numpy.random.Generator
        Source of all randomness.
    level : float
        Of the interval.
    compare : bool
        Put the other estimators beside the fit's own.

    Notes
    -----
    A resample adds noise to the means from a multivariate t: normal noise of the pooled standard deviation, times one draw of
    its own uncertainty for all teachers. With few seeds, resampling the seeds themselves would give intervals that are too
    short. Seeds are shared by the teachers, so a seed's own effect is the same for all and moves no minimum.
    """
    x, paired = np.log(cells.teachers), paired_means(cells.losses)
    noisy = p_rise = p_fall = None
    if paired.sigma is not None and resamples:
        spread = paired.sigma * np.sqrt(paired.dof / rng.chisquare(paired.dof, resamples))
        noise = rng.standard_normal((resamples, len(x))) / np.sqrt(paired.counts)
        noisy = paired.means + spread[:, None] * noise
        p_rise, p_fall = (
            monotone_test(paired.means, paired.counts, paired.sigma, paired.dof, increasing=up, resamples=resamples, rng=rng)
            for up in (False, True)
        )
    found = locate(x, paired, noisy, level=level)
    others = estimates(x, paired, noisy, cells.teacher_loss, found, level=level) if compare else ()
    return Draft(cells, paired, found, others, p_rise, p_fall)


def judge(drafts: list[Draft], *, level: float) -> list[StudentGap]:
    """Decide for each student whether its best teacher is identified; Holm's correction is over all of them."""
    tested = [d for d in drafts if d.p_rise is not None and d.p_fall is not None]
    rises = dict(zip(map(id, tested), holm([d.p_rise or 0.0 for d in tested]), strict=True))
    falls = dict(zip(map(id, tested), holm([d.p_fall or 0.0 for d in tested]), strict=True))
    return [_judge(d, rises.get(id(d)), falls.get(id(d)), level) for d in drafts]


def _judge(d: Draft, p_rise: float | None, p_fall: float | None, level: float) -> StudentGap:
    x, found = np.log(d.cells.teachers), d.found
    bare = _bare(d, p_rise, p_fall, level)
    reasons = _reasons(bare, level)
    if found.draws is None:
        return replace(bare, reasons=reasons)
    if not found.inside:
        reasons += (Note("interval_leaves_grid", "the interval of the best teacher reaches the end of the grid"),)
    if reasons:
        return replace(_bounded(bare, found.draws, x, level), reasons=reasons)
    # a bracket is no sample: its standard error is that of a normal interval as wide
    wide = (found.upper - found.lower) / (2 * norm.ppf((1 + level) / 2))
    return replace(
        bare,
        status="ok",
        optimum=float(np.exp(found.position)),
        lower=float(np.exp(found.lower)),
        upper=float(np.exp(found.upper)),
        se_log=float(wide if found.half_width is None else np.std(found.draws.position, ddof=1)),
    )


def _bare(d: Draft, p_rise: float | None, p_fall: float | None, level: float) -> StudentGap:
    """Everything that is said whether or not the best teacher is identified."""
    x, means, found = np.log(d.cells.teachers), d.paired.means, d.found
    lowest = int(means.argmin())
    if found.half_width is None:
        ends, curve = (max(lowest - 1, 0), min(lowest + 1, len(x) - 1)), ()
    else:
        ends = tuple(window(x, lowest, half_width=found.half_width)[[0, -1]])
        curve = tuple(cubic_curve(x, means, found.half_width, d.paired.counts).tolist())
    return StudentGap(
        student=d.cells.student,
        teachers=tuple(d.cells.teachers.tolist()),
        means=tuple(means.tolist()),
        se=tuple(None if d.paired.sigma is None else float(d.paired.sigma / np.sqrt(n)) for n in d.paired.counts),
        teacher_loss=tuple(d.cells.teacher_loss.tolist()),
        plain_loss=d.cells.plain_loss,
        n_runs=d.cells.n_runs,
        n_seeds=len(d.cells.losses),
        n_diverged=d.cells.n_diverged,
        sigma=d.paired.sigma,
        detectable=None
        if d.paired.sigma is None
        else detectable(d.paired.sigma, float(np.median(d.paired.counts)), d.paired.dof, level=level),
        lowest=float(d.cells.teachers[lowest]),
        curve=curve,
        window=tuple(float(d.cells.teachers[i]) for i in ends),
        rise=float(means[-1] - means[lowest]),
        p_no_rise=None if p_rise is None else float(p_rise),
        p_no_fall=None if p_fall is None else float(p_fall),
        share_interior=None if found.draws is None else float(found.draws.interior.mean()),
        status="not_identified",
        reasons=(),
        optimum=None,
        lower=None,
        upper=None,
        se_log=None,
        estimates=d.estimates,
        above=None,
        below=None,
    )


def detectable(sigma: float, seeds: float, dof: int, *, level: float, power: float = 0.8) -> float:
    """Difference of two teachers' means that a one-sided test finds with a power, in the unit of the noise.

    Parameters
    ----------
    sigma : float
        Standard deviation of one run beside its seed's effect, known with ``dof`` degrees of freedom.
    seeds : float
        Runs behind each mean.
    dof : int
        Degrees of freedom of the noise.
    level, power : float
        One less the chance of a false find; chance of a true one.
    """
    quantiles = float(student_t.ppf(level, dof) + student_t.ppf(power, dof))
    return quantiles * sigma * float(np.sqrt(2 / seeds))


def _reasons(s: StudentGap, level: float) -> tuple[Note, ...]:
    """Every criterion that one student fails."""
    alpha, last = 1 - level, s.teachers[-1]
    checks = (
        (len(s.teachers) < _MIN_TEACHERS, "few_teachers", f"{len(s.teachers)} teachers, {_MIN_TEACHERS} are needed"),
        (s.sigma is None, "one_seed", "no seed is repeated over teachers, so noise is unknown: 2 seeds are needed"),
        (s.lowest == s.teachers[0], "lowest_at_smallest_teacher", f"the loss is lowest at the smallest teacher, {s.lowest:g}"),
        (s.lowest == last, "lowest_at_largest_teacher", f"the loss is lowest at the largest teacher, {s.lowest:g}"),
        (
            _above(s.p_no_rise, alpha),
            "rise_not_significant",
            f"no rise with the teacher is shown (p = {s.p_no_rise or 0:.2g})",
        ),
        (
            _above(s.p_no_fall, alpha),
            "fall_not_significant",
            f"no fall with the teacher is shown (p = {s.p_no_fall or 0:.2g})",
        ),
        (
            not bool(np.all(np.diff(s.teacher_loss) < 0)),
            "teacher_loss_not_falling",
            "a larger teacher is not a better one somewhere, so size is not what varies",
        ),
        (
            s.share_interior is not None and s.share_interior < MIN_INTERIOR,
            "optimum_not_interior",
            f"{s.share_interior or 0:.0%} of resamples have an optimum inside the grid, {MIN_INTERIOR:.0%} are needed",
        ),
    )
    return tuple(Note(code, message) for failed, code, message in checks if failed)


def _above(p: float | None, alpha: float) -> bool:
    return p is not None and p > alpha


def _bounded(s: StudentGap, draws: Minima, x: Vector, level: float) -> StudentGap:
    """Give a one-sided bound where only the fall or only the rise is shown."""
    alpha = 1 - level
    falls, rises = not _above(s.p_no_fall, alpha), not _above(s.p_no_rise, alpha)
    above, below = (float(q) for q in np.quantile(draws.position, [alpha, 1 - alpha]))
    if falls and not rises and above > x[0]:
        return replace(s, above=float(np.exp(above)))
    if rises and not falls and below < x[-1]:
        return replace(s, below=float(np.exp(below)))
    return s

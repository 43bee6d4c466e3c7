r"""Which teacher for a student: what each law advises, what is at stake, and which costs are counted.

FLOP of a distilled student, with :math:`F(N) = 2 N` a forward pass per token (attention left out):

.. math:: 3 F(N_S) D_S + F(N_T) \left(\delta_{lgt} D_S + 3\, \delta_{pre} D_T\right)

====================  ========================================================  ====================  ===================
scenario              teacher exists already, and                               :math:`\delta_{lgt}`  :math:`\delta_{pre}`
====================  ========================================================  ====================  ===================
``student``           its outputs are stored                                    0                     0
``inference``         runs beside the student                                   1                     0
``training``          no: it is trained for this, its outputs then cost little  0                     1
``both``              no: it is trained for this, and runs beside the student   1                     1
====================  ========================================================  ====================  ===================

Source: Busbridge et al. (2025), Distillation Scaling Laws, arXiv:2502.08606, section 4.4; the paper's :math:`F` has two
further constants, of the order of :math:`N^{-1/3}`, that are left out here. The best teacher has no meaning without its costs:
at a fixed number of student tokens they change nothing, at a fixed total of FLOP a large teacher leaves its student few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import positive, require_columns
from analysis.decisions.teacher_advice import SCENARIOS, Advice, Budget, Option, TeacherAdvice
from analysis.fitting.result import Note
from analysis.laws.capacity_gap_published import BestTeacher, Trust, ZhangCapacityGap
from analysis.laws.distillation_scaling import DistillationScaling, loss_of_constants
from curselab.errors import InputError

Vector = NDArray[np.float64]

STAKES = (1.0, 2.5, 10.0)
"""Ratios of teacher to student whose loss is always shown."""
_FREE = np.exp(np.arange(np.log(0.25), np.log(4096.0), 0.005))  # ratios that are searched without a catalogue
_DRAWS = 400  # of the law's constants, for intervals
_FORWARD = 2.0  # FLOP a parameter and token: a multiplication and an addition


class TeacherLaw(Protocol):
    """What can be asked for a best teacher: a published law, or a ``CapacityGapFit``."""

    @property
    def name(self) -> str:
        """Label."""
        ...

    @property
    def trust(self) -> Trust:
        """Where its numbers come from."""
        ...

    def best_teacher(self, student: float, tokens: float, *, teacher_tokens_per_param: float = 20.0) -> BestTeacher:
        """Best teacher of a student of so many parameters and tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Teachers:
    """Teachers to be had, ``(n,)`` each."""

    names: tuple[str, ...]
    params: Vector
    tokens: Vector
    loss: Vector
    """nats/token."""
    known: bool = False
    """Losses were given; else the judging law predicts them."""


def optimal_teacher(
    student_params: float,
    student_tokens: float,
    *,
    catalogue: pd.DataFrame | None = None,
    laws: Sequence[TeacherLaw] = (),
    judge: DistillationScaling | None = None,
    teacher_tokens_per_param: float = 20.0,
    band: float = 0.005,
    compute: float | None = None,
) -> TeacherAdvice:
    """Ask every law for a student's teacher.

    Parameters
    ----------
    student_params, student_tokens : float
        Parameters without embedding, tokens.
    catalogue : pandas.DataFrame, optional
        Teachers to be had, one a row: ``params``, perhaps ``name``, and ``loss`` (nats/token, on the student's text and with
        its tokenizer) or ``tokens`` (that it was trained on). Left out, any size may be had.
    laws : sequence, optional
        Laws to ask; the published ones when left out. A ``CapacityGapFit`` is one too.
    judge : DistillationScaling, optional
        Law that predicts losses; the published one when left out.
    teacher_tokens_per_param : float
        Of teachers whose tokens and loss are unknown.
    band : float
        Excess loss that is still as good as none, nats/token.
    compute : float, optional
        Total for ``budgets``, FLOP; the training of the student alone when left out.

    Returns
    -------
    TeacherAdvice
        With a note wherever a law is asked beyond its range.

    Raises
    ------
    InputError
        A number that is not positive and finite, or a catalogue without sizes.
    """
    given = {"student_params": student_params, "student_tokens": student_tokens, "band": band}
    given |= {"teacher_tokens_per_param": teacher_tokens_per_param} | ({} if compute is None else {"compute": compute})
    for name, value in given.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name}: {value!r} was given, a positive finite number is needed")
    law = DistillationScaling() if judge is None else judge
    S, D = float(student_params), float(student_tokens)
    free = any_size(law, S * _FREE, teacher_tokens_per_param)
    offered = free if catalogue is None else read_catalogue(law, catalogue, teacher_tokens_per_param)
    curve, losses = law.loss(S, D, free.loss), law.loss(S, D, offered.loss)
    within = free.params[curve <= curve.min() + band]
    ratios = np.array([*STAKES, free.params[curve.argmin()] / S])
    at_stake = any_size(law, S * ratios, teacher_tokens_per_param, names=(*(f"{r:g}x" for r in STAKES), "best"))
    choices = None if catalogue is None else (offered, losses)
    total = 3 * _FORWARD * S * D if compute is None else float(compute)
    return TeacherAdvice(
        student_params=S,
        student_tokens=D,
        judge=law.name,
        own_loss=float(law.own_loss(S, D)),
        advice=tuple(
            _ask(one, law, (S, D), choices, float(losses.min()), teacher_tokens_per_param)
            for one in laws or (ZhangCapacityGap(), law)
        ),
        band=band,
        band_lower=float(within[0]),
        band_upper=float(within[-1]),
        stakes=_options(law, at_stake, free, (S, D)),
        catalogue=() if catalogue is None else tuple(sorted(_options(law, offered, offered, (S, D)), key=_loss)),
        compute=total,
        budgets=tuple(_budget(scenario, law, S, offered, total) for scenario in SCENARIOS),
        warnings=_doubts(law, (S, D), offered, catalogue),
    )


def any_size(
    law: DistillationScaling, params: Vector, tokens_per_param: float, *, names: Sequence[str] | None = None
) -> Teachers:
    """Teachers of given sizes, trained on so many tokens a parameter, with their predicted losses."""
    labels = tuple(f"{size:.3g}" for size in params) if names is None else tuple(names)
    return Teachers(labels, params, tokens_per_param * params, law.own_loss(params, tokens_per_param * params))


def read_catalogue(law: DistillationScaling, catalogue: pd.DataFrame, tokens_per_param: float) -> Teachers:
    """Teachers of a table; a loss that is not given is predicted from size and tokens."""
    require_columns(catalogue, "params")
    if catalogue.empty:
        raise InputError("catalogue: no rows were given, one teacher or more is needed")
    params = positive(catalogue, "params")
    tokens = positive(catalogue, "tokens") if "tokens" in catalogue else tokens_per_param * params
    loss = positive(catalogue, "loss") if "loss" in catalogue else law.own_loss(params, tokens)
    names = catalogue["name"].astype(str) if "name" in catalogue else [f"{size:.3g}" for size in params]
    return Teachers(tuple(names), params, tokens, loss, known="loss" in catalogue)


def _ask(
    asked: TeacherLaw,
    law: DistillationScaling,
    student: tuple[float, float],
    choices: tuple[Teachers, Vector] | None,
    lowest: float,
    tokens_per_param: float,
) -> Advice:
    best = asked.best_teacher(*student, teacher_tokens_per_param=tokens_per_param)
    choice = loss = None
    if choices is not None:
        offered, losses = choices
        if isinstance(asked, DistillationScaling):
            own = losses if asked is law else asked.loss(*student, offered.loss)
            choice = int(own.argmin())
        elif best.teacher is not None:
            choice = int(np.abs(np.log(offered.params / best.teacher)).argmin())
        loss = None if choice is None else float(losses[choice])
    elif best.teacher is not None:
        loss = float(law.student_loss(*student, best.teacher, teacher_tokens_per_param=tokens_per_param))
    return Advice(
        law=asked.name,
        trust=asked.trust,
        teacher=best.teacher,
        lower=best.lower,
        upper=best.upper,
        choice=None if choice is None or choices is None else choices[0].names[choice],
        choice_params=None if choice is None or choices is None else float(choices[0].params[choice]),
        loss=loss,
        # a search in steps may end a hair above the law's own optimum
        excess=None if loss is None else max(loss - lowest, 0.0),
        notes=best.notes,
    )


def _options(
    law: DistillationScaling, teachers: Teachers, offered: Teachers, student: tuple[float, float]
) -> tuple[Option, ...]:
    """Teachers with what their student loses above the best of those ``offered``, which may be others."""
    S, D = student
    losses, lowest = law.loss(S, D, teachers.loss), float(law.loss(S, D, offered.loss).min())
    constants = law.sample(_DRAWS, 0)
    mine, all_of_them = (
        loss_of_constants(constants, student, t.params, t.tokens, teacher_loss=t.loss if t.known else None)
        for t in (teachers, offered)
    )
    tails = [(1 - law.level) / 2, (1 + law.level) / 2]
    # what is searched in steps may end a hair above what is not
    above = np.maximum(mine - all_of_them.min(axis=1, keepdims=True), 0.0)
    lower, upper = np.quantile(above, tails, axis=0)
    return tuple(
        Option(
            name=teachers.names[i],
            params=float(teachers.params[i]),
            ratio=float(teachers.params[i] / S),
            teacher_loss=float(teachers.loss[i]),
            loss=float(losses[i]),
            excess=float(losses[i] - lowest),
            excess_lower=float(lower[i]),
            excess_upper=float(upper[i]),
            flop=tuple(
                float(3 * _FORWARD * S * D + _FORWARD * teachers.params[i] * (runs * D + 3 * trains * teachers.tokens[i]))
                for runs, trains in SCENARIOS.values()
            ),
        )
        for i in range(len(losses))
    )


def _loss(option: Option) -> float:
    return option.loss


def _budget(scenario: str, law: DistillationScaling, student: float, teachers: Teachers, total: float) -> Budget:
    """Spend what the teacher leaves on the student's tokens."""
    runs, trains = SCENARIOS[scenario]
    teacher = _FORWARD * teachers.params
    left = (total - 3 * trains * teacher * teachers.tokens) / (3 * _FORWARD * student + runs * teacher)
    fine = left > 0
    if not fine.any():
        return Budget(scenario=scenario, teacher=None, student_tokens=None, loss=None)
    losses = law.loss(student, left[fine], teachers.loss[fine])
    best = int(losses.argmin())
    return Budget(
        scenario=scenario,
        teacher=float(teachers.params[fine][best]),
        student_tokens=float(left[fine][best]),
        loss=float(losses[best]),
    )


def _doubts(
    law: DistillationScaling, student: tuple[float, float], offered: Teachers, catalogue: pd.DataFrame | None
) -> tuple[Note, ...]:
    notes, (low, high) = [], law.params_range
    if not low <= student[0] <= high:
        notes.append(Note("losses_extrapolated", f"{law.name}: losses are fitted from {low:.3g} to {high:.3g} parameters"))
    if catalogue is None:
        return tuple(notes)
    if "loss" in catalogue:
        notes.append(Note("loss_as_given", "teachers' losses are taken to be on the student's text and tokens"))
    order = np.argsort(offered.params, kind="stable")
    if (np.diff(offered.loss[order]) >= 0).any():
        notes.append(
            Note("teacher_loss_not_falling", "a larger teacher is not a better one somewhere: laws of size do not hold")
        )
    return tuple(notes)

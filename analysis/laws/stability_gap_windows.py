r"""Metrics of continual evaluation: the worst the old tasks went through, and the largest fall and rise within a window.

.. math::
    \text{min-ACC}_k = \frac{1}{k-1} \sum_{i<k} \min_{t_i < n \le t} A(E_i, f_n), \qquad
    \text{WC-ACC}_t = \frac{1}{k} A(E_k, f_t) + \left(1 - \frac{1}{k}\right) \text{min-ACC}_k

.. math::
    \text{WF}^w = \frac{1}{k-1} \sum_{i<k} \max_{n < m \le n + w} \left(A(E_i, f_n) - A(E_i, f_m)\right)

A(E_i, f_n): metric of task i after step n, higher is better; k: the current task, whose training is under way.

Source: De Lange et al. (2023), Continual Evaluation for Lifelong Learning, arXiv:2205.13452, and the authors' code.
Two differences: windows count steps, not evaluations (theirs change with the cadence), and windowed plasticity is WF with the
sign turned. In continual pre-training the general text is the one old task and the domain the new one, so k = 2.

Known failures: these are the paper's plain minima and maxima, which noise alone lowers: on a flat curve of eleven evaluations
the lowest lies 1.5 standard deviations below the start. For a gap with an interval use :mod:`analysis.laws.stability_gap`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curselab.errors import InputError

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualEvaluation:
    """Metrics at the end of the current task, in the unit of the metric."""

    min_accuracy: float
    worst_case_accuracy: float
    windowed_forgetting: float
    windowed_plasticity: float
    window_steps: float


def continual_evaluation(
    steps: ArrayLike, old: Mapping[str, ArrayLike], new: ArrayLike, *, window_steps: float
) -> ContinualEvaluation:
    """Evaluate one current task and the old ones before it.

    Parameters
    ----------
    steps : array_like
        Steps of the current task at which all were evaluated, rising, ``(n,)``.
    old : mapping
        Metric of each old task, higher is better, ``(n,)`` each; give losses with their sign turned.
    new : array_like
        Metric of the current task, ``(n,)``.
    window_steps : float
        Width of the window.

    Returns
    -------
    ContinualEvaluation
        Averages over the old tasks; the minimum is taken after the first of ``steps``.

    Raises
    ------
    InputError
        There is no old task, lengths differ, or steps do not rise.
    """
    at, current = np.asarray(steps, dtype=float), np.asarray(new, dtype=float)
    tasks = [np.asarray(values, dtype=float) for values in old.values()]
    if not tasks or any(values.shape != at.shape for values in (*tasks, current)) or at.ndim != 1 or len(at) < 2:
        raise InputError("continual evaluation: one value a step is needed of the new task and of one old task or more")
    if (np.diff(at) <= 0).any() or not window_steps > 0:
        raise InputError(f"continual evaluation: rising steps and a window above 0 are needed, not {window_steps!r}")
    k = len(tasks) + 1
    lowest = float(np.mean([values[1:].min() for values in tasks]))
    return ContinualEvaluation(
        min_accuracy=lowest,
        worst_case_accuracy=float(current[-1]) / k + (1 - 1 / k) * lowest,
        windowed_forgetting=float(np.mean([largest_fall(at, values, window_steps) for values in tasks])),
        windowed_plasticity=largest_fall(at, -current, window_steps),
        window_steps=float(window_steps),
    )


def largest_fall(steps: Vector, values: Vector, window: float) -> float:
    """Largest fall from one evaluation to a later one at most ``window`` steps on; 0 where none lies so near."""
    apart = steps[None, :] - steps[:, None]
    falls = values[:, None] - values[None, :]
    return float(np.max(falls, initial=0.0, where=(apart > 0) & (apart <= window)))

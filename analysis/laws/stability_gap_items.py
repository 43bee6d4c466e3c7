"""Two arms on the same items: the difference of their macro averages, with items and seeds drawn for both at once.

Items are drawn within their task, and the average over tasks is taken anew each time; seeds are drawn jointly with them. What
both arms get right or wrong together cancels, so a paired interval is far shorter than two intervals side by side.

References
----------
Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 8.2 to 8.4.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from analysis.fitting.result import check_level
from analysis.fitting.seeds import Estimate
from curselab.errors import InputError

Vector = NDArray[np.float64]


def difference_of_scores(
    arm: ArrayLike, other: ArrayLike, tasks: ArrayLike, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Macro average of one arm less that of another.

    Parameters
    ----------
    arm, other : array_like
        Score of each item, such as 1 where it is right, ``(n_seeds, n_items)``; items and seeds in the same order in both.
    tasks : array_like
        Task of each item, ``(n_items,)``.
    resamples, seed : int
        Of the bootstrap.
    level : float
        Of the interval.

    Returns
    -------
    Estimate
        With two seeds or more its interval covers other seeds (Student's t with one degree fewer than seeds); with one seed
        it covers other items alone.

    Raises
    ------
    InputError
        The arms have not the same seeds and items, or there is an item without a task.
    """
    level, a, b, labels = check_level(level), np.asarray(arm, dtype=float), np.asarray(other, dtype=float), np.asarray(tasks)
    if a.ndim != 2 or a.shape != b.shape or labels.shape != a.shape[1:]:
        raise InputError(
            f"scores: {a.shape} and {b.shape} for {labels.shape} tasks were given, seeds by items of both are needed"
        )
    names, task = np.unique(labels, return_inverse=True)
    difference, counts, n_seeds = a - b, np.bincount(task), len(a)
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, n_seeds))
    of_task = [np.flatnonzero(task == i) for i in range(len(names))]
    for k in range(resamples):
        chosen = [rng.choice(items, len(items)) for items in of_task]
        drawn[k] = np.mean([difference[:, items].mean(axis=1) for items in chosen], axis=0)
    per_seed = difference @ (1 / (len(names) * counts[task]))
    value, of_items = float(per_seed.mean()), float(drawn.mean(axis=1).std(ddof=1))
    # the spread over seeds holds no error of the items, which all seeds share
    of_seeds = float(per_seed.std(ddof=1) / np.sqrt(n_seeds)) if n_seeds > 1 else 0.0
    se, dof = float(np.hypot(of_items, of_seeds)), n_seeds - 1 if n_seeds > 1 else len(task) - len(names)
    half = float(student_t.ppf((1 + level) / 2, max(dof, 1))) * se
    return Estimate(value, value - half, value + half, n_seeds, None, se, dof)

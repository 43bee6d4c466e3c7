r"""The help-then-hurt law fitted to cells of several languages: shared exponents and transfer, own E, A and B a language.

Given the shared constants, a language's E, A and B are a linear, non-negative fit (variable projection, Golub and Pereyra
1973), so only two to five numbers are searched whatever the number of languages. Residuals are relative to the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from analysis.laws.multilinguality_curse import FORMS, Form, HelpThenHurt
from curselab.errors import InputError

Vector = NDArray[np.float64]

_SUBSETS = [np.array(subset) for size in (1, 2, 3) for subset in combinations(range(3), size)]
_BOUNDS = {
    "alpha": (0.02, 1.5),
    "beta": (0.02, 1.5),
    "tau": (-0.02, 2.0),
    "gain": (-0.9, 30.0),
    "scale": (0.0, 60.0),
    "cost": (0.0, 1.5),
}
_SHARED: dict[Form, tuple[str, ...]] = {
    "flat": ("alpha", "beta"),
    "linear": ("alpha", "beta", "tau"),
    "saturating": ("alpha", "beta", "gain", "scale"),
    "saturating_capacity": ("alpha", "beta", "gain", "scale", "cost"),
}
_TRIED = 2  # starts that are followed to their end


@dataclass(frozen=True, slots=True)
class Cells:
    """What the law is fitted to, ``(n,)`` each."""

    language: NDArray[np.intp]
    params: Vector
    tokens: Vector
    added: Vector
    seen: Vector
    log_loss: Vector
    weights: Vector
    """Runs over the variance of one."""

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Cells":
        """Some of the rows."""
        fields = (self.language, self.params, self.tokens, self.added, self.seen, self.log_loss, self.weights)
        return Cells(*(values[rows] for values in fields))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLaw:
    """Constants of one form; ``E``, ``A`` and ``B`` by language."""

    form: Form
    alpha: float
    """Of no meaning where one size was run."""
    beta: float
    cost: float
    gain: float
    scale: float | None
    """M0, tokens; None where the form has no ceiling."""
    tau: float
    E: tuple[float, ...]
    A: tuple[float, ...]
    B: tuple[float, ...]
    rms: float
    """Root mean square of the weighted relative residuals."""

    def shared(self) -> dict[str, Any]:
        """Constants of all languages, as ``HelpThenHurt`` takes them."""
        scale = float("inf") if self.scale is None else self.scale
        named = {"alpha": self.alpha, "beta": self.beta, "cost": self.cost, "gain": self.gain, "tau": self.tau}
        return named | {"scale": scale}

    def law(self, language: int) -> HelpThenHurt:
        """Return the law of one language, by its number."""
        return HelpThenHurt(E=self.E[language], A=self.A[language], B=self.B[language], **self.shared())

    def log_loss(self, cells: Cells) -> Vector:
        """Ln L of cells, ``(n,)``."""
        columns = _columns(self.shared(), cells)
        scales = np.stack([self.E, self.A, self.B], axis=-1)[cells.language]
        return np.asarray(np.log(np.maximum((columns * scales).sum(axis=-1), 1e-12)))


def fit_law(cells: Cells, form: Form, *, start: FittedLaw | None = None) -> FittedLaw:
    """Fit one form.

    Parameters
    ----------
    cells : Cells
        Monolingual ones and those of one set; every language has some.
    form : str
        One of ``FORMS``.
    start : FittedLaw, optional
        Of nearly the same cells: the only start then.

    Raises
    ------
    InputError
        There is no such form.
    """
    if form not in FORMS:
        raise InputError(f"form: {form!r} was given (allowed: {', '.join(FORMS)})")
    names = _SHARED[form]
    low, high = (np.array([_BOUNDS[name][side] for name in names]) for side in (0, 1))
    n_languages = int(cells.language.max()) + 1

    def residual(phi: Vector) -> Vector:
        return _project(_natural(names, phi), cells, n_languages)[0]

    starts = [_solver(names, start)] if start is not None else _starts(names, cells)
    starts = [np.clip(phi, low + 1e-9, high - 1e-9) for phi in starts]
    starts = sorted(starts, key=lambda phi: float(np.sum(residual(phi) ** 2)))[:_TRIED]
    ends = [
        least_squares(residual, phi, bounds=(low, high), x_scale="jac", xtol=1e-7, ftol=1e-9, max_nfev=60) for phi in starts
    ]
    best = min(ends, key=lambda end: float(end.cost))
    shared = _natural(names, best.x)
    _, scales = _project(shared, cells, n_languages)
    E, A, B = (tuple(column.tolist()) for column in scales.T)
    scale = shared.pop("scale")
    bounded = scale if np.isfinite(scale) else None
    return FittedLaw(form=form, **shared, scale=bounded, E=E, A=A, B=B, rms=float(np.sqrt(2 * best.cost / len(cells.params))))


def _columns(shared: dict[str, Any], cells: Cells) -> Vector:
    """What E, A and B are multiplied by, ``(n, 3)``."""
    law = HelpThenHurt(E=0.0, A=1.0, B=1.0, **shared)
    share = cells.seen / (cells.seen + cells.added)
    worth = np.maximum(cells.tokens + law.transfer(cells.tokens, cells.added), 1e-3 * cells.tokens)
    capacity = cells.params**-law.alpha * share**-law.cost
    return np.stack([np.ones_like(worth), capacity, worth**-law.beta], axis=-1)


def _project(shared: dict[str, Any], cells: Cells, n_languages: int) -> tuple[Vector, Vector]:
    """Weighted relative residuals ``(n,)`` at the best non-negative E, A, B of every language ``(n_languages, 3)``.

    With three columns every set of positive ones is solved, for all languages at once, and the best feasible kept.
    """
    root = np.sqrt(cells.weights)
    X = _columns(shared, cells) * (root / np.exp(cells.log_loss))[:, None]
    unit = np.sqrt(np.array([np.bincount(cells.language, X[:, j] ** 2, n_languages) for j in range(3)])).T
    unit = np.where(unit > 0, unit, 1.0)
    Z = X / unit[cells.language]
    gram = np.stack(
        [[np.bincount(cells.language, Z[:, i] * Z[:, j], n_languages) for j in range(3)] for i in range(3)]
    ).transpose(2, 0, 1)
    target = np.stack([np.bincount(cells.language, Z[:, j] * root, n_languages) for j in range(3)], axis=-1)
    best, scales = np.full(n_languages, np.inf), np.zeros((n_languages, 3))
    for subset in _SUBSETS:
        part = gram[:, subset[:, None], subset] + 1e-12 * np.eye(len(subset))
        solved = np.linalg.solve(part, target[:, subset, None])[..., 0]
        value = -np.einsum("lk,lk->l", solved, target[:, subset])
        better = (solved >= 0).all(axis=1) & (value < best)
        best = np.where(better, value, best)
        full = np.zeros((n_languages, 3))
        full[:, subset] = solved
        scales = np.where(better[:, None], full, scales)
    scales = scales / unit
    return np.asarray((X * scales[cells.language]).sum(axis=-1) - root), scales


def _natural(names: Sequence[str], phi: Vector) -> dict[str, Any]:
    shared = {"alpha": 0.3, "beta": 0.3, "cost": 0.0, "gain": 0.0, "scale": float("inf"), "tau": 0.0}
    shared |= dict(zip(names, phi.tolist(), strict=True))
    if "scale" in names:
        shared["scale"] = float(np.exp(shared["scale"]))
    return shared


def _solver(names: Sequence[str], fit: FittedLaw) -> Vector:
    shared = fit.shared()
    return np.array([np.log(shared[name]) if name == "scale" else shared[name] for name in names])


def _starts(names: Sequence[str], cells: Cells) -> list[Vector]:
    mixed = cells.added[cells.added > 0]
    scales = np.log(np.quantile(mixed, [0.25, 0.75])) if len(mixed) else np.zeros(1)
    grid = {"alpha": (0.3,), "beta": (0.2, 0.4), "tau": (0.001, 0.1), "gain": (0.1, 1.0), "scale": scales, "cost": (0.02, 0.2)}
    return [np.array(point, dtype=float) for point in product(*(grid[name] for name in names))]

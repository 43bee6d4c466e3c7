"""The law of :mod:`analysis.laws.scaling` as the optimiser sees it, and where the optimiser starts."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Vector = NDArray[np.float64]
_EXPONENTS = (0.1, 0.2, 0.35, 0.5, 0.8, 1.2)
_STARTS = 8

# far outside any power law that a loss has followed; a fit that runs there has no optimum, and must not run to infinity
BOUNDS = ([-np.inf, -np.inf, -np.inf, -1.0, -1.0], [np.inf, np.inf, np.inf, 10.0, 10.0])


@dataclass(frozen=True, slots=True)
class LogForm:
    """The law in logarithms, with ln N and ln D centred so that A and alpha, B and beta come apart.

    ``theta`` is ``(a, b, e, alpha, beta)``: the logarithms of the three terms at the mean of ln N and of ln D, and the
    exponents. All methods take complex numbers too.
    """

    log_n: Vector
    """ln N, ``(n_runs,)``."""
    log_d: Vector
    """ln D, ``(n_runs,)``."""
    log_loss: Vector
    """ln L, ``(n_runs,)``."""
    mean_n: float
    mean_d: float

    def terms(self, theta: NDArray[Any]) -> NDArray[Any]:
        """Logarithms of the three terms, ``(n_runs, 3)``."""
        a, b, e, alpha, beta = theta
        n, d = self.log_n - self.mean_n, self.log_d - self.mean_d
        return np.stack([a - alpha * n, b - beta * d, e + 0 * n], axis=1)

    def residual(self, theta: NDArray[Any]) -> NDArray[Any]:
        """Predicted minus observed ln L, ``(n_runs,)``."""
        terms = self.terms(theta)
        top = terms.real.max(axis=1)
        return np.asarray(top + np.log(np.exp(terms - top[:, None]).sum(axis=1)) - self.log_loss)

    def jacobian(self, theta: NDArray[Any]) -> NDArray[Any]:
        """Exact derivatives of the residual, ``(n_runs, 5)``: the shares of the three terms."""
        terms = self.terms(theta)
        share = np.exp(terms - terms.real.max(axis=1)[:, None])
        share = share / share.sum(axis=1, keepdims=True)
        n, d = self.log_n - self.mean_n, self.log_d - self.mean_d
        return np.column_stack([share, -share[:, 0] * n, -share[:, 1] * d])

    def rows(self, rows: NDArray[np.intp]) -> "LogForm":
        """Return the same law on a resample, with the same centre."""
        return LogForm(self.log_n[rows], self.log_d[rows], self.log_loss[rows], self.mean_n, self.mean_d)

    def natural(self, theta: Vector) -> Vector:
        """``(E, A, B, alpha, beta)`` of ``theta``."""
        a, b, e, alpha, beta = theta
        return np.array([np.exp(e), np.exp(a + alpha * self.mean_n), np.exp(b + beta * self.mean_d), alpha, beta])

    def starts(self) -> list[Vector]:
        """Best of a grid of exponents; for each the other three parameters are a linear, non-negative fit."""
        n, d, loss = self.log_n - self.mean_n, self.log_d - self.mean_d, np.exp(self.log_loss)
        found = []
        for alpha, beta in product(_EXPONENTS, _EXPONENTS):
            design = np.column_stack([np.exp(-alpha * n), np.exp(-beta * d), np.ones_like(n)]) / loss[:, None]
            scale, misfit = nnls(design, np.ones_like(n))
            found.append((misfit, np.array([*np.log(np.maximum(scale, 1e-3 * loss.min())), alpha, beta])))
        return [start for _, start in sorted(found, key=lambda pair: pair[0])[:_STARTS]]

"""What a fit minimises: a weighted sum, never a mean, of a loss of the residual, which is predicted minus observed.

==============  ==============================================================================================
``l2``          ``r^2 / 2``: the conditional mean
``l1``          ``|r|``: the conditional median
``huber``       ``r^2 / 2`` up to ``delta``, ``delta (|r| - delta / 2)`` beyond (Huber 1964); almost ``l1`` where
                ``delta`` is far below the noise, as with the usual 1e-3 (Hoffmann et al. 2022, arXiv:2203.15556)
``asymmetric``  ``l2``, or ``huber`` where a ``delta`` is given, times ``2 tilt`` where the prediction is too low and
                ``2 (1 - tilt)`` where it is too high: an expectile (Newey and Powell 1987), which is no mean
==============  ==============================================================================================

Residuals of ln loss and of the loss itself are different estimands even with one ``delta``.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError

Vector = NDArray[np.float64]
Kind = Literal["l2", "l1", "huber", "asymmetric"]
Delta = float | Literal["auto"] | None

USUAL_DELTA = 1e-3
_EFFICIENT = 1.345  # Huber (1981): 95 % as efficient as least squares under normal noise
_NORMAL_MAD = 0.6744897501960817  # median |z| of a standard normal z


@dataclass(frozen=True, slots=True)
class Objective:
    """Loss of a residual.

    Raises
    ------
    InputError
        A kind, a unit, a threshold or a tilt that does not exist.
    """

    kind: Kind
    on: Literal["log", "raw"] = "log"
    """Residual of ln loss, or of the loss itself."""
    delta: Delta = None
    """Huber: where quadratic turns linear, in units of the residual; ``auto`` is 1.345 robust standard deviations."""
    tilt: float = 0.5
    """Asymmetric: weight of under-prediction, between 0 and 1."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"objective: {self.kind!r} was given (allowed: {', '.join(get_args(Kind))})")
        if self.on not in ("log", "raw"):
            raise InputError(f"objective: residuals on {self.on!r} were given (allowed: log, raw)")
        if self.kind == "huber" and self.delta is None:
            raise InputError("objective: huber was given without a delta, a number above 0 or 'auto' is needed")
        if self.kind in ("l1", "l2") and self.delta is not None:
            raise InputError(
                f"objective: {self.kind} was given with delta {self.delta!r}, which only huber and asymmetric have"
            )
        if (
            isinstance(self.delta, str)
            and self.delta != "auto"
            or not isinstance(self.delta, str | None)
            and not self.delta > 0
        ):
            raise InputError(f"objective: delta {self.delta!r} was given, a number above 0 or 'auto' is needed")
        if not 0 < self.tilt < 1 or (self.kind != "asymmetric" and self.tilt != 0.5):
            raise InputError(
                f"objective: {self.kind} with tilt {self.tilt!r} was given (allowed: asymmetric, between 0 and 1)"
            )

    @property
    def threshold(self) -> float:
        """Where the loss turns linear: 0 for ``l1``, infinite for plain squares.

        Raises
        ------
        InputError
            ``delta`` is still ``auto``: only residuals can tell (see :meth:`with_residuals`).
        """
        if self.delta == "auto":
            raise InputError("objective: delta 'auto' was given where a number is needed; resolve it on residuals first")
        return 0.0 if self.kind == "l1" else np.inf if self.delta is None else float(self.delta)

    def with_residuals(self, resid: Vector) -> "Objective":
        """Replace ``auto`` by 1.345 robust standard deviations of the residuals ``(n,)`` of a median fit."""
        if self.delta != "auto":
            return self
        scale = float(np.median(np.abs(resid))) / _NORMAL_MAD
        # residuals of noise-free data are rounding, and any threshold serves
        return replace(self, delta=max(_EFFICIENT * scale, 1e-12))

    def rho(self, resid: Vector) -> Vector:
        """Loss of each residual, any shape."""
        if self.kind == "l1":
            return np.abs(resid)
        clipped = np.clip(resid, -self.threshold, self.threshold)
        return self.side(resid) * clipped * (resid - clipped / 2)

    def psi(self, resid: Vector) -> Vector:
        """Derivative of the loss, any shape."""
        if self.kind == "l1":
            return np.sign(resid)
        return self.side(resid) * np.clip(resid, -self.threshold, self.threshold)

    def side(self, resid: Vector) -> Vector:
        """Weight of each residual's side, any shape: ones unless the objective is tilted."""
        return np.where(resid < 0, 2 * self.tilt, 2 * (1 - self.tilt))


def objective(
    what: str | Objective, *, delta: Delta = None, on: Literal["log", "raw"] = "log", tilt: float = 0.5
) -> Objective:
    """Make an objective by name; ``huber`` without a ``delta`` has the usual 1e-3. An objective is handed through.

    Raises
    ------
    InputError
        No such objective.
    """
    if isinstance(what, Objective):
        return what
    if what == "huber" and delta is None:
        delta = USUAL_DELTA
    return Objective(what, on=on, delta=delta, tilt=tilt)  # type: ignore[arg-type]  # checked by the class

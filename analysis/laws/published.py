"""What a published constant is: its value, unit, interval and how far it can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analysis.fitting.result import Note

Trust = Literal["primary", "secondary", "derived", "fitted"]
"""primary: read in the paper or its code; secondary: quoted by others; derived: computed from print; fitted: by us."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A constant of a law; no interval where none was published."""

    symbol: str
    value: float
    unit: str
    lower: float | None = None
    upper: float | None = None


def outside(asked: Mapping[str, tuple[float, tuple[float, float]]]) -> tuple[Note, ...]:
    """Say which values lie outside the range where a law was fitted: ``{what: (value, (low, high))}``."""
    return tuple(
        Note("extrapolated", f"{what} {value:.3g} lies outside {low:.3g} to {high:.3g}, where the law was fitted")
        for what, (value, (low, high)) in asked.items()
        if not low <= value <= high
    )

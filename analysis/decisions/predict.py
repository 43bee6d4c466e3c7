"""What a saved fit of any law predicts at settings of one's own, and where it says so beyond its runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.fitting.result import Note
from curselab.errors import InputError

Inputs = Mapping[str, Sequence[Any]]
Prediction = tuple[pd.DataFrame, tuple[Note, ...]]


def predict(fit: Any, inputs: Inputs, **options: Any) -> Prediction:
    """Predict at every combination of the inputs.

    Parameters
    ----------
    fit : ScalingFit, CapacityGapFit, MultilingualityFit or PrepackingFit
        As ``analysis.fit.read_fit`` reads it.
    inputs : mapping
        Values of each input: those of the law's form for the loss; ``student`` (parameters) for a best teacher; ``params``,
        ``tokens``, ``added`` and perhaps ``mixture`` for what added languages are worth; ``lengths`` (tokens of prompts),
        ``width``, ``depth``, ``ffn_width`` and perhaps ``batch`` for speed-ups.
    **options
        Of ``ScalingFit.predict``: ``kind``, ``level``.

    Returns
    -------
    tuple of DataFrame and Note
        One row a setting with ``lower`` and ``upper``, NaN where nothing supports an interval; and what limits the answer.

    Raises
    ------
    InputError
        The law predicts nothing at other settings, or other inputs are needed.
    """
    if fit.law not in _PREDICT:
        raise InputError(f"predict: a fit of {fit.law} holds for its own settings alone (allowed: {', '.join(_PREDICT)})")
    if options and fit.law != "scaling":
        raise InputError(f"predict: {', '.join(options)} was given, a fit of {fit.law} has its own interval alone")
    return _PREDICT[fit.law](fit, inputs, **options)


def _scaling(fit: Any, inputs: Inputs, **options: Any) -> Prediction:
    _require(fit.form.name, inputs, fit.form.inputs)
    points = list(product(*(inputs[name] for name in fit.form.inputs)))
    frame = fit.predict(*np.array(points, dtype=float).T, **options)
    notes = []
    if (outside := int(frame["extrapolated"].sum())) > 0:
        seen = (f"{name} {row.min():.3g} to {row.max():.3g}" for name, row in zip(fit.form.inputs, fit.problem.x, strict=True))
        line = f"{outside} of {len(frame)} settings lie outside the runs ({', '.join(seen)})"
        if frame["decades"].max() > 0:
            line += f", up to {frame['decades'].max():.1f} decades of compute above them"
        if options.get("kind") != "calibrated":
            line += "; of the intervals, only those of kind calibrated hold there"
        notes.append(Note("extrapolated", line))
    if frame["lower"].isna().any():
        notes.append(Note("no_band", "the runs support no interval"))
    if fit.unidentified:
        notes.append(Note("not_identified", f"the runs do not identify {', '.join(fit.unidentified)}"))
    return frame, tuple(notes)


def _capacity_gap(fit: Any, inputs: Inputs) -> Prediction:
    _require(fit.law, inputs, ("student",))
    found = [fit.best_teacher(float(student)) for student in inputs["student"]]
    rows = [
        {"student": student, "teacher": best.teacher, "lower": best.lower, "upper": best.upper}
        for student, best in zip(inputs["student"], found, strict=True)
    ]
    return pd.DataFrame(rows, dtype=float), tuple(dict.fromkeys(note for best in found for note in best.notes))


def _multilinguality(fit: Any, inputs: Inputs) -> Prediction:
    from analysis.decisions.equivalent_data import equivalent_data

    _require(fit.law, inputs, ("params", "tokens", "added"), also=("mixture",))
    points = [dict(zip(inputs, values, strict=True)) for values in product(*inputs.values())]
    found = [equivalent_data(fit, **point) for point in points]
    rows = [
        point | {"worth_tokens": each.tokens, "lower": each.lower, "upper": each.upper, "state": each.state}
        for point, each in zip(points, found, strict=True)
    ]
    return pd.DataFrame(rows), tuple(dict.fromkeys(note for each in found for note in each.notes))


def _prepacking(fit: Any, inputs: Inputs) -> Prediction:
    from analysis.decisions.predict_speedup import predict_speedup
    from analysis.laws.prepacking_work import Shape

    _require(fit.law, inputs, ("lengths", "width", "depth", "ffn_width"), also=("batch",))
    numbers = {name: _whole(name, values) for name, values in inputs.items()}
    several = [name for name, values in numbers.items() if name != "lengths" and len(values) > 1]
    if several:
        raise InputError(f"predict: {len(numbers[several[0]])} values of {several[0]} were given, one is needed")
    shape = Shape(**{name: numbers[name][0] for name in ("width", "depth", "ffn_width")})
    batch = numbers["batch"][0] if "batch" in numbers else None
    return predict_speedup(numbers["lengths"], shape, batch, fit=fit), ()


_PREDICT: Mapping[str, Callable[..., Prediction]] = {
    "scaling": _scaling,
    "capacity_gap": _capacity_gap,
    "multilinguality": _multilinguality,
    "prepacking": _prepacking,
}


def _require(law: str, inputs: Inputs, needed: Sequence[str], *, also: Sequence[str] = ()) -> None:
    if not set(needed) <= set(inputs) <= {*needed, *also}:
        perhaps = f" and perhaps {', '.join(also)}" if also else ""
        raise InputError(f"predict: {', '.join(inputs) or 'nothing'} was given, {law} needs {', '.join(needed)}{perhaps}")
    for name, values in inputs.items():
        if name != "mixture" and not all(isinstance(value, int | float) and 0 < value < math.inf for value in values):
            raise InputError(f"predict: {name} {', '.join(map(str, values))} was given, positive numbers are needed")


def _whole(name: str, values: Sequence[float]) -> list[int]:
    if any(value != int(value) for value in values):
        raise InputError(f"predict: {name} {', '.join(map(str, values))} was given, whole numbers are needed")
    return [int(value) for value in values]

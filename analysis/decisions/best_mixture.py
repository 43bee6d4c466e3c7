"""How much of which added languages is worth most to a target: by the help-then-hurt law, with its range and an interval."""

from dataclasses import dataclass

import numpy as np

from analysis.fitting.result import Note
from analysis.laws.multilinguality import MultilingualityFit
from analysis.laws.multilinguality_transfer import MixtureLaw
from analysis.laws.published import outside
from curselab.errors import InputError

_GRID = 121


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedAdvice:
    """The best amount of one mixture; gains in log2 of target data."""

    law: str
    mixture: str
    valid: str
    ratio: float
    """Of added to target tokens; 0: add nothing."""
    gain: float
    lower: float | None
    upper: float | None
    level: float
    helps: bool
    """The gain's interval lies above zero."""
    notes: tuple[Note, ...]


def best_mixture(fit: MultilingualityFit, *, params: float, tokens: float) -> tuple[AddedAdvice, ...]:
    """Find the amount of every mixture that is worth most target data, the best mixture first.

    Amounts are searched within the measured ratios of added to target tokens, since a law of help and hurt says nothing of
    what was not tried. The interval is that of the gain at the chosen amount: of a prediction, not of a test.

    Parameters
    ----------
    fit : MultilingualityFit
        From ``fit_multilinguality``.
    params, tokens : float
        Size of model and target tokens.

    Raises
    ------
    InputError
        A number is not positive and finite, or the fit has no law.
    """
    for name, value in (("params", params), ("tokens", tokens)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name}: {value!r} was given, a positive finite number is needed")
    if not fit.laws:
        raise InputError("fit: it has no law of any mixture")
    found = [_best(law, params, tokens, fit.level) for law in fit.laws]
    return tuple(sorted(found, key=lambda advice: -advice.gain))


def _best(law: MixtureLaw, params: float, tokens: float, level: float) -> AddedAdvice:
    low, high = law.ratio_range
    ratios = np.geomspace(low, high, _GRID)
    gains = law.gains(params, tokens, ratios)
    i = int(gains.argmax())
    notes = list(outside({"params": (params, law.params_range), "tokens": (tokens, law.tokens_range)}))
    if gains[i] <= 0:
        notes.append(Note("add_nothing", "no measured amount has a gain above zero"))
        return _advice(law, 0.0, (0.0, None, None), level, notes)
    if i in (0, _GRID - 1):
        notes.append(Note("at_the_edge", f"the best amount is at the edge of the measured ratios, {low:.3g} to {high:.3g}"))
    return _advice(law, float(ratios[i]), law.gain(params, tokens, float(ratios[i]), level=level), level, notes)


def _advice(
    law: MixtureLaw, ratio: float, gain: tuple[float, float | None, float | None], level: float, notes: list[Note]
) -> AddedAdvice:
    value, lower, upper = gain
    return AddedAdvice(
        law="help, then hurt (this project's candidate)",
        mixture=law.mixture,
        valid=f"params {law.params_range[0]:.3g} to {law.params_range[1]:.3g}, tokens {law.tokens_range[0]:.3g} to"
        f" {law.tokens_range[1]:.3g}, ratios {law.ratio_range[0]:.3g} to {law.ratio_range[1]:.3g}",
        ratio=ratio,
        gain=value,
        lower=lower,
        upper=upper,
        level=level,
        helps=lower is not None and lower > 0,
        notes=tuple(notes),
    )

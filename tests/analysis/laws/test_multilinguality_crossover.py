import numpy as np
import pytest

from analysis.decisions.multilinguality_simulation import TRUTH
from analysis.laws.multilinguality_crossover import Passes, find_crossover, mean_gain
from analysis.laws.multilinguality_law import FittedLaw

FIT = FittedLaw(
    form="saturating_capacity",
    alpha=TRUTH.alpha,
    beta=TRUTH.beta,
    cost=TRUTH.cost,
    gain=TRUTH.gain,
    scale=TRUTH.scale,
    tau=0.0,
    E=(TRUTH.E,),
    A=(TRUTH.A,),
    B=(TRUTH.B,),
    rms=0.01,
)
ONCE = Passes((1.0,), (1.0,))
ASKED = {"name": "near", "params": 450e3, "ratio": 10.0, "passes": ONCE, "measured": (2e4, 2e6), "level": 0.95}


def _with(**change):
    values = {name: getattr(FIT, name) for name in FIT.__dataclass_fields__}
    return FittedLaw(**values | change)


def test_it_is_the_law_s_own_crossover():
    others = [_with(gain=TRUTH.gain * f) for f in (0.98, 1.0, 1.02)]
    found = find_crossover(FIT, others, **ASKED)
    assert found.tokens == pytest.approx(TRUTH.crossover(450e3, 10.0), rel=0.01)
    assert found.lower < found.tokens < found.upper
    assert (found.n_units, found.notes) == (3, ())
    # at the ends of the set the gain is told from zero by its jackknife error and t of 2 degrees of freedom
    for end in (found.lower, found.upper):
        at = np.array([np.log(end)])
        left = np.array([mean_gain(one, 450e3, at, 10.0, ONCE)[0] for one in others])
        se = np.sqrt(2 / 3 * np.sum((left - left.mean()) ** 2))
        assert abs(mean_gain(FIT, 450e3, at, 10.0, ONCE)[0]) == pytest.approx(4.303 * se, rel=0.25)


def test_an_open_end_is_said():
    found = find_crossover(FIT, [_with(cost=TRUTH.cost * f) for f in (0.3, 1.0, 1.7)], **ASKED)
    assert found.upper is None
    assert [note.code for note in found.notes] == ["not_identified"]


def test_without_cost_there_is_none():
    free = _with(cost=0.0)
    found = find_crossover(free, [free, free, free], **ASKED)
    assert found.tokens is None
    assert found.lower == pytest.approx(2e6 * 100)
    assert [note.code for note in found.notes] == ["no_crossover", "not_identified"]
    hurt = _with(gain=0.0)
    assert find_crossover(hurt, [hurt, hurt, hurt], **ASKED).upper == pytest.approx(2e4 / 100)

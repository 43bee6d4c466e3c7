from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_kinship import explain, likeness

MEASURES = ["syntax", "lexicon"]


def _case(syntax, lexicon, noise=1e-9, spread=0.05, seed=0):
    """Two arms of one cell: the similar one is worth 0.4 a unit of syntax and 0.1 of lexicon more."""
    rng = np.random.default_rng(seed)
    n = len(syntax)
    syntax, lexicon = np.asarray(syntax, dtype=float), np.asarray(lexicon, dtype=float)
    base = rng.standard_normal(n)
    near = base + 0.4 * syntax + 0.1 * lexicon + spread * rng.standard_normal(n)
    values = np.stack([base, near])
    cells = pd.DataFrame({"mixture": ["dissimilar", "similar"], "params": 1e5, "tokens": 1e5, "added": 1e5})
    some = np.full(values.shape, noise)
    draws = values + noise * rng.standard_normal((500, *values.shape))
    names = tuple(f"l{i}" for i in range(n))
    gains = Gains(cells, names, values, draws, values, some, values, some, some, np.full(values.shape, "measured"))
    table = pd.concat(
        [
            pd.DataFrame({"language": names, "mixture": "dissimilar", "syntax": 0.0, "lexicon": 0.0}),
            pd.DataFrame({"language": names, "mixture": "similar", "syntax": syntax, "lexicon": lexicon}),
        ]
    )
    return gains, table


CROSSED = ([0, 0.9, 0, 0.9] * 3, [0, 0, 0.75, 0.75] * 3)


def test_it_is_a_library_s_regression_through_zero():
    gains, table = _case(*CROSSED)
    found = likeness(gains, table, MEASURES, level=0.95)
    peer = sm.OLS(gains.point[1] - gains.point[0], np.stack(CROSSED, axis=1)).fit()
    np.testing.assert_allclose([m.value for m in found], peer.params)
    np.testing.assert_allclose([(m.lower, m.upper) for m in found], peer.conf_int(0.05))
    np.testing.assert_allclose([m.p for m in found], peer.pvalues)
    assert found[0].lower < 0.4 < found[0].upper
    assert found[0].span == (0, 0.9)
    assert likeness(gains, table.sample(frac=1, random_state=0), MEASURES, level=0.95) == found


def test_languages_never_differ_by_less_than_their_seeds():
    quiet, loud = (likeness(*_case(*CROSSED, noise=n, spread=1e-6), MEASURES, level=0.95)[0] for n in (1e-9, 0.2))
    assert quiet.upper - quiet.lower < 0.001
    assert loud.upper - loud.lower > 0.2


@pytest.mark.parametrize(("noise", "share"), [(0.1, 1 / 2), (0.3, 9 / 10), (10.0, 1.0)])
def test_a_cell_counts_by_the_inverse_of_its_variance(noise, share):
    """Beside a cell with the effects and a noise of 0.1, one without them."""
    gains, table = _case(*CROSSED)
    alone = likeness(gains, table, MEASURES, level=0.95)
    point = np.vstack([gains.point, gains.point[[0, 0]]])
    errors = np.random.default_rng(1).standard_normal((4000, 4, 12)) * np.array([0.1, 0.1, noise, noise])[:, None]
    cells = pd.concat([gains.cells, gains.cells.assign(tokens=4e5)], ignore_index=True)
    state = np.full(point.shape, "measured")
    known = {"log_loss": point, "noise": point, "fall": point, "fall_error": point, "dof": point, "state": state}
    both = likeness(replace(gains, cells=cells, point=point, draws=point + errors, **known), table, MEASURES, level=0.95)
    for m, one in zip(both, alone, strict=True):
        assert m.value == pytest.approx(share * one.value, rel=0.02)


def test_a_curve_that_moves_all_languages_together_is_in_the_error():
    gains, table = _case(*CROSSED, spread=1e-6)
    gains.draws[:, 1] += 0.5 * np.random.default_rng(1).standard_normal((500, 1))
    peer = sm.OLS(np.ones(12), np.stack(CROSSED, axis=1)).fit().params  # what a shift of 1 does to both
    for m, share in zip(likeness(gains, table, MEASURES, level=0.95), peer, strict=True):
        assert (m.upper - m.lower) / 2 == pytest.approx(2.228139 * 0.5 * share, rel=0.1)  # Student's t, 10 degrees


@pytest.mark.parametrize(
    ("syntax", "lexicon", "reason"),
    [
        ([0.5, 0.9, 0.3], [0, 0, 0], "both arms are equally alike by lexicon"),
        ([0.2, 0.4, 0.8], [0.1, 0.2, 0.4], "syntax and lexicon rise together"),
        ([0.5, 0.9], [0.1, 0.7], "2 languages have both arms"),
        ([0.5, 0.9, np.nan], [0.1, 0.7, 0.3], "2 languages have both arms"),
    ],
)
def test_what_the_languages_cannot_tell_is_not_identified(syntax, lexicon, reason):
    gains, table = _case(syntax, lexicon)
    found = likeness(gains, table, MEASURES, level=0.95)
    assert {m.value for m in found} == {None}
    assert reason in found[0].reason


def test_the_partition_of_the_paper_has_fisher_s_interval():
    gains, table = _case(*CROSSED)
    alone, _, both = explain(gains, table, MEASURES, level=0.95)
    long = pd.concat([pd.Series(gains.point[i]) for i in (0, 1)], ignore_index=True)
    x = table["syntax"].reset_index(drop=True)
    assert alone.r == pytest.approx(np.corrcoef(long, x)[0, 1])
    assert alone.r2 == pytest.approx(alone.r**2)
    half = 1.959964 / np.sqrt(24 - 3)
    assert (alone.lower, alone.upper) == pytest.approx([np.tanh(np.arctanh(alone.r) + s * half) for s in (-1, 1)])
    assert (both.r, both.n) == (None, 24)
    peer = sm.OLS(long, sm.add_constant(table[MEASURES].reset_index(drop=True))).fit()
    assert (both.r2, both.adjusted_r2) == pytest.approx((peer.rsquared, peer.rsquared_adj))
    assert explain(gains, table, [], level=0.95) == []

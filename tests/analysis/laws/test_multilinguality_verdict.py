import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_verdict import judge, judge_each, verdict_frame

OPTIONS = {"level": 0.95, "margin": 0.05}


def _gains(values, noise=0.02, draws=4000):
    n_cells, n = values.shape
    cells = pd.DataFrame({"mixture": "near", "params": 1e5, "tokens": 1e5, "added": 1e5 * np.arange(1, n_cells + 1)})
    drawn = values + noise * np.random.default_rng(0).standard_normal((draws, n_cells, n))
    state = np.where(np.isnan(values), "", "measured").astype("U12")
    some = np.full(values.shape, noise)
    return Gains(
        cells,
        tuple(f"l{i}" for i in range(n)),
        values,
        drawn,
        log_loss=1 - values,
        noise=some,
        fall=values,
        fall_error=some,
        dof=np.full(values.shape, 100.0),
        state=state,
    )


def test_one_cell_is_a_library_s_t_test():
    values = np.random.default_rng(1).normal(0.3, 0.2, (1, 8))
    (v,) = judge(_gains(values), None, rng=np.random.default_rng(2), **OPTIONS)
    peer = ttest_1samp(values[0], 0.0)
    assert v.gain == pytest.approx(values.mean())
    assert v.p_no_effect == pytest.approx(peer.pvalue, rel=0.2)
    np.testing.assert_allclose([v.lower, v.upper], list(peer.confidence_interval(0.95)), atol=0.02)


def test_the_four_words_and_the_matched_baseline():
    rng = np.random.default_rng(3)
    values = np.array([0.5, -0.5, 0.0, 0.0])[:, None] + np.array([0.05, 0.05, 0.01, 0.5])[:, None] * rng.standard_normal(
        (4, 8)
    )
    found = judge(_gains(values), None, rng=rng, **OPTIONS)
    assert [v.verdict for v in found] == ["help", "hurt", "equivalent", "unresolved"]
    # more passes over the own text bring as much: the help is gone, and the hurt is as before
    nothing = np.zeros((4, 1)) + 0.05 * rng.standard_normal((4, 8))
    matched = judge(_gains(values), _gains(np.where(values > 0.3, nothing, values)), rng=rng, **OPTIONS)
    assert [v.verdict for v in matched] == ["unresolved", "hurt", "equivalent", "unresolved"]
    assert matched[0].gain > 0.3 > matched[0].matched


def test_a_cell_without_matched_runs_is_judged_by_its_curve():
    values = 0.5 + 0.05 * np.random.default_rng(4).standard_normal((2, 8))
    lost = values.copy()
    lost[0] = np.nan
    found = judge(_gains(values), _gains(lost), rng=np.random.default_rng(5), **OPTIONS)
    assert [v.verdict for v in found] == ["help", "help"]
    assert found[0].matched is None


def test_each_language_has_its_own_verdict_from_its_draws():
    values = np.array([[0.5, -0.5, 0.0]])
    found = judge_each(_gains(values, noise=0.02), None, **OPTIONS)
    assert [(v.language, v.verdict) for v in found] == [("l0", "help"), ("l1", "hurt"), ("l2", "equivalent")]
    assert found[0].upper - found[0].lower == pytest.approx(2 * 1.984 * 0.02, rel=0.05)
    assert list(verdict_frame(tuple(found))["verdict"]) == ["help", "hurt", "equivalent"]


def test_one_language_gives_no_mean():
    (v,) = judge(_gains(np.array([[0.5]])), None, rng=np.random.default_rng(6), **OPTIONS)
    assert (v.verdict, v.lower, v.detectable) == ("unresolved", None, None)


def test_languages_never_differ_by_less_than_their_noise():
    """Eight languages that agree by chance, with a known noise of .1: the error of their mean is .1 / sqrt(8)."""
    (v,) = judge(_gains(np.full((1, 8), 0.05), noise=0.1), None, rng=np.random.default_rng(8), **OPTIONS)
    assert v.upper - v.gain == pytest.approx(2.365 * 0.1 / np.sqrt(8), rel=0.05)
    assert v.verdict == "unresolved"

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from analysis.laws.multilinguality_gain import Gains
from analysis.laws.multilinguality_partition import partition


def _gains(values, cells, noise=0.01):
    some = np.full(values.shape, noise)
    draws = values + noise * np.random.default_rng(0).standard_normal((2000, *values.shape))
    names = tuple(f"l{i}" for i in range(values.shape[1]))
    return Gains(cells, names, values, draws, values, some, values, some, some, np.full(values.shape, "measured"))


def _crossed():
    rows = [(m, N, 1e5, r * 1e5) for m in ("far", "near") for N in (1e4, 1e5) for r in (1, 10)]
    return pd.DataFrame(rows, columns=["mixture", "params", "tokens", "added"])


def test_shares_are_those_of_a_library_s_analysis_of_variance():
    cells = _crossed()
    rng = np.random.default_rng(1)
    effect = 0.5 * (cells["mixture"] == "near") + 0.2 * np.log10(cells["params"]) - 0.3 * (cells["added"] > 1e5)
    values = effect.to_numpy()[:, None] + 0.2 * rng.standard_normal((1, 5)) + 0.05 * rng.standard_normal((8, 5))
    found = {s.source: s.share for s in partition(_gains(values, cells), level=0.95)}
    long = cells.loc[np.repeat(cells.index, 5)].assign(gain=values.ravel(), language=np.tile(np.arange(5), 8))
    peer = anova_lm(smf.ols("gain ~ C(mixture) + C(params) + C(added) + C(language)", long).fit(), typ=2)["sum_sq"]
    for source, term in (
        ("mixture", "mixture"),
        ("size of model", "params"),
        ("added data", "added"),
        ("language", "language"),
    ):
        assert found[source] == pytest.approx(peer[f"C({term})"] / peer.sum())
    assert found["confounded"] == pytest.approx(0, abs=1e-9)
    assert found["seeds and curves"] == pytest.approx(0.01**2 * 40 / peer.sum(), rel=0.1)


def test_sources_that_go_together_are_confounded():
    cells = _crossed().iloc[[0, 1, 6, 7]].reset_index(drop=True)  # near at the larger size alone
    values = np.repeat((cells["mixture"] == "near").to_numpy(dtype=float)[:, None], 4, axis=1)
    found = {s.source: s for s in partition(_gains(values, cells), level=0.95)}
    assert found["confounded"].share == pytest.approx(1, abs=0.01)
    assert found["mixture"].share == pytest.approx(0, abs=1e-9)


def test_two_languages_have_no_interval_and_no_spread_no_shares():
    cells = _crossed()
    values = np.random.default_rng(0).standard_normal((8, 2))
    assert {s.lower for s in partition(_gains(values, cells), level=0.95)} == {None}
    assert partition(_gains(np.zeros((8, 3)), cells), level=0.95) == []

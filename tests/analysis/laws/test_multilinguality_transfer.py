from dataclasses import replace

import numpy as np
import pytest

from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, simulate
from analysis.laws.multilinguality_transfer import fit_mixture

DESIGN = Design(languages=6, params=(75e3, 450e3), noise=0.005)


def _fit(design, seed=0):
    rng = np.random.default_rng(seed)
    laws = languages_of(TRUTH, design, rng)
    return laws, fit_mixture(simulate(laws, design, rng), "added")


def test_its_gain_holds_the_truth_and_its_ranges_are_the_table_s():
    laws, law = _fit(DESIGN)
    assert len(law.left_out) == 6
    assert (law.params_range, law.tokens_range, law.ratio_range) == ((75e3, 450e3), (20e3, 2e6), (1.0, 30.0))
    for D in (5e4, 5e5):
        value, lower, upper = law.gain(450e3, D, 10.0, level=0.95)
        truth = np.mean([one.gain_log2(450e3, D, 10 * D) for one in laws])
        assert lower < truth < upper
        assert value == pytest.approx(truth, abs=0.1)
    assert [(c.params, c.ratio) for c in law.crossovers(level=0.95)] == [(n, r) for n in law.params for r in law.ratios]


def test_few_languages_are_left_out_by_their_seeds():
    _, law = _fit(replace(DESIGN, languages=2, seeds=4))
    assert len(law.left_out) == 8
    assert len(law.left_out[0].E) == 2
    _, law = _fit(replace(DESIGN, languages=2, seeds=1))
    assert len(law.left_out) == 10

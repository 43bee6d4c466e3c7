import numpy as np
import pytest

from analysis import best_mixture, equivalent_data, fit_multilinguality
from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, simulate
from curselab.errors import InputError

DESIGN = Design(languages=5, params=(75e3, 450e3), tokens=(20e3, 200e3, 630e3, 2e6), ratios=(1.0, 10.0), noise=0.004)


@pytest.fixture(scope="module")
def laws_and_fit():
    rng = np.random.default_rng(3)
    laws = languages_of(TRUTH, DESIGN, rng)
    runs = simulate(laws, DESIGN, rng).runs
    columns = {"params": "params", "added": "added", "loss": "loss", "mixture": "mixture"}
    return laws, fit_multilinguality(runs.assign(loss=np.exp(runs["log_loss"])), **columns, form="chinchilla", bootstrap=100)


def test_a_loss_is_worth_the_tokens_that_have_it(laws_and_fit):
    laws, fit = laws_and_fit
    for tokens, state in ((3e5, "measured"), (4e6, "extrapolated")):
        loss = float(laws[1].loss(450e3, tokens, 0.0))
        found = equivalent_data(fit, params=450e3, language="01", losses=[loss, loss, loss])
        assert found.lower < tokens < found.upper
        assert found.state == state
        assert "chinchilla" in found.law
    floor = equivalent_data(fit, params=450e3, language="01", losses=[0.2])
    assert (floor.tokens, floor.upper, floor.state) == (None, None, "below_floor")


def test_a_mixture_is_worth_what_the_truth_says(laws_and_fit):
    laws, fit = laws_and_fit
    found = equivalent_data(fit, params=450e3, tokens=200e3, added=2e6)
    truth = 200e3 * 2 ** np.mean([law.gain_log2(450e3, 200e3, 2e6) for law in laws])
    assert found.lower < truth < found.upper
    assert (found.state, found.notes) == ("measured", ())
    beyond = equivalent_data(fit, params=450e3, tokens=200e3, added=2e8)
    assert [note.code for note in beyond.notes] == ["extrapolated"]


def test_the_best_amount_helps_where_the_truth_does(laws_and_fit):
    _, fit = laws_and_fit
    (small,) = best_mixture(fit, params=450e3, tokens=100e3)
    assert small.helps
    assert small.lower < small.gain < small.upper
    assert small.ratio < 10
    (large,) = best_mixture(fit, params=75e3, tokens=20e6)
    assert (large.ratio, large.helps) == (0.0, False)
    assert [note.code for note in large.notes] == ["extrapolated", "add_nothing"]


def test_bad_questions_are_one_line(laws_and_fit):
    _, fit = laws_and_fit
    with pytest.raises(InputError, match="losses of a language, or tokens and added"):
        equivalent_data(fit, params=450e3)
    with pytest.raises(InputError, match="with a curve: 00, 01, 02, 03, 04"):
        equivalent_data(fit, params=450e3, language="xx", losses=[2.0])
    with pytest.raises(InputError, match="positive finite numbers"):
        equivalent_data(fit, params=450e3, language="00", losses=[])
    with pytest.raises(InputError, match="params: -1"):
        best_mixture(fit, params=-1, tokens=1e5)

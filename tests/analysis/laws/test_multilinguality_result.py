"""The whole analysis on a table of the sweep whose truth is known."""

import json

import numpy as np
import pytest

from analysis.laws.multilinguality import MultilingualityFit, fit_runs
from tests.analysis.multilinguality_factories import ARMS, EPOCHS, NOTHING, multilinguality_runs, passes

OPTIONS = {"bootstrap": 300, "form": "chinchilla"}
RATIOS = (1, 10)


def _truth(v):
    """Gain over the own curve and over the best number of passes that has no more compute."""
    own = float(ARMS[v.mixture].gain_log2(v.params, v.tokens, v.added, EPOCHS * v.tokens))
    alone = max([0.0] + [passes(r / EPOCHS) for r in RATIOS if r <= 1.01 * v.added / v.tokens])
    return own, own - alone


@pytest.fixture(scope="module")
def fit():
    runs = multilinguality_runs(ratios=RATIOS, ladder=(1_771_000,))
    runs.loc[[0, 7], ["status", "loss_bits_per_byte", "loss_nats_per_token"]] = ["diverged", np.nan, np.nan]
    return fit_runs(runs, **OPTIONS)


def test_every_call_is_right_against_both_baselines(fit):
    assert fit.mixtures == ("dissimilar", "null_language", "similar")
    called = [v for v in fit.verdicts if v.verdict in ("help", "hurt")]
    assert len(called) > 15
    for v in called:
        assert all((truth > 0) == (v.verdict == "help") for truth in _truth(v))
    held = [v.lower <= _truth(v)[0] <= v.upper for v in fit.verdicts]
    matched = [v.matched_lower <= _truth(v)[1] <= v.matched_upper for v in fit.verdicts if v.matched is not None]
    # intervals of 95 % over languages whose laws differ
    assert np.mean(held) > 0.85
    assert np.mean(matched) > 0.85
    assert {v.verdict for v in fit.verdicts} >= {"help", "hurt"}


def test_the_control_shows_what_more_passes_are_worth(fit):
    for v in fit.controls:
        assert (v.mixture, v.gain) == ("matched", pytest.approx(passes(v.added / v.tokens / EPOCHS), abs=0.1))


def test_crossovers_hold_the_truth_at_sizes_that_were_run(fit):
    for mixture in ("similar", "dissimilar"):
        truth = ARMS[mixture].crossover(75e3, 10.0, epochs=EPOCHS)
        found = next(c for c in fit.crossovers if (c.mixture, c.params, round(c.ratio)) == (mixture, 75e3, 10))
        assert found.lower < truth < found.upper
        assert found.tokens == pytest.approx(truth, rel=0.4)
    assert all(c.tokens is None for c in fit.crossovers if c.mixture == "null_language")
    assert sorted({round(c.ratio, 2) for c in fit.crossovers}) == [1.0, 10.0]


def test_mixtures_are_told_apart_and_larger_models_lose_less(fit):
    whole = {(c.first, c.second): c for c in fit.contrasts if c.tokens is None}
    assert list(whole) == [("similar", "dissimilar"), ("similar", "null_language"), ("dissimilar", "null_language")]
    for (first, second), c in whole.items():
        cells = [v for v in fit.verdicts if v.mixture == second]
        at = np.array([(v.params, v.tokens, v.added) for v in cells]).T
        gap = np.mean([ARMS[name].gain_log2(*at, EPOCHS * at[1]) for name in (first, second)], axis=1)
        assert c.answer == "more"
        assert c.value == pytest.approx(gap[0] - gap[1], abs=0.05)
        assert c.n_cells == len(cells) == 20
    slopes = {c.first: c for c in fit.slopes if c.tokens is None}
    assert {c.answer for c in slopes.values()} == {"more"}
    assert all(c.lower > 0 for c in slopes.values())


def test_lost_runs_are_counted_and_named(fit):
    assert (fit.counts.n_diverged, fit.counts.n_seeds, fit.counts.n_clusters) == (2, 3, 6)
    (note,) = (note for note in fit.warnings if note.code == "diverged")
    assert note.message.endswith("runs have no loss: dissimilar 1, monolingual 1")


def test_the_true_form_predicts_what_it_has_not_seen(fit):
    best = {(row.mixture, row.held_out): row for row in fit.best_forms()}
    assert best["similar", "compute"].form == "saturating_capacity"
    assert best["similar", "params"].error < 0.01  # near the noise of 0.4 %
    assert {row.held_out for row in fit.comparison} == {"random", "params", "tokens", "compute", "mixture"}


def test_the_variance_is_shared_out(fit):
    share = {s.source: s for s in fit.partition}
    assert sum(s.share for s in share.values()) == pytest.approx(1)
    assert share["mixture"].share > 10 * share["language"].share
    assert share["mixture"].lower < share["mixture"].share < share["mixture"].upper


def test_it_goes_to_json_and_back_and_says_all_in_words(fit):
    assert MultilingualityFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False))) == fit
    text = fit.summary()
    for words in (
        "alone, more passes",
        "similar less dissimilar: more",
        "crossover null_language: none",
        "censored",
        "held out",
    ):
        assert words in text
    assert len(fit.contrast_frame()) == len(fit.contrasts) + len(fit.slopes)
    assert 0 <= fit.censored < 0.3
    assert fit.status == "ok"


def test_where_nothing_is_worth_anything_nothing_is_called():
    runs = multilinguality_runs(NOTHING, ratios=RATIOS, matched=lambda extra: 0.0, noise=0.01, seed=1)
    found = fit_runs(runs, **OPTIONS)
    assert {v.verdict for v in found.verdicts} <= {"equivalent", "unresolved"}
    assert {c.answer for c in (*found.contrasts, *found.slopes)} <= {"equivalent", "unresolved"}


def test_artificial_languages_tell_syntax_from_lexicon():
    runs = multilinguality_runs(ratios=(1, 10), languages=8, artificial=True, sizes=(75_000,), noise=0.003)
    found = fit_runs(runs, **OPTIONS)
    syntax, lexicon = found.likeness
    assert (syntax.measure, lexicon.measure) == ("syntax_similarity", "lexical_similarity")
    assert syntax.lower > 0
    assert lexicon.lower > 0
    assert syntax.value > lexicon.value  # 0.4 of the gain against 0.2
    assert [e.predictors for e in found.explained] == [
        "syntax_similarity",
        "lexical_similarity",
        "syntax_similarity+lexical_similarity",
    ]
    # monolingual excess by the law: A N^-alpha + B D^-beta in bits, on average over eight languages
    alone = next(e for e in found.excess if (e.mixture, e.tokens) == ("", 200_000))
    law = ARMS["similar"]
    assert alone.excess == pytest.approx((law.loss(75e3, 2e5, 0) - law.E) / np.log(2), rel=0.15)
    assert alone.lower < alone.excess < alone.upper


@pytest.mark.parametrize("change", [{"languages": 1}, {"seeds": 1}, {"tokens": (20_000, 63_000)}, {"matched": None}])
def test_small_tables_have_answers_or_say_why_not(change):
    options = {"languages": 2, "seeds": 2, "sizes": (6_000,), "ratios": (1,), "tokens": (20_000, 63_000, 200_000)}
    found = fit_runs(multilinguality_runs(**options | change), bootstrap=100)
    assert len(found.by_language) > 0
    assert "few_languages" in {note.code for note in found.warnings}
    assert found.summary()
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.slow
def test_tables_of_nothing_are_seldom_called_and_crossovers_are_held():
    """40 tables each: at most 5 % with a false call of the mean or a false contrast, 93 % of crossovers held, within 2 s.e."""
    design = {"ratios": RATIOS, "sizes": (75_000,), "noise": 0.0065}
    calls, held = [], []
    truth = ARMS["similar"].crossover(75e3, 10.0, epochs=EPOCHS)
    for seed in range(40):
        null = fit_runs(multilinguality_runs(NOTHING, matched=lambda extra: 0.0, seed=seed, **design), **OPTIONS)
        whole = [c for c in null.contrasts if c.tokens is None]
        calls.append(
            any(v.verdict in ("help", "hurt") for v in null.verdicts) or any(c.answer in ("more", "less") for c in whole)
        )
        found = fit_runs(multilinguality_runs(seed=100 + seed, spread=0.02, **design), **OPTIONS).crossovers
        c = next(c for c in found if (c.mixture, round(c.ratio)) == ("similar", 10))
        held.append((c.lower is None or c.lower <= truth) and (c.upper is None or truth <= c.upper))
    se = np.sqrt(0.05 * 0.95 / 40)
    assert np.mean(calls) <= 0.05 + 2 * se
    assert np.mean(held) >= 0.93 - 2 * se

"""Kneser-Ney against the formula written out with dictionaries, against probabilities that sum to one, and known entropy."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainer.text import ngrams
from trainer.text.ngrams import KneserNey

VOCAB = 4


def by_hand(text: list[int], order: int, context: tuple[int, ...], token: int) -> float:
    """Chen and Goodman's recursion, straight from the counts of the text."""
    grams = {n: Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for n in range(1, order + 1)}

    def count(gram: tuple[int, ...]) -> int:
        n = len(gram)
        return grams[n][gram] if n == order else sum(longer[1:] == gram for longer in grams[n + 1])

    def discount(n: int) -> float:
        counts = [count(gram) for gram in grams[n] if count(gram)]
        once, twice = counts.count(1), counts.count(2)
        return once / (once + 2 * twice) if once and twice else 0.5

    def p(n: int, before: tuple[int, ...]) -> float:
        if n == 0:
            return 1 / VOCAB
        history = before[len(before) - n + 1 :]
        follows = [count((*history, w)) for w in range(VOCAB)]
        if sum(follows) == 0:
            return p(n - 1, before)
        off, kinds = discount(n), sum(c > 0 for c in follows)
        return (max(follows[token] - off, 0) + off * kinds * p(n - 1, before)) / sum(follows)

    return p(min(order, len(context) + 1), context)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.lists(st.integers(0, VOCAB - 1), min_size=6, max_size=60), st.integers(1, 4), st.integers(0, 99))
def test_surprises_are_those_of_the_formula(text: list[int], order: int, seed: int) -> None:
    model = KneserNey(np.array(text), vocab_size=VOCAB, order=order)
    scored = np.random.default_rng(seed).integers(VOCAB, size=12).tolist()
    expected = [-math.log(by_hand(text, order, tuple(scored[max(0, i + 1 - order) : i]), scored[i])) for i in range(12)]
    np.testing.assert_allclose(model.nats(np.array(scored)), expected, rtol=1e-10)


def test_probabilities_after_any_context_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    model = KneserNey(rng.integers(20, size=3000, dtype=np.uint16), vocab_size=30, order=4)
    for context in rng.integers(30, size=(20, 3)):
        total = sum(math.exp(-model.nats(np.array([*context, token]))[-1]) for token in range(30))
        assert total == pytest.approx(1, abs=1e-12)


def test_a_long_markov_chain_is_scored_at_its_entropy_rate() -> None:
    # Cover and Thomas, equation 4.27: pi = (b, a) / (a + b), rate pi_1 H(a) + pi_2 H(b)
    a, b, n = 0.3, 0.1, 200_000
    rng = np.random.default_rng(1)
    chain, draws = np.zeros(2 * n, dtype=np.int64), rng.random(2 * n)
    for i in range(1, 2 * n):
        chain[i] = chain[i - 1] ^ (draws[i] < (b if chain[i - 1] else a))
    rate = (b * stats.bernoulli(a).entropy() + a * stats.bernoulli(b).entropy()) / (a + b)
    nats = KneserNey(chain[:n], vocab_size=2, order=3).nats(chain[n:])
    assert nats.mean() == pytest.approx(rate, abs=5 * nats.std() / math.sqrt(n) + 1e-3)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = np.random.default_rng(2).integers(9, size=500)
    model = KneserNey(tokens, vocab_size=9, order=4)
    whole = model.nats(tokens[::-1])
    monkeypatch.setattr(ngrams, "BLOCK", 77)
    np.testing.assert_array_equal(model.nats(tokens[::-1]), whole)


@pytest.mark.parametrize(("vocab_size", "order"), [(256, 5), (65_536, 3), (2**31, 2)])
def test_n_grams_are_as_long_as_63_bits_hold(vocab_size: int, order: int) -> None:
    tokens = np.random.default_rng(3).integers(vocab_size, size=100)
    model = KneserNey(tokens, vocab_size=vocab_size)
    assert model.order == order
    assert np.isfinite(model.nats(tokens)).all()

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from curselab.errors import InputError
from trainer.text import languages as module
from trainer.text.languages import (
    Language,
    documents,
    entropy_rates,
    facts,
    known,
    languages,
    lexical_jaccard,
    syntax_distance,
)
from trainer.text_spec import Kinship, LanguagesText

SMALL = LanguagesText(families=2, languages_per_family=3, word_classes=4, words_per_class=20, bytes_per_language=20_000)
shares = st.floats(0, 1)


def test_uniform_language_has_the_textbook_entropy():
    words = tuple(tuple(f"{a}{b}" for b in "wxyz") for a in "abcdefgh")
    uniform = Language(np.full((8, 8), 1 / 8), np.full(4, 1 / 4), words)
    assert facts(uniform).entropy_bits_per_word == pytest.approx(math.log2(8 * 4), rel=1e-12)
    assert facts(uniform).bytes_per_word == pytest.approx(3, rel=1e-12)
    assert facts(uniform).entropy_bits_per_byte == pytest.approx(5 / 3, rel=1e-12)


def test_two_state_chain_has_the_entropy_of_cover_and_thomas():
    # Elements of Information Theory, example 4.1.1 and problem 4.7: pi = (b, a) / (a + b), rate pi_1 H(a) + pi_2 H(b)
    a, b = 0.3, 0.1
    chain = Language(np.array([[1 - a, a], [b, 1 - b]]), np.array([1.0]), (("x",), ("yy",)))
    np.testing.assert_allclose(chain.stationary, [b / (a + b), a / (a + b)], rtol=1e-12)
    rate = (b * stats.bernoulli(a).entropy() + a * stats.bernoulli(b).entropy()) / (a + b) / math.log(2)
    assert facts(chain).entropy_bits_per_word == pytest.approx(rate, rel=1e-12)
    assert facts(chain).bytes_per_word == pytest.approx((2 * b + 3 * a) / (a + b), rel=1e-12)


def test_words_of_a_class_follow_zipfs_law():
    (language, *_) = languages(SMALL).values()
    np.testing.assert_allclose(language.word_share, stats.zipfian(1, 20).pmf(np.arange(1, 21)), rtol=1e-12)


def test_entropy_counted_in_a_long_sample_is_the_closed_form():
    source = replace(SMALL, families=1, languages_per_family=1, bytes_per_language=1_000_000)
    (language,), (known,) = languages(source).values(), entropy_rates(source).values()
    class_of = {word: c for c, words in enumerate(language.words) for word in words}
    pairs, counts, n_bytes, surprises = np.zeros((4, 4)), dict.fromkeys(class_of, 0), 0, []
    probability = {word: p for words in language.words for word, p in zip(words, language.word_share, strict=True)}
    for document in documents(source):
        words = document.text.split(" ")[:-1]
        n_bytes += len(document.text)
        for word in words:
            counts[word] += 1
        for one, two in pairwise(words):
            pairs[class_of[one], class_of[two]] += 1
            surprises.append(-math.log2(language.transition[class_of[one], class_of[two]] * probability[two]))
    n = pairs.sum()
    rows = [stats.entropy(row, base=2) for row in pairs]
    by_class = np.array([[counts[word] for word in words] for words in language.words])
    lexicon = [stats.entropy(row, base=2) for row in by_class]
    counted = np.average(rows, weights=pairs.sum(1)) + np.average(lexicon, weights=by_class.sum(1))
    # plug-in bias (free cells / 2n nats) plus five standard errors; successive words are correlated, hence the factor 2
    parameters = 4 * 3 + 4 * 19
    tolerance = parameters / (2 * n * math.log(2)) + 5 * 2 * np.std(surprises) / math.sqrt(n)
    assert tolerance < 0.1
    assert counted == pytest.approx(known.entropy_bits_per_word, abs=tolerance)
    assert np.mean(surprises) == pytest.approx(known.entropy_bits_per_word, abs=tolerance)
    assert n_bytes / sum(counts.values()) == pytest.approx(known.bytes_per_word, rel=0.005)
    np.testing.assert_allclose(by_class.sum(1) / by_class.sum(), language.stationary, atol=0.01)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(shares, shares)
def test_knobs_are_exact_and_do_not_touch_each_other(similarity, overlap):
    made = languages(replace(SMALL, syntax_similarity=similarity, lexical_overlap=overlap))
    unlike = languages(replace(SMALL, syntax_similarity=0.0, lexical_overlap=0.0))
    one, other = made["f0l0"], made["f0l1"]
    apart = syntax_distance(unlike["f0l0"], unlike["f0l1"])
    assert apart > 0.3
    assert syntax_distance(one, other) == pytest.approx((1 - similarity) * apart, abs=1e-12)
    shared = round(overlap * 20)
    assert lexical_jaccard(one, other) == pytest.approx(shared / (40 - shared), rel=1e-12)
    for ours, theirs in zip(one.words, other.words, strict=True):
        assert sum(a == b for a, b in zip(ours, theirs, strict=True)) == shared
    assert lexical_jaccard(one, made["f1l0"]) == 0
    # the other knob at another setting leaves this one's side bit for bit alone
    assert languages(replace(SMALL, syntax_similarity=0.5, lexical_overlap=overlap))["f0l1"].words == other.words
    same_syntax = languages(replace(SMALL, syntax_similarity=similarity, lexical_overlap=0.5))["f0l1"]
    np.testing.assert_array_equal(same_syntax.transition, other.transition)


def test_words_are_unique_lowercase_ascii_and_of_one_class():
    for language in languages(LanguagesText()).values():
        words = [word for of_class in language.words for word in of_class]
        assert len(set(words)) == len(words) == 8 * 64
        assert all(word.isascii() and word.islower() and word.isalpha() for word in words)


def test_syllables_join_without_ambiguity():
    some = module._SYLLABLES[::7]
    assert len({a + b + c for a in some for b in some for c in some}) == len(some) ** 3


def test_documents_are_of_the_asked_size_and_the_same_each_time():
    found = list(documents(SMALL))
    assert found == list(documents(SMALL))
    assert found != list(documents(replace(SMALL, seed=1)))
    for name in ("f0l0", "f0l1", "f0l2", "f1l0", "f1l1", "f1l2"):
        sizes = [len(d.text) for d in found if d.domain == name]
        assert sum(sizes) - sizes[-1] < 20_000 <= sum(sizes)
        assert np.mean(sizes) == pytest.approx(2000, rel=0.05)
    assert len({d.text for d in found}) == len(found)


def test_adding_languages_and_families_leaves_the_others_as_they_were():
    found = [d for d in documents(SMALL) if d.domain == "f0l1"]
    more = replace(SMALL, families=3, languages_per_family=5)
    assert [d for d in documents(more) if d.domain == "f0l1"] == found


def test_too_many_words_are_refused():
    with pytest.raises(InputError, match="words are needed; take fewer"):
        languages(LanguagesText(words_per_class=3_000_000))


def test_families_of_their_own_kinship_are_those_of_texts_with_that_kinship():
    kinships = (Kinship(syntax_similarity=0.0, lexical_overlap=0.6), Kinship(syntax_similarity=0.9, lexical_overlap=0.1))
    mixed = languages(replace(SMALL, kinships=kinships))
    for family, kinship in enumerate(kinships):
        alike = replace(SMALL, syntax_similarity=kinship.syntax_similarity, lexical_overlap=kinship.lexical_overlap)
        for own in range(3):
            name = f"f{family}l{own}"
            same = languages(alike)[name]
            np.testing.assert_array_equal(mixed[name].transition, same.transition)
            assert mixed[name].words == same.words
    distances = [syntax_distance(mixed[f"f{family}l0"], mixed[f"f{family}l1"]) for family in (0, 1)]
    assert distances[1] < 0.25 * distances[0]


def test_kinships_are_one_a_family_and_each_a_share():
    with pytest.raises(InputError, match="kinships: 1 was given, 2 or 0"):
        replace(SMALL, kinships=(Kinship(syntax_similarity=0.0, lexical_overlap=0.0),))
    with pytest.raises(InputError, match="lexical_overlap: 1.5 was given"):
        Kinship(syntax_similarity=0.0, lexical_overlap=1.5)


def test_known_facts_are_those_of_the_languages():
    about, spoken = known(SMALL), languages(SMALL)
    assert set(about) == set(spoken)
    assert about["f0l1"]["entropy_bits_per_byte"] == entropy_rates(SMALL)["f0l1"].entropy_bits_per_byte
    assert about["f0l1"]["syntax_distance"]["f0l2"] == syntax_distance(spoken["f0l1"], spoken["f0l2"])
    assert about["f0l1"]["lexical_jaccard"]["f1l0"] == 0
    assert "f0l1" not in about["f0l1"]["lexical_jaccard"]

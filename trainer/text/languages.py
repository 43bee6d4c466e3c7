r"""Families of artificial languages whose entropy rate is known exactly.

A language is a Markov chain over word classes (its syntax) and, for each class, a list of words chosen from by Zipf's law (its
lexicon). Every word belongs to one class and is followed by a space, so the text shows the classes and the chain has no hidden
state. With

=========== ===================================================================== ===========
symbol      meaning                                                               unit
=========== ===================================================================== ===========
C, n        word classes, words in each class
P           transition matrix between classes, `(C, C)`
pi          stationary distribution, pi P = pi, `(C,)`
z_r         share of the r-th word of a class, proportional to 1 / r, `(n,)`
b_cr        bytes of that word and its space, `(C, n)`                            bytes
H(p)        entropy of a distribution, -sum p log2 p                              bits
=========== ===================================================================== ===========

the entropy rate (Cover and Thomas, Elements of Information Theory, 2nd ed., eq. 4.27) is

    H_word = sum_c pi_c H(P_c) + H(z)  bits/word,      B = sum_cr pi_c z_r b_cr  bytes/word,      H = H_word / B  bits/byte.

It is the loss of a model that knows the language and has read the document so far. A document starts from pi, which adds
H(pi) - sum_c pi_c H(P_c) bits once, and a context that begins inside a word costs a little more.

Two knobs of a family do not touch each other, since syntax and lexicon are drawn from separate random streams:

- syntax: P_i = s P_family + (1 - s) Q_i, the rows of P_family and Q_i Dirichlet(1/2), s = ``syntax_similarity``;
- lexicon: in each class, round(o n) words, the same ranks in all languages of the family, are the family's, o =
  ``lexical_overlap``. The others are the language's own. Families share no words.

With ``kinships``, each family has an s and an o of its own: similarities side by side in one text.

A language follows from the seed, its family's and its own number, not from how many others there are, so adding languages to
an experiment leaves those already there as they were.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError
from trainer.text.document import Document, limited
from trainer.text_spec import LanguagesText

DOCUMENT_BYTES = 2000
"""Expected bytes of a document."""
DIRICHLET = 0.5
"""Concentration of a row of the transition matrix: from each class a few classes are likely to follow."""

# one consonant, one vowel, perhaps one more consonant: a row of such syllables can be taken apart in one way only
_SYLLABLES = [onset + vowel + coda for onset in "bdfgklmnprstvz" for vowel in "aeiou" for coda in ("", "n", "r", "s")]
_WORDS = len(_SYLLABLES) ** 3
# numbers of the random streams
_FAMILY_SYNTAX, _OWN_SYNTAX, _SHARED_RANKS, _WORD_NUMBERS, _DOCUMENT = range(1, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """One language, in the symbols of the module's text."""

    transition: NDArray[np.float64]
    """P, (C, C)."""
    word_share: NDArray[np.float64]
    """z, (n,), the same in every class."""
    words: tuple[tuple[str, ...], ...]
    """C lists of n words, most frequent first."""

    @property
    def stationary(self) -> NDArray[np.floating]:
        """pi, (C,): the solution of pi (I - P + 1 1^T) = 1^T."""
        classes = len(self.transition)
        return np.linalg.solve((np.eye(classes) - self.transition + 1).T, np.ones(classes))


@dataclass(frozen=True, slots=True)
class LanguageFacts:
    """What is known exactly of a language."""

    entropy_bits_per_byte: float
    entropy_bits_per_word: float
    bytes_per_word: float
    """Mean length of a word and its space, bytes."""


def documents(source: LanguagesText) -> Iterator[Document]:
    """Independent documents of about `DOCUMENT_BYTES`, one language after the other; the key is the document's number.

    Raises
    ------
    InputError
        More words are asked for than there are.
    """
    for (family, own), language in _numbered(source).items():
        entropy = (_DOCUMENT, family, own, source.seed)
        domain = f"f{family}l{own}"
        texts = _texts(language, entropy)
        yield from limited((Document(domain, f"{n}", text) for n, text in enumerate(texts)), source.bytes_per_language)


def languages(source: LanguagesText) -> dict[str, Language]:
    """Languages ``f0l0``, ``f0l1``, ..., ``f1l0``, ...: family and number in the family."""
    return {f"f{family}l{own}": language for (family, own), language in _numbered(source).items()}


def entropy_rates(source: LanguagesText) -> dict[str, LanguageFacts]:
    """Exact entropy rate of each language, by domain."""
    return {name: facts(language) for name, language in languages(source).items()}


def known(source: LanguagesText) -> dict[str, dict[str, Any]]:
    """What is known exactly of each domain: its entropy rate, and how far its syntax and lexicon are from the others'.

    Returns
    -------
    dict
        Domain -> ``entropy_bits_per_byte``, and ``syntax_distance`` and ``lexical_jaccard`` by the other domain.
    """
    spoken = languages(source)
    return {
        name: {
            "entropy_bits_per_byte": facts(language).entropy_bits_per_byte,
            "syntax_distance": {other: syntax_distance(language, spoken[other]) for other in spoken if other != name},
            "lexical_jaccard": {other: lexical_jaccard(language, spoken[other]) for other in spoken if other != name},
        }
        for name, language in spoken.items()
    }


def facts(language: Language) -> LanguageFacts:
    """Entropy rate and mean word length of a language, by the formulas of the module's text."""
    lengths = np.array([[len(word) + 1 for word in words] for words in language.words])
    syntax = language.stationary @ [_entropy(row) for row in language.transition]
    per_word = float(syntax + _entropy(language.word_share))
    word_bytes = float(language.stationary @ lengths @ language.word_share)
    return LanguageFacts(per_word / word_bytes, per_word, word_bytes)


def syntax_distance(one: Language, other: Language) -> float:
    """Total variation distance between the transitions of two languages, the mean over classes: 0 (equal) to 1 (disjoint).

    Within a family it is (1 - s) times its value at s = 0.
    """
    return float(0.5 * np.abs(one.transition - other.transition).sum(axis=1).mean())


def lexical_jaccard(one: Language, other: Language) -> float:
    """Share of the word forms of two languages that both have: k / (2n - k) within a family, k = round(o n); 0 between."""
    ours, theirs = ({word for words in language.words for word in words} for language in (one, other))
    return len(ours & theirs) / len(ours | theirs)


def _numbered(source: LanguagesText) -> dict[tuple[int, int], Language]:
    pairs = [(f, i) for f in range(source.families) for i in range(source.languages_per_family)]
    return {(family, own): _language(source, family, own) for family, own in pairs}


def _language(source: LanguagesText, family: int, own: int) -> Language:
    classes, n = source.word_classes, source.words_per_class
    kinship, concentration = source.kinship(family), np.full(classes, DIRICHLET)
    of_family = _rng(_FAMILY_SYNTAX, family, 0, source.seed).dirichlet(concentration, size=classes)
    of_own = _rng(_OWN_SYNTAX, family, own, source.seed).dirichlet(concentration, size=classes)
    transition = kinship.syntax_similarity * of_family + (1 - kinship.syntax_similarity) * of_own

    shared = round(kinship.lexical_overlap * n)
    family_words, own_words = _lexicon(source, family, 0), _lexicon(source, family, own + 1)
    order = _rng(_SHARED_RANKS, family, 0, source.seed).permuted(np.tile(np.arange(n), (classes, 1)), axis=1)
    words = np.where(order < shared, family_words, own_words)
    zipf = 1 / np.arange(1, n + 1)
    return Language(transition, zipf / zipf.sum(), tuple(tuple(row) for row in words.tolist()))


def _lexicon(source: LanguagesText, family: int, number: int) -> NDArray[np.str_]:
    """Words of one list, (C, n): the family's (0) or a language's; no two lists of one seed share a word."""
    # Cantor's pairing numbers the lists without knowing how many families and languages there are
    place = (family + number) * (family + number + 1) // 2 + number
    classes, n = source.word_classes, source.words_per_class
    if (place + 1) * classes * n > _WORDS:
        raise InputError(f"languages: more than {_WORDS:,} words are needed; take fewer families, languages, classes or words")
    # a step without a common factor with the number of words visits each word once
    rng = _rng(_WORD_NUMBERS, 0, 0, source.seed)
    step = int(rng.integers(_WORDS))
    while np.gcd(step, _WORDS) != 1:
        step = int(rng.integers(_WORDS))
    slots = place * classes * n + np.arange(classes * n, dtype=np.int64)
    numbers = (step * slots + rng.integers(_WORDS)) % _WORDS
    syllables, base = np.array(_SYLLABLES), len(_SYLLABLES)
    parts = syllables[numbers // base**2], syllables[numbers // base % base], syllables[numbers % base]
    return np.char.add(np.char.add(parts[0], parts[1]), parts[2]).reshape(classes, n)


def _texts(language: Language, entropy: tuple[int, int, int, int]) -> Iterator[str]:
    length = round(DOCUMENT_BYTES / facts(language).bytes_per_word)
    starts = language.stationary.cumsum()
    follows = language.transition.cumsum(axis=1)
    shares = language.word_share.cumsum()
    number = 0
    while True:
        rng = np.random.default_rng([*entropy[:3], number, entropy[3]])
        classes = _chain(starts, follows, rng.random(length))
        ranks = _pick(shares, rng.random(length))
        yield "".join(f"{language.words[c][r]} " for c, r in zip(classes, ranks, strict=True))
        number += 1


def _chain(starts: NDArray[np.float64], follows: NDArray[np.floating], draws: NDArray[np.floating]) -> list[int]:
    """Classes of one document: the first from the stationary distribution, each next one from the row of the last."""
    # all rows answer all draws at once, so that the loop only looks up
    successors = np.stack([_pick(row, draws) for row in follows]).tolist()
    chain = [int(_pick(starts, draws[:1])[0])]
    for step in range(1, len(draws)):
        chain.append(successors[chain[-1]][step])
    return chain


def _pick(cumulative: NDArray[np.floating], draws: NDArray[np.floating]) -> NDArray[np.int64]:
    # the last sum may fall short of 1 by rounding
    return np.minimum(np.searchsorted(cumulative, draws, side="right"), len(cumulative) - 1)


def _entropy(distribution: NDArray[np.float64]) -> float:
    positive = distribution[distribution > 0]
    return float(-(positive * np.log2(positive)).sum())


def _rng(stream: int, family: int, own: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([stream, family, own, seed])

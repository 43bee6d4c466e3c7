"""Facts about invented entities, as questions with their answers and as statements: what a model knows and can be asked.

An entity's name is that of its clan and its own: ``Dalo`` is of the clan ``Da``. A clan has a value for each of eight
attributes, drawn evenly from four, which all its members share; nothing but this text tells it. Clans come in two groups:

==========  ========================  ============
domain      line                      clans
==========  ========================  ============
``asked``   ``tree of Dalo? oak.``    first group
``told``    ``tree of Bena is elm.``  second group
==========  ========================  ============

In each domain each fact about each member comes once a round, in an order drawn anew each round. A base that reads both
domains knows the format of questions from the first group and facts of the second, so questions about the second group, which
no text holds, need both: continual pre-training that only tells of it can teach the facts while it loses the format.

Facts are alike in all splits, since what is held out is their order: validation text of ``told`` measures how well its facts
are known, in the format in which they are told.

After the fact-recall experiments of Allen-Zhu and Li (2024), Physics of Language Models: Part 3.1, arXiv:2309.14316.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trainer.text.document import Document, limited
from trainer.text_spec import FactsText

# attributes differ in their last letter and their values in the first, so that single bytes can carry a fact
ATTRIBUTES = {
    "colour": ("blue", "green", "red", "white"),
    "drink": ("cider", "juice", "milk", "tea"),
    "food": ("bread", "fish", "nuts", "rice"),
    "metal": ("copper", "gold", "iron", "tin"),
    "month": ("August", "June", "March", "October"),
    "music": ("blues", "folk", "jazz", "opera"),
    "sport": ("archery", "chess", "golf", "rowing"),
    "tree": ("ash", "elm", "oak", "pine"),
}
ASKED, TOLD = "asked", "told"
LINES = 64
"""Lines of a document."""

_SYLLABLES = [onset + vowel for onset in "bdfgklmnprstvz" for vowel in "aeiou"]
_CLANS, _ORDER = 1, 2  # numbers of the random streams


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its possible answers."""

    question: str
    answers: tuple[str, ...]
    right: int
    """Number of the right answer."""
    fact: int
    """Number of the fact, which the members of a clan share."""

    @property
    def statement(self) -> str:
        """The line that tells it."""
        return f"{self.question.removesuffix('?')} is {self.answers[self.right]}."


def documents(source: FactsText) -> Iterator[Document]:
    """Documents of `LINES` lines, domain ``asked`` and then ``told``; the key is the document's number in its domain."""
    groups = items(source)
    asked = [f"{item.question} {item.answers[item.right]}." for item in groups[ASKED]]
    told = [item.statement for item in groups[TOLD]]
    for group, (domain, lines) in enumerate({ASKED: asked, TOLD: told}.items()):
        texts = _texts(lines, (_ORDER, group, source.seed))
        yield from limited((Document(domain, f"{n}", text) for n, text in enumerate(texts)), source.bytes_per_domain)


def items(source: FactsText) -> dict[str, list[Item]]:
    """Each fact about each member as a question, by the domain that holds it: eight an entity."""
    rng = np.random.default_rng([_CLANS, source.seed])
    clans = rng.permutation(_SYLLABLES)[: 2 * source.clans]
    members = rng.permutation(_SYLLABLES)[: source.members]
    values = rng.integers(4, size=(len(clans), len(ATTRIBUTES)))
    groups: dict[str, list[Item]] = {ASKED: [], TOLD: []}
    for clan, member, attribute in product(range(len(clans)), members, range(len(ATTRIBUTES))):
        name, (word, answers) = (clans[clan] + member).capitalize(), list(ATTRIBUTES.items())[attribute]
        item = Item(f"{word} of {name}?", answers, int(values[clan, attribute]), clan * len(ATTRIBUTES) + attribute)
        groups[ASKED if clan < source.clans else TOLD].append(item)
    return groups


def _texts(lines: list[str], entropy: tuple[int, int, int]) -> Iterator[str]:
    waiting: list[str] = []
    for order in _rounds(len(lines), entropy):
        waiting += [lines[number] for number in order]
        while len(waiting) >= LINES:
            yield "\n".join(waiting[:LINES]) + "\n"
            waiting = waiting[LINES:]


def _rounds(size: int, entropy: tuple[int, int, int]) -> Iterator[NDArray[np.int64]]:
    done = 0
    while True:
        yield np.random.default_rng([*entropy, done]).permutation(size)
        done += 1

"""One byte-level BPE a domain, their vocabularies merged: equal tokens have one number, whichever domains they are of.

So a domain is cut into the same tokens whatever is trained beside it. The merger of Chang et al. 2024 (arXiv:2311.09205,
section 4.1): a target's own vocabulary and one that all added languages share; with ``own`` empty, one each. The number of
tokens is fixed, numbers that no vocabulary fills stay unused: a model has the same size alone and among others.
"""

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError
from trainer.text.document import SHUFFLED, Document
from trainer.text.tokenizers import BPE, END, FILE, readable, tokenizers_library
from trainer.text_spec import TokenizerSpec

if TYPE_CHECKING:
    from trainer.text.tokenizers import Tokens

LEARNED_FROM = 10_000_000
"""Bytes of each domain that a vocabulary is learnt from: they are held in memory."""


class MergedBPE:
    """A tokenizer that needs to know of which domain a text is."""

    end = 0

    def __init__(self, members: Mapping[str, BPE], spec: TokenizerSpec) -> None:
        numbers = {END: self.end}
        for member in members.values():
            for token in member.tokens:
                numbers.setdefault(token, len(numbers))
        if len(numbers) > spec.vocab_size:
            raise InputError(
                f"tokenizer.vocab_size: {spec.vocab_size} was given, the merged vocabularies hold {len(numbers)} tokens; "
                "raise it to that or more, or lower tokenizer.domain_vocab_size"
            )
        self.vocab_size = spec.vocab_size
        self._own = set(spec.own)
        self._members = dict(members)
        self._tokens = list(numbers)
        self._merged = {name: np.array([numbers[token] for token in bpe.tokens], np.uint32) for name, bpe in members.items()}

    @classmethod
    def train(cls, documents: Iterable[Document], spec: TokenizerSpec) -> "MergedBPE":
        """Learn a vocabulary of each domain, or of all that have none of their own, from its first `LEARNED_FROM` bytes.

        Raises
        ------
        InputError
            A domain has too few repeated pairs, there is none of a name in ``own``, or the vocabularies do not fit.
        """
        texts: dict[str, list[str]] = {}
        taken: Counter[str] = Counter()
        for document in documents:
            if taken[document.domain] < LEARNED_FROM:
                texts.setdefault(_member(document.domain, spec.own), []).append(document.text)
                taken[document.domain] += len(document.text.encode())
        if unknown := sorted(set(spec.own) - set(texts)):
            raise InputError(f"tokenizer.own: no domain {unknown[0]!r}, there are {', '.join(sorted(taken))}")
        field = "tokenizer.domain_vocab_size of {}"
        members = {
            name: BPE.train(texts[name], spec.domain_vocab_size, field=field.format(name or "the shared BPE"))
            for name in sorted(texts, key=lambda name: (name not in spec.own, name))
        }
        return cls(members, spec)

    @classmethod
    def load(cls, folder: Path, spec: TokenizerSpec) -> "MergedBPE":
        """Read ``tokenizer.json``.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        with readable(folder):
            members = json.loads((folder / FILE).read_text(encoding="utf-8"))
            return cls({name: BPE.from_json(json.dumps(member)) for name, member in members.items()}, spec)

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Each character of a byte-level token stands for one byte, (vocab_size,); 0 for numbers without a token."""
        lengths = np.zeros(self.vocab_size, dtype=np.int64)
        lengths[: len(self._tokens)] = [0 if token == END else len(token) for token in self._tokens]
        return lengths

    def encode(self, text: str, domain: str = "") -> NDArray[np.integer]:
        """Tokens of ``text``, (n_tokens,), by the BPE of ``domain``; a shuffled copy has that of its domain."""
        member = _member(domain, self._own)
        return self._merged[member][self._members[member].encode(text)]

    def decode(self, tokens: "Tokens") -> str:
        """Text of ``tokens``."""
        pieces = [self._tokens[int(token)] for token in tokens if token != self.end]
        return str(tokenizers_library().decoders.ByteLevel().decode(pieces))

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``: the BPE of each domain by its name, the shared one without."""
        members = {name: json.loads(member.to_json()) for name, member in self._members.items()}
        (folder / FILE).write_text(json.dumps(members, ensure_ascii=False), encoding="utf-8")


def _member(domain: str, own: Container[str]) -> str:
    """Name of the BPE that a domain has: its own, or the shared one's, which is empty."""
    name = domain.removesuffix(SHUFFLED)
    return name if not own or name in own else ""

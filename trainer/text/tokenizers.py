"""Text to tokens and back: bytes, or byte-level byte-pair encoding (BPE), one for all domains or one for each.

All encode any Unicode text without loss, and mark the end of a document with a token that no text produces.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError
from trainer.text.document import Document
from trainer.text_spec import TokenizerSpec

if TYPE_CHECKING:
    import tokenizers

    Tokens = Sequence[int] | NDArray[np.integer]

END = "<|end|>"
FILE = "tokenizer.json"


class Tokenizer(Protocol):
    """What the rest of the trainer needs of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids, the end-of-document token among them."""

    @property
    def end(self) -> int:
        """Token that follows each document."""

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes of UTF-8 that each token stands for, (vocab_size,); 0 for ``end``."""

    def encode(self, text: str, domain: str = "") -> NDArray[np.integer]:
        """Tokens of ``text``, (n_tokens,), without ``end``; ``domain`` matters where domains have BPEs of their own."""

    def decode(self, tokens: "Tokens") -> str:
        """Text of ``tokens``; ``end`` is left out, characters cut at the edges become U+FFFD."""

    def save(self, folder: Path) -> None:
        """Write what `load_tokenizer` needs into ``folder``."""


class Bytes:
    """A token is a byte of UTF-8; the end of a document is 0xFF, which UTF-8 never uses (RFC 3629, section 1)."""

    vocab_size = 256
    end = 0xFF

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """One byte a token, (256,)."""
        lengths = np.ones(self.vocab_size, dtype=np.int64)
        lengths[self.end] = 0
        return lengths

    def encode(self, text: str, domain: str = "") -> NDArray[np.integer]:
        """Bytes of ``text``, (n_bytes,)."""
        return np.frombuffer(text.encode(), dtype=np.uint8)

    def decode(self, tokens: "Tokens") -> str:
        """Text of ``tokens``."""
        values = np.asarray(tokens)
        kept = bytes(values[values != self.end].astype(np.uint8))
        return kept.decode(errors="replace")

    def save(self, folder: Path) -> None:
        """Nothing to keep."""


class BPE:
    """Byte-level BPE: starts from the 256 bytes and joins the most frequent pair until the vocabulary is full.

    Sennrich et al. 2016 (arXiv:1508.07909, section 3.2) over bytes, as in GPT-2; by the `tokenizers` library.
    """

    def __init__(self, model: "tokenizers.Tokenizer") -> None:
        self._model = model
        # a document that writes "<|end|>" is encoded letter by letter
        self._model.encode_special_tokens = True
        end = model.token_to_id(END)
        if end is None:
            raise InputError(f"the tokenizer has no token {END}")
        self.end = end
        self.vocab_size: int = model.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, field: str = "tokenizer.vocab_size") -> "BPE":
        """Learn ``vocab_size`` tokens, which ``field`` of the spec asks for, from ``texts``.

        Raises
        ------
        InputError
            The text has too few repeated pairs for so many tokens.
        """
        library = tokenizers_library()
        model = library.Tokenizer(library.models.BPE())
        model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        model.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            special_tokens=[END],
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        model.train_from_iterator(texts, trainer)
        if (reached := model.get_vocab_size()) < vocab_size:
            raise InputError(
                f"{field}: {vocab_size} was given, the train split has repeated pairs for {reached}; "
                "lower it or give more text"
            )
        return cls(model)

    @classmethod
    def load(cls, folder: Path) -> "BPE":
        """Read ``tokenizer.json``.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        with readable(folder):
            return cls.from_json((folder / FILE).read_text(encoding="utf-8"))

    @classmethod
    def from_json(cls, content: str) -> "BPE":
        """Read what `to_json` gave."""
        return cls(tokenizers_library().Tokenizer.from_str(content))

    @property
    def tokens(self) -> list[str]:
        """Tokens by their numbers, each byte as a printable character."""
        return [token for token, _ in sorted(self._model.get_vocab().items(), key=lambda item: item[1])]

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Each character of a byte-level token stands for one byte, (vocab_size,)."""
        return np.array([0 if token == END else len(token) for token in self.tokens], dtype=np.int64)

    def encode(self, text: str, domain: str = "") -> NDArray[np.integer]:
        """Tokens of ``text``, (n_tokens,)."""
        return np.array(self._model.encode(text).ids, dtype=np.uint32)

    def decode(self, tokens: "Tokens") -> str:
        """Text of ``tokens``."""
        return str(self._model.decode([int(token) for token in tokens if token != self.end]))

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        # not by its own save, which raises plain Exception on a full disk
        (folder / FILE).write_text(self._model.to_str(pretty=True), encoding="utf-8")

    def to_json(self) -> str:
        """What ``tokenizer.json`` holds."""
        return str(self._model.to_str())


def make_tokenizer(spec: TokenizerSpec, documents: Iterable[Document]) -> Tokenizer:
    """Tokenizer of ``spec``; ``documents`` are read only if it has to be learnt."""
    if spec.kind == "merged":
        from trainer.text.merged import MergedBPE

        return MergedBPE.train(documents, spec)
    return Bytes() if spec.kind == "bytes" else BPE.train((document.text for document in documents), spec.vocab_size)


def load_tokenizer(spec: TokenizerSpec, folder: Path) -> Tokenizer:
    """Tokenizer of ``spec`` that was saved in ``folder``."""
    if spec.kind == "merged":
        from trainer.text.merged import MergedBPE

        return MergedBPE.load(folder, spec)
    return Bytes() if spec.kind == "bytes" else BPE.load(folder)


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Whatever goes wrong with the tokenizer's file in ``folder`` is one line that names it."""
    try:
        yield
    except Exception as error:  # the library raises plain Exception
        raise InputError(f"{folder / FILE}: not a readable tokenizer ({error}); delete {folder} to make it anew") from None


def tokenizers_library() -> ModuleType:
    """The package ``tokenizers``, imported when first needed."""
    # trainings share a machine: a library that takes all cores slows the others
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tokenizers

    return tokenizers

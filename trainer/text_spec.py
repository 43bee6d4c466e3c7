"""TextSpec: a text source, its tokenizer, and how its documents are shared out. Importing this module reads no text."""

from dataclasses import dataclass, field
from typing import Literal

from trainer.strict import YOUNGER, require, short_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledText:
    """Text that every installation already has: docstrings and source of the standard library and the dependencies."""

    kind: Literal["installed"] = "installed"
    domains: tuple[Literal["prose", "code", "comments"], ...] = ("prose",)
    """``prose``: docstrings; ``code``: source without docstrings and comments; ``comments``: those on lines of their own."""
    max_bytes: int = 0
    """Stop a domain at this many bytes of UTF-8; 0 takes all there is."""

    def __post_init__(self) -> None:
        require(len(self.domains) > 0, "domains", list(self.domains), "at least one of prose, code, comments")
        require(self.max_bytes >= 0, "max_bytes", self.max_bytes, "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesText:
    """A folder of UTF-8 text, JSON lines or parquet: one file or one folder a domain (a language, say)."""

    kind: Literal["files"] = "files"
    path: str
    """The folder, absolute or relative to the working directory."""
    domains: tuple[str, ...] = ()
    """Names of files (without ending) or folders to read; empty reads all."""
    column: str = "text"
    """Key or column that holds the text in JSON lines and parquet."""
    max_bytes: int = 0
    """Stop a domain at this many bytes of UTF-8; 0 takes all there is."""
    splits: Literal["blocks", "ranges"] = field(default="blocks", metadata=YOUNGER)
    """What the splits of a ``.txt`` file are: ``blocks`` here and there, or ``ranges`` of lines counted from its end, for
    parallel files that end alike but lack lines here and there."""
    block_lines: int = field(default=32, metadata=YOUNGER)
    """Consecutive lines of a ``.txt`` file that make one document."""

    def __post_init__(self) -> None:
        require(self.path != "", "path", self.path, "a folder")
        require(self.max_bytes >= 0, "max_bytes", self.max_bytes, "0 or more")
        require(self.block_lines >= 1, "block_lines", self.block_lines, "1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinship:
    """How alike the languages of one family are, as the two fields of `LanguagesText`."""

    syntax_similarity: float
    lexical_overlap: float

    def __post_init__(self) -> None:
        require(0 <= self.syntax_similarity <= 1, "syntax_similarity", self.syntax_similarity, "a number from 0 to 1")
        require(0 <= self.lexical_overlap <= 1, "lexical_overlap", self.lexical_overlap, "a number from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagesText:
    """Families of artificial languages whose entropy rate is known; see :mod:`trainer.text.languages`."""

    kind: Literal["languages"] = "languages"
    families: int = 2
    languages_per_family: int = 3
    syntax_similarity: float = 0.8
    """0: languages of a family have independent word orders; 1: they share one."""
    lexical_overlap: float = 0.5
    """Share of word forms that a language takes from its family's common lexicon."""
    word_classes: int = 8
    words_per_class: int = 64
    bytes_per_language: int = 1_000_000
    seed: int = 0
    kinships: tuple[Kinship, ...] = field(default=(), metadata=YOUNGER)
    """Of each family, where they differ; empty gives all families the two numbers above."""

    def __post_init__(self) -> None:
        require(self.families >= 1, "families", self.families, "1 or more")
        require(self.languages_per_family >= 1, "languages_per_family", self.languages_per_family, "1 or more")
        Kinship(syntax_similarity=self.syntax_similarity, lexical_overlap=self.lexical_overlap)
        each = not self.kinships or len(self.kinships) == self.families
        require(each, "kinships", len(self.kinships), f"{self.families} or 0 (families is {self.families})")
        require(self.word_classes >= 2, "word_classes", self.word_classes, "2 or more")
        require(self.words_per_class >= 2, "words_per_class", self.words_per_class, "2 or more")
        require(self.bytes_per_language >= 1000, "bytes_per_language", self.bytes_per_language, "1000 or more")
        require(self.seed >= 0, "seed", self.seed, "0 or more")

    def kinship(self, family: int) -> Kinship:
        """How alike the languages of a family are."""
        if self.kinships:
            return self.kinships[family]
        return Kinship(syntax_similarity=self.syntax_similarity, lexical_overlap=self.lexical_overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceText:
    """A dataset of the Hugging Face Hub, streamed at a pinned revision (extra ``hub``)."""

    kind: Literal["huggingface"] = "huggingface"
    name: str
    """Dataset name such as ``owner/name``, or a local dataset folder."""
    revision: str
    """Commit hash: a dataset that moves is not an experiment."""
    subset: str = ""
    split: str = "train"
    column: str = "text"
    max_bytes: int = 100_000_000
    """Stop a domain at this many bytes of UTF-8."""
    subsets: tuple[str, ...] = field(default=(), metadata=YOUNGER)
    """Several subsets, such as languages, in place of one: a domain each, of its name."""

    def __post_init__(self) -> None:
        require(self.name != "", "name", self.name, "a dataset name")
        require(not (self.subset and self.subsets), "subset", self.subset, "none beside subsets")
        require(self.revision != "", "revision", self.revision, "a commit hash")
        require(self.max_bytes > 0, "max_bytes", self.max_bytes, "1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsText:
    """Facts about invented entities, asked for and told: a probe task; see :mod:`trainer.text.facts`."""

    kind: Literal["facts"] = "facts"
    clans: int = 32
    """Of each of the two groups, those that are asked about and those that are told of."""
    members: int = 8
    """Entities of a clan, which share their facts."""
    bytes_per_domain: int = 1_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        require(1 <= self.clans <= 35, "clans", self.clans, "1 to 35")
        require(1 <= self.members <= 70, "members", self.members, "1 to 70")
        require(self.bytes_per_domain >= 1000, "bytes_per_domain", self.bytes_per_domain, "1000 or more")
        require(self.seed >= 0, "seed", self.seed, "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralText:
    """Several sources as one text: the domains of all of them."""

    kind: Literal["several"] = "several"
    sources: tuple[InstalledText | FilesText | LanguagesText | HuggingFaceText | FactsText, ...]

    def __post_init__(self) -> None:
        require(len(self.sources) > 0, "sources", list(self.sources), "one source or more")


Source = InstalledText | FilesText | LanguagesText | HuggingFaceText | FactsText | SeveralText


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSpec:
    """Bytes (256 tokens), byte-level BPE trained on the train split, or one BPE a domain in a merged vocabulary."""

    kind: Literal["bytes", "bpe", "merged"] = "bytes"
    vocab_size: int = 256
    """Tokens; ``merged`` leaves unused what its vocabularies do not fill, so that a model's size does not depend on them."""
    domain_vocab_size: int = field(default=0, metadata=YOUNGER)
    """Tokens of each BPE of ``merged``."""
    own: tuple[str, ...] = field(default=(), metadata=YOUNGER)
    """Domains with a BPE of their own under ``merged``, the others share one; empty gives each its own."""

    def __post_init__(self) -> None:
        if self.kind == "bytes":
            require(self.vocab_size == 256, "vocab_size", self.vocab_size, "256 (the tokenizer is bytes)")
        else:
            require(257 <= self.vocab_size <= 2**31, "vocab_size", self.vocab_size, "257 or more")
        if self.kind == "merged":
            fits = 257 <= self.domain_vocab_size <= self.vocab_size
            require(fits, "domain_vocab_size", self.domain_vocab_size, f"257 to vocab_size = {self.vocab_size}")
        else:
            plain = self.domain_vocab_size == 0 and not self.own
            require(plain, "domain_vocab_size and own", [self.domain_vocab_size, *self.own], f"none (kind is {self.kind})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """A text source, its tokenizer, and how its documents are shared out."""

    source: Source = field(default_factory=InstalledText)
    tokenizer: TokenizerSpec = field(default_factory=TokenizerSpec)
    validation_share: float = 0.1
    """Share of documents held out for evaluation."""
    teacher_share: float = 0.3
    """Share of documents that only teachers are trained on."""
    gap_share: float = field(default=0.0, metadata=YOUNGER)
    """Share left out between two splits that are ranges, more than parallel files drift apart."""
    shuffled: bool = field(default=False, metadata=YOUNGER)
    """Beside each domain, make NAME.shuffled of its documents with their characters in random order: a null language."""

    def __post_init__(self) -> None:
        require(0 < self.validation_share < 1, "validation_share", self.validation_share, "a number between 0 and 1")
        require(
            0 <= self.teacher_share < 1 - self.validation_share,
            "teacher_share",
            self.teacher_share,
            "a number from 0 to below 1 - validation_share",
        )
        ranges = isinstance(self.source, FilesText) and self.source.splits == "ranges"
        room = 0 <= self.gap_share < (1 - self.validation_share - self.teacher_share) / 2
        require(room, "gap_share", self.gap_share, "a number from 0 to below half of what validation and teacher leave")
        require(ranges or self.gap_share == 0, "gap_share", self.gap_share, "0 (source.splits is not ranges)")

    @property
    def text_id(self) -> str:
        """12 hex digits that name the prepared token files."""
        return short_hash(self)

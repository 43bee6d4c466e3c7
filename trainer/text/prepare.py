"""From a text source to token files: split by document, encode, count, and write, whole or not at all."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError
from curselab.files import write_folder, write_json
from trainer.strict import short_hash, to_mapping
from trainer.text.document import SHUFFLED, Document
from trainer.text.prepared import META, PreparedText, open_text, token_file, total_sha256
from trainer.text.sources import documents, known, versions
from trainer.text.tokenizers import Tokenizer, make_tokenizer
from trainer.text_spec import TextSpec

Split = Literal["train", "teacher", "validation"]
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def assign_split(key: str, text: TextSpec) -> Split:
    """Split of the documents that have ``key``.

    The sha256 of "split:" and the key, read as a number u in [0, 1), decides: u below ``validation_share`` is validation, the
    next ``teacher_share`` is the teacher's, the rest is train. So ``teacher_share`` moves nothing in or out of validation.
    """
    # "split:" keeps the split independent of other uses of the key's hash, such as the order of installed files
    u = int.from_bytes(hashlib.sha256(f"split:{key}".encode()).digest()[:6], "big") / 2**48  # 48 bits are exact in a float
    if u < text.validation_share:
        return "validation"
    return "teacher" if u < text.validation_share + text.teacher_share else "train"


def range_split(position: float, text: TextSpec) -> Split | None:
    """Split of the documents at ``position`` of texts whose splits are ranges; None in the gaps between two of them.

    From the end: ``validation_share``, then ``teacher_share`` where there is one, then train, each after a ``gap_share``.
    """
    edge = text.validation_share
    if position < edge:
        return "validation"
    if text.teacher_share > 0:
        if edge + text.gap_share <= position < edge + text.gap_share + text.teacher_share:
            return "teacher"
        edge += text.gap_share + text.teacher_share
    return "train" if position >= edge + text.gap_share else None


def shuffled(document: Document) -> Document:
    """The document in a null language: its characters in an order that follows from them alone."""
    digest = hashlib.sha256(f"shuffled:{document.text}".encode()).digest()
    order = np.random.default_rng(list(digest)).permutation(len(document.text))
    return replace(document, domain=document.domain + SHUFFLED, text="".join(document.text[place] for place in order))


def prepare_text(spec: TextSpec, folder: Path) -> PreparedText:
    """Make ``folder`` with the tokens of ``spec``, or open it if it is there.

    Parameters
    ----------
    spec : TextSpec
        Source, tokenizer and shares of the splits.
    folder : Path
        Appears complete or not at all. Holds ``{domain}.{split}.bin`` (little-endian uint16, or uint32 for a vocabulary of
        more than 65,536 tokens), the tokenizer's file and ``meta.json``.

    Returns
    -------
    PreparedText

    Raises
    ------
    InputError
        The source cannot be read, a split has no document, or ``folder`` holds the text of another spec.
    """
    if not folder.exists():
        write_folder(folder, lambda temporary: _fill(spec, temporary))
    text = open_text(folder)
    if text.meta["spec"] != to_mapping(spec):
        raise InputError(f"{folder}: holds text of another spec (see its {META}); name another folder or delete it")
    return text


def _fill(spec: TextSpec, folder: Path) -> None:
    # learning a tokenizer reads the source twice, which keeps the text out of memory
    written = _split_documents(replace(spec, shuffled=False), Counter())
    tokenizer = make_tokenizer(spec.tokenizer, (document for document, split in written if split == "train"))
    tokenizer.save(folder)
    dtype = "<u2" if tokenizer.vocab_size <= 2**16 else "<u4"
    duplicates: Counter[str] = Counter()
    writers: dict[str, dict[Split, _Writer]] = {}
    for document, split in _split_documents(spec, duplicates):
        if document.domain not in writers:
            writers[document.domain] = _writers(document.domain, spec, folder, tokenizer, dtype)
        writers[document.domain][split].append(document.text)
    _refuse_empty(spec, writers)
    about = known(spec.source)
    domains = {
        domain: {
            "duplicates": duplicates[domain],
            "splits": {split: writer.facts() for split, writer in by_split.items()},
            **about.get(domain, {}),
        }
        for domain, by_split in sorted(writers.items())
    }
    meta = {
        "spec": to_mapping(spec),
        "text_id": spec.text_id,
        "vocab_size": tokenizer.vocab_size,
        "dtype": dtype,
        "domains": domains,
        "sha256": total_sha256(domains, folder),
        "versions": versions(spec.source),
    }
    write_json(folder / META, meta | {"digest": short_hash(meta)})


def _split_documents(spec: TextSpec, duplicates: Counter[str]) -> Iterator[tuple[Document, Split]]:
    """Documents and their splits, each with a shuffled copy if asked for; repeats within a domain are dropped and counted."""
    seen: set[tuple[str, bytes]] = set()
    for document in documents(spec.source):
        digest = hashlib.sha256(document.text.encode()).digest()
        if (document.domain, digest) in seen:
            duplicates[document.domain] += 1
            continue
        seen.add((document.domain, digest))
        split = assign_split(document.key, spec) if document.position is None else range_split(document.position, spec)
        if split is not None:
            yield document, split
            if spec.shuffled:
                yield shuffled(document), split


@dataclass(slots=True)
class _Writer:
    """Appends documents to one token file and counts them."""

    domain: str
    path: Path
    tokenizer: Tokenizer
    dtype: str
    used: NDArray[np.bool_]
    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def append(self, text: str) -> None:
        tokens = np.append(self.tokenizer.encode(text, self.domain), self.tokenizer.end).astype(self.dtype)
        content = tokens.tobytes()
        # opened each time: a thousand languages have more files than a process may keep open
        with self.path.open("ab") as file:
            file.write(content)
        self.digest.update(content)
        self.used[tokens] = True
        self.documents += 1
        self.bytes += len(text.encode())
        self.tokens += len(tokens)

    def facts(self) -> dict[str, int | str]:
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "tokens": self.tokens,
            "distinct_token_ids": int(self.used.sum()),
            "sha256": self.digest.hexdigest(),
        }


def _writers(domain: str, spec: TextSpec, folder: Path, tokenizer: Tokenizer, dtype: str) -> dict[Split, _Writer]:
    if not _SAFE.fullmatch(domain):
        allowed = "up to 100 ASCII letters, digits, '_', '-' and '.', not starting with '-' or '.'"
        raise InputError(f"domain {domain!r}: not usable in a file name; rename it, allowed are {allowed}")
    splits: tuple[Split, ...] = ("train", "teacher", "validation") if spec.teacher_share > 0 else ("train", "validation")
    return {
        split: _Writer(domain, folder / token_file(domain, split), tokenizer, dtype, np.zeros(tokenizer.vocab_size, bool))
        for split in splits
    }


def _refuse_empty(spec: TextSpec, writers: dict[str, dict[Split, _Writer]]) -> None:
    if not writers:
        raise InputError(f"text kind {spec.source.kind!r}: no document found; raise max_bytes or choose another source")
    for domain, by_split in writers.items():
        found = sum(writer.documents for writer in by_split.values())
        for split, writer in by_split.items():
            if writer.documents == 0:
                remedy = "give more text or change its share"
                raise InputError(f"domain {domain!r}: the {split} split is empty, {found} documents were found; {remedy}")

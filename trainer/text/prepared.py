"""Prepared text: one memory-mapped file of tokens for each domain and split, and ``meta.json``, which describes them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError
from curselab.integrity import sha256_of
from trainer.strict import from_mapping, short_hash
from trainer.text.tokenizers import FILE as TOKENIZER_FILE
from trainer.text.tokenizers import Tokenizer, load_tokenizer
from trainer.text_spec import TextSpec

META = "meta.json"


def token_file(domain: str, split: str) -> str:
    """Name of the file that holds the tokens of a domain's split."""
    return f"{domain}.{split}.bin"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedText:
    """Tokens of each domain and split, every document followed by the end-of-document token."""

    folder: Path
    meta: Mapping[str, Any]
    """Content of ``meta.json``."""
    tokenizer: Tokenizer
    _maps: dict[str, NDArray[np.unsignedinteger]] = field(default_factory=dict, repr=False)

    @property
    def sha256(self) -> str:
        """Hash of all token files and of the tokenizer: 64 hex digits."""
        return str(self.meta["sha256"])

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.tokenizer.vocab_size

    @property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes of UTF-8 that each token stands for, (vocab_size,)."""
        return self.tokenizer.token_bytes

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains, sorted."""
        return tuple(self.meta["domains"])

    def tokens(self, domain: str, split: str) -> NDArray[np.unsignedinteger]:
        """Tokens of a domain's split, (n_tokens,), memory-mapped; one fancy index gathers a batch as fast as from memory.

        Raises
        ------
        InputError
            No such domain or split.
        """
        self._facts(domain, split)
        name = token_file(domain, split)
        if name not in self._maps:  # kept open: mapping a file costs more than a batch
            self._maps[name] = np.memmap(self.folder / name, dtype=self.meta["dtype"], mode="r")
        return self._maps[name]

    def n_tokens(self, split: str, domain: str | None = None) -> int:
        """Tokens of a split, ends of documents included, in one domain or in all."""
        return self._sum("tokens", split, domain)

    def n_bytes(self, split: str, domain: str | None = None) -> int:
        """Bytes of UTF-8 of a split, in one domain or in all."""
        return self._sum("bytes", split, domain)

    def byte_premiums(self, reference: str) -> dict[str, float]:
        """Bytes of UTF-8 that each domain takes for what ``reference`` says in one, by their validation texts.

        Goldfish's "byte premium" (Chang et al. 2024, arXiv:2408.10441), on the passage that is the validation text of all
        languages of a parallel corpus. A null language has that of its own.

        Raises
        ------
        InputError
            No such domain, or the splits are not ranges, so that these texts need not say the same.
        """
        if self.meta["spec"]["source"].get("splits") != "ranges":
            raise InputError(f"{self.folder}: byte premiums need a parallel corpus, kind files with source.splits ranges")
        base = self.n_bytes("validation", reference)
        return {domain: self.n_bytes("validation", domain) / base for domain in self.domains}

    def _sum(self, what: str, split: str, domain: str | None) -> int:
        return sum(self._facts(name, split)[what] for name in ((domain,) if domain is not None else self.domains))

    def _facts(self, domain: str, split: str) -> Mapping[str, Any]:
        domains = self.meta["domains"]
        if domain not in domains:
            raise InputError(f"{self.folder}: no domain {domain!r}, there are {', '.join(domains)}")
        splits: Mapping[str, Mapping[str, Any]] = domains[domain]["splits"]
        if split not in splits:
            raise InputError(f"{self.folder}: no split {split!r}, there are {', '.join(splits)}")
        return splits[split]


def open_text(folder: Path) -> PreparedText:
    """Open what :func:`trainer.text.prepare_text` made; token files are mapped when first asked for.

    Raises
    ------
    InputError
        ``folder`` holds no prepared text, or a file in it is missing, damaged or of the wrong size.
    """
    path = folder / META
    if not path.is_file():
        raise InputError(f"{folder}: holds no prepared text ({META} is missing); delete the folder to make it anew")
    try:
        meta = json.loads(path.read_bytes())
        spec = from_mapping(TextSpec, meta["spec"])
        item = np.dtype(meta["dtype"]).itemsize
        expected = {
            token_file(domain, split): (facts["tokens"] * item, facts["sha256"])
            for domain, about in meta["domains"].items()
            for split, facts in about["splits"].items()
        }
        if meta.pop("digest") != short_hash(meta):
            raise ValueError("not what was written")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error}); delete {folder} to make it anew") from None
    for name, (size, digest) in expected.items():
        actual = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if actual != size:
            raise InputError(f"{folder / name}: holds {actual} bytes instead of {size}; delete {folder} to make it anew")
        if sha256_of(folder / name) != digest:
            raise InputError(f"{folder / name}: damaged; delete {folder} to make it anew")
    if total_sha256(meta["domains"], folder) != meta["sha256"]:  # all but the tokenizer has been seen to be whole
        raise InputError(f"{folder / TOKENIZER_FILE}: damaged; delete {folder} to make it anew")
    return PreparedText(folder, meta, load_tokenizer(spec.tokenizer, folder))


def total_sha256(domains: Mapping[str, Mapping[str, Any]], folder: Path) -> str:
    """Sha256 of all token files, by what ``meta.json`` says of them, and of the tokenizer's file in ``folder``."""
    lines = [
        f"{token_file(domain, split)} {facts['sha256']}\n"
        for domain, about in domains.items()
        for split, facts in about["splits"].items()
    ]
    if (folder / TOKENIZER_FILE).is_file():
        lines.append(f"{TOKENIZER_FILE} {sha256_of(folder / TOKENIZER_FILE)}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

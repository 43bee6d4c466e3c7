import json
from dataclasses import replace

import numpy as np
import pytest

from curselab.errors import InputError
from trainer.text import open_text, prepare_text
from trainer.text_spec import LanguagesText, TextSpec, TokenizerSpec

SPEC = TextSpec(source=LanguagesText(families=1, languages_per_family=2, bytes_per_language=60_000))


@pytest.fixture
def folder(tmp_path):
    prepare_text(SPEC, tmp_path / "text")
    return tmp_path / "text"


def test_tokens_are_mapped_once_and_counted(folder):
    text = open_text(folder)
    tokens = text.tokens("f0l0", "train")
    assert isinstance(tokens, np.memmap)
    assert tokens is text.tokens("f0l0", "train")
    assert not tokens.flags.writeable
    assert text.n_tokens("train", "f0l0") == len(tokens)
    assert text.n_tokens("train") == len(tokens) + len(text.tokens("f0l1", "train"))
    ends = int((np.asarray(tokens) == text.tokenizer.end).sum())
    assert text.n_bytes("train", "f0l0") == len(tokens) - ends
    assert text.n_bytes("train") == text.n_bytes("train", "f0l0") + text.n_bytes("train", "f0l1")
    assert (text.vocab_size, len(text.token_bytes), text.domains) == (256, 256, ("f0l0", "f0l1"))


def test_unknown_domain_and_split_are_named(folder):
    text = open_text(folder)
    with pytest.raises(InputError, match="no domain 'x', there are f0l0, f0l1"):
        text.n_tokens("train", "x")
    with pytest.raises(InputError, match="no split 'test', there are train, teacher, validation"):
        text.n_bytes("test")


def test_a_truncated_or_missing_file_is_named(folder):
    file = folder / "f0l1.teacher.bin"
    content = file.read_bytes()
    file.write_bytes(content[:-2])
    with pytest.raises(
        InputError, match=rf"f0l1\.teacher\.bin: holds {len(content) - 2} bytes instead of {len(content)}; delete"
    ):
        open_text(folder)
    file.unlink()
    with pytest.raises(InputError, match=r"f0l1\.teacher\.bin: holds 0 bytes"):
        open_text(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"spec": {"source": 3}}'])
def test_damaged_meta_is_named(folder, content):
    (folder / "meta.json").write_text(content)
    with pytest.raises(InputError, match=r"meta\.json: damaged"):
        open_text(folder)


def test_meta_without_a_key_is_damaged(folder):
    meta = json.loads((folder / "meta.json").read_text())
    for key in ("spec", "dtype", "domains"):
        (folder / "meta.json").write_text(json.dumps({k: v for k, v in meta.items() if k != key}))
        with pytest.raises(InputError, match=f"damaged .*{key}"):
            open_text(folder)


def test_a_folder_without_prepared_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no prepared text \(meta\.json is missing\)"):
        open_text(tmp_path)
    with pytest.raises(InputError, match="holds no prepared text"):
        prepare_text(SPEC, tmp_path)


def test_a_turned_bit_in_any_file_is_named_or_changes_nothing(tmp_path):
    folder = tmp_path / "text"
    prepare_text(replace(SPEC, tokenizer=TokenizerSpec(kind="bpe", vocab_size=280)), folder)
    meta, rng = open_text(folder).meta, np.random.default_rng(0)
    for file in sorted(folder.iterdir()):
        whole = bytearray(file.read_bytes())
        for at in rng.integers(len(whole), size=40 if file.suffix == ".json" else 3):
            damaged = whole.copy()
            damaged[at] ^= 1 << int(rng.integers(8))
            file.write_bytes(damaged)
            refusal = None
            try:
                found = open_text(folder).meta
            except InputError as error:
                refusal = str(error)
            if refusal is None:
                assert (file.name, found) == ("meta.json", meta)  # such as 1e-05 written 1E-05
            else:
                assert f"{file}: damaged" in refusal
                assert "\n" not in refusal
        file.write_bytes(whole)
    open_text(folder)

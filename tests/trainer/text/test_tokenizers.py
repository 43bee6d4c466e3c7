import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.text.tokenizers import BPE, END, Bytes, load_tokenizer, make_tokenizer
from trainer.text_spec import TokenizerSpec

TEXTS = ["the cat sat on the mat, the cat ate\n" * 20, "ein Bär — zwei Bären 🐻 " * 20]


@pytest.fixture(scope="module")
def bpe():
    return BPE.train(TEXTS, 288)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text())
def test_any_text_comes_back_and_no_token_is_the_end(bpe, text):
    for tokenizer in (Bytes(), bpe):
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        assert tokenizer.end not in tokens
        assert tokenizer.token_bytes[tokens].sum() == len(text.encode())


@pytest.mark.parametrize("text", [END, f"a{END}b", "\0\r\n\t  x ", "e\u0301 ≠ é", "\ufeff", "🐻" * 3])
def test_awkward_text_comes_back(bpe, text):
    for tokenizer in (Bytes(), bpe):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.end not in tokenizer.encode(text)


def test_bytes_are_the_bytes_of_utf8():
    np.testing.assert_array_equal(Bytes().encode("aé"), [0x61, 0xC3, 0xA9])
    assert Bytes().decode([0x61, 0xFF, 0xC3]) == "a\ufffd"
    assert Bytes().token_bytes.sum() == 255


def test_bpe_has_the_asked_size_and_joins_what_is_frequent(bpe):
    assert bpe.vocab_size == 288 == len(bpe.token_bytes)
    assert bpe.token_bytes[bpe.end] == 0
    assert (np.delete(bpe.token_bytes, bpe.end) >= 1).all()
    assert (bpe.token_bytes == 1).sum() == 256
    assert len(bpe.encode(TEXTS[0])) < len(TEXTS[0]) / 2
    assert bpe.decode([*bpe.encode("the cat"), bpe.end]) == "the cat"


def test_the_first_merge_is_the_most_frequent_pair():
    # Sennrich et al. 2016, fig. 1 and algorithm 1: of low x 5, lowest x 2, newer x 6, wider x 3 the first is "er"
    (merged,) = set(BPE.train(["low " * 5 + "lower " * 2 + "newer " * 6 + "wider " * 3], 258)._model.get_vocab()) - set(
        BPE.train(["aa"], 257)._model.get_vocab()
    )
    assert merged == "er"


def test_training_twice_gives_one_file(tmp_path, bpe):
    for name, tokenizer in (("a", bpe), ("b", BPE.train(iter(TEXTS), 288))):
        (tmp_path / name).mkdir()
        tokenizer.save(tmp_path / name)
    files = [(tmp_path / name / "tokenizer.json").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    assert json.loads(files[0])["added_tokens"][0]["content"] == END


def test_saved_and_loaded_is_the_same(tmp_path, bpe):
    bpe.save(tmp_path)
    again = load_tokenizer(TokenizerSpec(kind="bpe", vocab_size=288), tmp_path)
    text = TEXTS[1] + END
    np.testing.assert_array_equal(again.encode(text), bpe.encode(text))
    np.testing.assert_array_equal(again.token_bytes, bpe.token_bytes)
    assert (again.end, again.vocab_size) == (bpe.end, bpe.vocab_size)


def test_too_little_text_says_how_far_it_reaches():
    with pytest.raises(InputError, match=r"vocab_size: 500 was given, the train split has repeated pairs for 2\d\d"):
        BPE.train(["abc abc"], 500)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"model": '])
def test_a_missing_or_damaged_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json: not a readable tokenizer"):
        BPE.load(tmp_path)


def test_bytes_read_no_text_to_be_made():
    def untouched():
        raise AssertionError("read")
        yield

    assert make_tokenizer(TokenizerSpec(), untouched()).vocab_size == 256

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.text import prepare_text
from trainer.text.document import Document
from trainer.text.merged import MergedBPE
from trainer.text.tokenizers import BPE, load_tokenizer, make_tokenizer
from trainer.text_spec import FilesText, TextSpec, TokenizerSpec

TEXTS = {
    "en": "the cat sat on the mat, the cat ate\n" * 20,
    "de": "ein Bär — zwei Bären, das Bärenhaus am Haus 🐻 " * 20,
    "fi": "karhu karhut karhun, the cat, the mat, talossa metsässä vanhan puun alla " * 20,
}
DOCUMENTS = [Document(domain, "0", text) for domain, text in TEXTS.items()]
SPEC = TokenizerSpec(kind="merged", vocab_size=340, domain_vocab_size=270)


@pytest.fixture(scope="module")
def merged():
    return MergedBPE.train(DOCUMENTS, SPEC)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text(), st.sampled_from(["en", "de", "fi"]))
def test_any_text_comes_back_in_any_domain(merged, text, domain):
    tokens = merged.encode(text, domain)
    assert merged.decode(tokens) == text
    assert merged.end not in tokens
    assert merged.token_bytes[tokens].sum() == len(text.encode())


def test_equal_tokens_of_two_languages_have_one_number_and_others_two(merged):
    assert set(merged.encode("xyz", "en")) == set(merged.encode("xyz", "de"))  # letters
    words = {domain: set(BPE.train([text], 270).tokens[257:]) for domain, text in TEXTS.items()}
    assert words["en"] - words["de"]
    assert words["en"] & words["fi"]
    assert (merged.token_bytes > 1).sum() == len(set().union(*words.values()))
    assert (merged.token_bytes == 1).sum() == 256
    assert len(merged.token_bytes) == merged.vocab_size == 340


def test_a_language_is_cut_alike_whatever_is_beside_it(merged):
    alone, text = MergedBPE.train(DOCUMENTS[1:2], SPEC), TEXTS["de"]
    expected = [BPE.train([text], 270).tokens[i] for i in BPE.train([text], 270).encode(text)]
    for tokenizer in (alone, merged):
        assert [tokenizer._tokens[i] for i in tokenizer.encode(text, "de")] == expected
        np.testing.assert_array_equal(tokenizer.encode(text, "de.shuffled"), tokenizer.encode(text, "de"))


def test_added_languages_share_a_vocabulary_beside_the_targets_own():
    tokenizer = MergedBPE.train(DOCUMENTS, replace(SPEC, own=("en",)))
    both = BPE.train([TEXTS["de"], TEXTS["fi"]], 270)
    for domain in ("de", "fi"):
        assert [tokenizer._tokens[i] for i in tokenizer.encode("zwei karhu", domain)] == [
            both.tokens[i] for i in both.encode("zwei karhu")
        ]
    assert len(tokenizer.encode("the cat", "en")) < len(tokenizer.encode("the cat", "de"))
    # the target's tokens come first, as in the paper
    assert tokenizer._tokens[:270] == BPE.train([TEXTS["en"]], 270).tokens


def test_saved_and_loaded_is_the_same(tmp_path, merged):
    merged.save(tmp_path)
    again = load_tokenizer(SPEC, tmp_path)
    for domain, text in TEXTS.items():
        np.testing.assert_array_equal(again.encode(text, domain), merged.encode(text, domain))
    np.testing.assert_array_equal(again.token_bytes, merged.token_bytes)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content.pop("en")
    (tmp_path / "tokenizer.json").write_text(json.dumps(content)[:-9])
    with pytest.raises(InputError, match=r"tokenizer\.json: not a readable tokenizer"):
        load_tokenizer(SPEC, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 271}, r"vocab_size: 271 was given, the merged vocabularies hold 2\d\d tokens; raise it"),
        ({"own": ("sv",)}, "tokenizer.own: no domain 'sv', there are de, en, fi"),
        (
            {"vocab_size": 900, "domain_vocab_size": 800},
            r"domain_vocab_size of de: 800 was given, .* repeated pairs for 2\d\d",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        make_tokenizer(replace(SPEC, **changes), DOCUMENTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "merged", "vocab_size": 300},
        {"kind": "merged", "vocab_size": 300, "domain_vocab_size": 301},
        {"kind": "bpe", "vocab_size": 300, "domain_vocab_size": 270},
        {"kind": "bpe", "vocab_size": 300, "own": ("en",)},
    ],
)
def test_vocabularies_that_do_not_belong_to_the_kind_are_refused(fields):
    with pytest.raises(InputError, match="domain_vocab_size"):
        TokenizerSpec(**fields)


def test_prepared_text_is_cut_by_the_bpe_of_each_domain(tmp_path):
    (tmp_path / "corpus").mkdir()
    for domain in ("en", "fi"):
        content = "".join(f"{TEXTS[domain][:40].strip()} {i}\n" for i in range(200))
        (tmp_path / f"corpus/{domain}.txt").write_text(content)
    source = FilesText(path=str(tmp_path / "corpus"), splits="ranges", block_lines=4)
    text = prepare_text(TextSpec(source=source, tokenizer=SPEC, teacher_share=0.0, shuffled=True), tmp_path / "text")
    assert text.vocab_size == 340
    for domain in ("en", "fi"):
        tokens = np.asarray(text.tokens(domain, "validation"))
        last = text.tokenizer.decode(tokens[: np.flatnonzero(tokens == text.tokenizer.end)[0]])
        assert last in (tmp_path / f"corpus/{domain}.txt").read_text()
        np.testing.assert_array_equal(text.tokenizer.encode(last, domain), tokens[: len(text.tokenizer.encode(last, domain))])
        assert text.n_bytes("train", f"{domain}.shuffled") == text.n_bytes("train", domain)
        assert text.n_tokens("train", f"{domain}.shuffled") > text.n_tokens("train", domain)

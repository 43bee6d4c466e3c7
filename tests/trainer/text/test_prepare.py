import hashlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.text import prepare, prepare_text
from trainer.text.document import Document
from trainer.text.languages import entropy_rates
from trainer.text.prepare import assign_split, range_split, shuffled
from trainer.text_spec import FilesText, HuggingFaceText, InstalledText, LanguagesText, TextSpec, TokenizerSpec

BIBLE = Path(__file__).parents[3] / "../shared/corpora/bible_nt"
SPLITS = ("train", "teacher", "validation")
LANGUAGES = TextSpec(source=LanguagesText(families=1, languages_per_family=2, bytes_per_language=60_000))


def documents_of(text, domain, split):
    """Texts of a split, cut at the end-of-document tokens."""
    tokens = np.asarray(text.tokens(domain, split))
    ends = np.flatnonzero(tokens == text.tokenizer.end)
    assert ends[-1] == len(tokens) - 1
    return [text.tokenizer.decode(piece[:-1]) for piece in np.split(tokens, ends[:-1] + 1)]


def write_lines(folder, n_lines=640):
    folder.mkdir(exist_ok=True)
    (folder / "en.txt").write_text("".join(f"line {i} of many, many lines\n" for i in range(n_lines)))
    return str(folder)


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8")), st.floats(0.01, 0.5), st.floats(0, 0.49), st.floats(0, 0.49))
def test_teacher_share_moves_nothing_in_or_out_of_validation(key, validation, teacher, other):
    one, two = (TextSpec(validation_share=validation, teacher_share=share) for share in (teacher, other))
    assert (assign_split(key, one) == "validation") == (assign_split(key, two) == "validation")
    if teacher <= other and assign_split(key, one) == "teacher":
        assert assign_split(key, two) == "teacher"


def test_shares_are_met_and_independent_of_the_order_of_hashes():
    spec = TextSpec(validation_share=0.1, teacher_share=0.3)
    keys = sorted(map(str, range(40_000)), key=lambda key: hashlib.sha256(key.encode()).digest())
    for some in (keys, keys[:20_000]):  # installed files come in this order, and max_bytes takes the first
        counts = Counter(assign_split(key, spec) for key in some)
        for split, share in (("train", 0.6), ("teacher", 0.3), ("validation", 0.1)):
            five_errors = 5 * (share * (1 - share) / len(some)) ** 0.5
            assert counts[split] / len(some) == pytest.approx(share, abs=five_errors)


def sources(tmp_path):
    yield InstalledText(domains=("prose", "code"), max_bytes=150_000)
    yield FilesText(path=write_lines(tmp_path / "corpus"))
    yield LANGUAGES.source


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@pytest.mark.parametrize("source", range(3))
def test_every_source_becomes_its_own_text_again(tmp_path, source, kind):
    source = list(sources(tmp_path))[source]
    tokenizer = TokenizerSpec() if kind == "bytes" else TokenizerSpec(kind="bpe", vocab_size=280)
    spec = TextSpec(source=source, tokenizer=tokenizer, validation_share=0.3)
    text = prepare_text(spec, tmp_path / "text")
    expected: dict = {}
    for document in prepare.documents(source):
        expected.setdefault((document.domain, assign_split(document.key, spec)), {})[document.text] = None
    assert {(domain, split) for domain in text.domains for split in SPLITS} == set(expected)
    pieces: dict = {domain: [] for domain in text.domains}
    for (domain, split), texts in expected.items():
        assert documents_of(text, domain, split) == list(texts)
        pieces[domain] += texts
        facts = text.meta["domains"][domain]["splits"][split]
        tokens = text.tokens(domain, split)
        assert facts["documents"] == len(texts)
        assert facts["tokens"] == len(tokens)
        assert facts["distinct_token_ids"] == len(np.unique(tokens))
        assert facts["sha256"] == hashlib.sha256((tmp_path / f"text/{domain}.{split}.bin").read_bytes()).hexdigest()
        assert text.token_bytes[tokens].sum() == facts["bytes"] == sum(len(piece.encode()) for piece in texts)
    for in_domain in pieces.values():
        assert len(set(in_domain)) == len(in_domain)  # no document is in two splits


def test_huggingface_from_a_local_folder(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    from trainer.text.hub import folder_hash

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "tiny"
    folder.mkdir()
    texts = [f"document number {i}" for i in range(60)]
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": piece}) + "\n" for piece in [*texts, texts[0]]))
    spec = TextSpec(source=HuggingFaceText(name=str(folder), revision=folder_hash(folder)))
    text = prepare_text(spec, tmp_path / "text")
    assert text.domains == ("tiny",)
    assert sorted(piece for split in SPLITS for piece in documents_of(text, "tiny", split)) == sorted(texts)
    assert text.meta["domains"]["tiny"]["duplicates"] == 1


def test_same_spec_same_hash_and_other_text_another(tmp_path):
    one, two = (prepare_text(LANGUAGES, tmp_path / name) for name in "ab")
    assert one.sha256 == two.sha256
    other = replace(LANGUAGES, source=replace(LANGUAGES.source, seed=1))
    assert prepare_text(other, tmp_path / "c").sha256 != one.sha256


def test_a_complete_folder_is_opened_and_not_remade(tmp_path, monkeypatch):
    first = prepare_text(LANGUAGES, tmp_path / "text")
    monkeypatch.setattr(prepare, "documents", None)
    assert prepare_text(LANGUAGES, tmp_path / "text").sha256 == first.sha256
    with pytest.raises(InputError, match="holds text of another spec"):
        prepare_text(replace(LANGUAGES, validation_share=0.2), tmp_path / "text")


def test_interrupted_preparation_leaves_nothing_behind(tmp_path, monkeypatch):
    real = prepare.documents

    def interrupted(source):
        for number, document in enumerate(real(source)):
            if number == 20:
                raise KeyboardInterrupt
            yield document

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "documents", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare_text(LANGUAGES, tmp_path / "text")
    assert list(tmp_path.iterdir()) == []
    assert prepare_text(LANGUAGES, tmp_path / "text").domains == ("f0l0", "f0l1")


# a limit on file size stands for a full disk: both fail in the middle of a write
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from trainer.text import prepare_text
from trainer.text_spec import LanguagesText, TextSpec, TokenizerSpec
spec = TextSpec(source=LanguagesText(families=1, languages_per_family=2, bytes_per_language=60_000),
                tokenizer=TokenizerSpec(kind="bpe", vocab_size=280))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for size in (1000, 8_000, 20_000):  # the tokenizer, then a file of tokens
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        prepare_text(spec, Path(sys.argv[1]))
    except OSError as error:
        print(error.filename)
"""


def test_a_full_disk_is_an_os_error_that_names_the_folder_and_leaves_nothing(tmp_path):
    folder = tmp_path / "text"
    words = [sys.executable, "-c", FULL_DISK, str(folder)]
    done = subprocess.run(words, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(folder)] * 3
    assert list(tmp_path.iterdir()) == []


def test_without_a_teacher_share_there_is_no_teacher_split(tmp_path):
    text = prepare_text(replace(LANGUAGES, teacher_share=0.0), tmp_path / "text")
    with pytest.raises(InputError, match="no split 'teacher', there are train, validation"):
        text.tokens("f0l0", "teacher")


def test_an_empty_split_is_named(tmp_path):
    source = FilesText(path=write_lines(tmp_path / "corpus", n_lines=10))
    with pytest.raises(InputError, match=r"domain 'en': the \w+ split is empty, 1 documents were found; give more text"):
        prepare_text(TextSpec(source=source), tmp_path / "text")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "-x", "a b", "x" * 101, "a\n"])
def test_unsafe_domain_names_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(prepare, "documents", lambda source: iter([Document(name, "k", "text")]))
    with pytest.raises(InputError, match="not usable in a file name"):
        prepare_text(LANGUAGES, tmp_path / "text")


def test_a_large_vocabulary_takes_four_bytes_a_token(tmp_path, monkeypatch):
    from trainer.text.tokenizers import Bytes

    class Wide(Bytes):
        vocab_size = 70_000

    monkeypatch.setattr(prepare, "make_tokenizer", lambda spec, texts: Wide())
    text = prepare_text(LANGUAGES, tmp_path / "text")
    assert text.meta["dtype"] == "<u4"
    assert text.tokens("f0l0", "train").dtype.itemsize == 4


def test_bible_splits_by_block_number_in_all_languages(tmp_path):
    if not BIBLE.is_dir():
        pytest.skip("../shared/corpora/bible_nt is absent")
    text = prepare_text(TextSpec(source=FilesText(path=str(BIBLE))), tmp_path / "text")
    assert len(text.domains) == 24
    for domain in text.domains:
        size = sum(text.n_bytes(split, domain) for split in SPLITS)
        assert size == (BIBLE / f"{domain}.txt").stat().st_size
    # of 7,942 to 7,957 lines each, so of 249 blocks each, every one in the same split in all six
    counts = {
        domain: tuple(facts["documents"] for facts in text.meta["domains"][domain]["splits"].values())
        for domain in ("agr", "chr", "dik", "ewe", "lav", "ukr")
    }
    assert len(set(counts.values())) == 1


def test_ranges_are_cut_from_the_end_with_gaps_between_them():
    spec = TextSpec(source=FilesText(path="x", splits="ranges"), validation_share=0.2, teacher_share=0.25, gap_share=0.125)
    found = [range_split(position, spec) for position in (0, 0.19, 0.2, 0.32, 0.325, 0.57, 0.58, 0.69, 0.7, 1.3)]
    assert found == [*["validation"] * 2, *[None] * 2, *["teacher"] * 2, *[None] * 2, *["train"] * 2]
    alone = replace(spec, teacher_share=0.0)
    assert [range_split(position, alone) for position in (0.19, 0.21, 0.32, 0.33)] == ["validation", None, None, "train"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gap_share": 0.1}, "gap_share: 0.1 was given, 0 "),
        ({"source": FilesText(path="x", splits="ranges"), "gap_share": 0.4}, "gap_share: 0.4 was given, a number from 0 to"),
    ],
)
def test_a_gap_without_ranges_or_room_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        TextSpec(**changes)


def test_a_null_language_has_the_characters_of_its_documents_and_no_order(tmp_path):
    document = Document("deu", "3", "Am Anfang war das Wort, und das Wort war bei Gott. " * 20)
    null = shuffled(document)
    assert (null.domain, null.key) == ("deu.shuffled", "3")
    assert null.text != document.text
    assert Counter(null.text) == Counter(document.text)
    assert shuffled(document) == null
    pairs = Counter(pairwise(null.text))
    expected = document.text.count("W") * document.text.count("o") / len(document.text)  # 40 times in the original
    assert pairs["W", "o"] == pytest.approx(expected, abs=5 * expected**0.5)

    text = prepare_text(replace(LANGUAGES, shuffled=True, teacher_share=0.0), tmp_path / "text")
    assert text.domains == ("f0l0", "f0l0.shuffled", "f0l1", "f0l1.shuffled")
    for split in ("train", "validation"):
        assert documents_of(text, "f0l0.shuffled", split) == [
            shuffled(Document("f0l0", "", piece)).text for piece in documents_of(text, "f0l0", split)
        ]
    plain = prepare_text(replace(LANGUAGES, teacher_share=0.0), tmp_path / "plain")
    assert plain.meta["domains"]["f0l0"] == text.meta["domains"]["f0l0"]


def test_what_is_known_of_artificial_languages_is_in_the_meta(tmp_path):
    text = prepare_text(LANGUAGES, tmp_path / "text")
    rates = entropy_rates(LANGUAGES.source)
    for domain, other in (("f0l0", "f0l1"), ("f0l1", "f0l0")):
        about = text.meta["domains"][domain]
        assert about["entropy_bits_per_byte"] == rates[domain].entropy_bits_per_byte
        assert about["lexical_jaccard"] == {other: pytest.approx(1 / 3)}  # k / (2n - k), k = n / 2
    with pytest.raises(InputError, match="byte premiums need a parallel corpus"):
        text.byte_premiums("f0l0")


def test_no_translation_of_a_held_out_verse_is_trained_on(tmp_path):
    if not BIBLE.is_dir():
        pytest.skip("../shared/corpora/bible_nt is absent")
    codes = sorted(file.stem for file in BIBLE.glob("*.txt") if file.stem != "cha")  # Psalms, Gospels and Acts alone
    source = FilesText(path=str(BIBLE), domains=tuple(codes), splits="ranges", block_lines=8)
    spec = TextSpec(source=source, teacher_share=0.0, gap_share=0.065)
    edges: dict = {}
    for document in prepare.documents(source):
        split = range_split(document.position, spec)
        edges.setdefault(document.domain, {}).setdefault(split, []).append(int(document.key) * source.block_lines)
    held_out = {domain: max(by_split["validation"]) + source.block_lines for domain, by_split in edges.items()}
    trained = {domain: min(by_split["train"]) for domain, by_split in edges.items()}

    # by counting: a file lacks at most as many verses as it has fewer lines than the longest; Estonian has Genesis before it
    lines = {domain: (BIBLE / f"{domain}.txt").read_text().splitlines()[::-1] for domain in edges}
    counts = [len(lines[domain]) for domain in edges if domain != "est"]
    assert min(trained.values()) - max(held_out.values()) >= max(counts) - min(counts)

    # by content: where the line lengths around an edge are found again in Ukrainian, which lacks two verses
    lengths = {domain: np.log([len(line) + 1 for line in texts]) for domain, texts in lines.items()}

    def place(domain, edge):
        around = lengths[domain][edge - 100 : edge + 100]
        there = np.lib.stride_tricks.sliding_window_view(lengths["ukr"][edge - 250 : edge + 250], 200)
        found = np.corrcoef(np.vstack([around, there]))[0, 1:]
        return edge + int(np.argmax(found)) - 150 if max(found) > 0.45 else None

    in_training = {domain: place(domain, edge) for domain, edge in trained.items()}
    in_validation = {domain: place(domain, edge) for domain, edge in held_out.items()}
    located = {domain for domain in edges if in_training[domain] and in_validation[domain]}
    assert len(located) >= 15
    assert {"est", "quc", "zul"} <= located
    assert min(in_training[domain] for domain in located) > max(in_validation[domain] for domain in located)


def test_byte_premiums_of_parallel_text_are_ratios_of_its_bytes(tmp_path):
    (tmp_path / "corpus").mkdir()
    texts = {name: [f"{word} " * (i % 7) + f"{i}\n" for i in range(400)] for name, word in (("en", "word"), ("ru", "слово"))}
    for name, lines in texts.items():
        (tmp_path / f"corpus/{name}.txt").write_text("".join(lines[name == "ru" :]))  # one lacks a line
    spec = TextSpec(source=FilesText(path=str(tmp_path / "corpus"), splits="ranges", block_lines=4), teacher_share=0.0)
    premiums = prepare_text(spec, tmp_path / "text").byte_premiums("en")
    sizes = {name: len("".join(lines[-40:]).encode()) for name, lines in texts.items()}
    assert premiums == {"en": 1.0, "ru": sizes["ru"] / sizes["en"]}
    assert premiums["ru"] > 1.5


def test_importing_text_imports_nothing_heavy():
    program = (
        "import sys, trainer.text; print([m for m in ('torch', 'pyarrow', 'tokenizers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

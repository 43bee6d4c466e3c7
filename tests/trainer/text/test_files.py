import csv
import hashlib
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from curselab.errors import InputError
from trainer.text import files
from trainer.text_spec import FilesText

BIBLE = Path(__file__).parents[3] / "../shared/corpora/bible_nt"


def read(folder, **options):
    return list(files.documents(FilesText(path=str(folder), **options)))


def lines(n, word):
    return "".join(f"{word} {i}\n" for i in range(n))


def test_blocks_of_lines_give_back_the_file_and_split_alike_in_all_languages(tmp_path):
    (tmp_path / "aa.txt").write_text(lines(70, "one"), encoding="utf-8")
    (tmp_path / "bb.txt").write_text(lines(70, "два"), encoding="utf-8")
    found = read(tmp_path)
    assert [(d.domain, d.key) for d in found] == [(name, key) for name in ("aa", "bb") for key in "012"]
    assert "".join(d.text for d in found if d.domain == "bb") == lines(70, "два")
    assert [d.text.count("\n") for d in found[:3]] == [32, 32, 6]


def test_a_folder_is_a_domain_and_other_files_are_ignored(tmp_path):
    for name in ("en/b/two.txt", "en/one.txt", "fr/one.txt", "en/.hidden.txt", ".git/x.txt", "languages.csv", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    found = read(tmp_path)
    assert [(d.domain, d.key, d.text) for d in found] == [
        ("en", "b/two.txt:0", "en/b/two.txt\n"),
        ("en", "one.txt:0", "en/one.txt\n"),
        ("fr", "one.txt:0", "fr/one.txt\n"),
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_rows_are_documents_keyed_by_their_text(tmp_path, ending):
    texts = ["first", "two\nlines", "first", "ünï"]
    if ending == "jsonl":
        (tmp_path / "d.jsonl").write_text("\n\n".join(json.dumps({"id": 1, "body": text}) for text in texts))
    else:
        parquet.write_table(pyarrow.table({"id": [1] * 4, "body": texts}), tmp_path / "d.parquet")
    found = read(tmp_path, column="body")
    assert [d.text for d in found] == texts
    assert [d.key for d in found] == [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def test_domains_are_chosen_and_cut_each_for_itself(tmp_path):
    for name in ("c", "a", "b"):
        (tmp_path / f"{name}.txt").write_text(lines(320, "x"))
    found = read(tmp_path, domains=("c", "a"), max_bytes=300)
    assert [(d.domain, d.key) for d in found] == [("a", "0"), ("a", "1"), ("c", "0"), ("c", "1")]


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfhello\n")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "hello"}\n')
    assert [d.text for d in read(tmp_path)] == ["hello\n", "hello"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", r"a\.txt: holds no text"),
        ("a.txt", b"\n \n", r"a\.txt: holds no text"),
        ("a.txt", b"ok\n" * 40 + b"ab\xff", r"a\.txt: not UTF-8 at byte 122"),
        ("a.jsonl", b'{"text": "x"}\n{"text": "\xff"}\n', r"a\.jsonl: not UTF-8 at byte 24"),
        ("a.jsonl", b'{"text": "x"}\n\n{"text": \n', r"a\.jsonl, line 3: not JSON"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl, line 1: not JSON"),
        ("a.jsonl", b"[1]\n", r"a\.jsonl, line 1: list was given"),
        ("a.jsonl", b'{"body": "x", "id": 1}\n', r"a\.jsonl, line 1: no key 'text', there are body, id"),
        ("a.jsonl", b'{"text": 3}\n', r"a\.jsonl, line 1: 'text' holds int, a string is needed"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', r"a\.jsonl, line 1: 'text' holds half a surrogate pair"),
        ("a.parquet", b"PAR1 no", r"a\.parquet: not a parquet file"),
    ],
)
def test_a_bad_file_is_named_with_the_place_in_it(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_bad_parquet_columns_are_named(tmp_path):
    parquet.write_table(pyarrow.table({"text": ["a", None], "n": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet, row 2: 'text' holds NoneType"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"a\.parquet, row 1: 'n' holds int"):
        read(tmp_path, column="n")
    with pytest.raises(InputError, match=r"a\.parquet: no column 'body', there are text, n"):
        read(tmp_path, column="body")


def test_missing_folder_text_or_domain_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(InputError, match=r"no text found, looked for NAME\.txt, NAME\.jsonl, NAME\.parquet"):
        read(tmp_path)
    (tmp_path / "en.txt").write_text("x")
    (tmp_path / "fr.txt").write_text("x")
    with pytest.raises(InputError, match="no domain 'de', there are en, fr"):
        read(tmp_path, domains=("de",))


def test_ranges_count_blocks_from_the_end_alike_in_files_of_other_lengths(tmp_path):
    (tmp_path / "aa.txt").write_text(lines(24, "one"))
    (tmp_path / "bb.txt").write_text(lines(29, "zwei"))
    found = read(tmp_path, splits="ranges", block_lines=8)
    by_key = {(d.domain, d.key): d for d in found}
    assert len(by_key) == len(found) == 3 + 4
    assert by_key["aa", "0"].text == "".join(f"one {i}\n" for i in range(16, 24))
    assert by_key["bb", "0"].text == "".join(f"zwei {i}\n" for i in range(21, 29))
    assert by_key["bb", "3"].text.count("\n") == 29 % 8
    assert [by_key[domain, "2"].position for domain in ("aa", "bb")] == [16 / 24, 16 / 24]  # lengths of the shortest file
    orders = [[d.key for d in found if d.domain == domain and d.key != "3"] for domain in ("aa", "bb")]
    assert orders[0] == orders[1] == sorted(orders[0], key=lambda key: hashlib.sha256(key.encode()).digest())


def test_ranges_take_one_file_of_lines_a_domain(tmp_path):
    (tmp_path / "aa.txt").write_text("")
    with pytest.raises(InputError, match=r"aa\.txt: holds no text"):
        read(tmp_path, splits="ranges")
    (tmp_path / "aa.txt").write_text("x\n")
    (tmp_path / "aa.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(InputError, match="ranges, which takes one .txt file a domain; choose blocks"):
        read(tmp_path, splits="ranges")


def test_bible_is_read_whole_in_all_languages():
    if not BIBLE.is_dir():
        pytest.skip("../shared/corpora/bible_nt is absent")
    with (BIBLE / "languages.csv").open(encoding="utf-8", newline="") as table:
        published = {row["code"]: row for row in csv.DictReader(table)}
    digests = {code: hashlib.sha256() for code in published}
    for document in files.documents(FilesText(path=str(BIBLE))):
        digests[document.domain].update(document.text.encode())
    assert len(published) == 24
    assert {code: digest.hexdigest() for code, digest in digests.items()} == {c: row["sha256"] for c, row in published.items()}

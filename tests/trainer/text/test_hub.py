import builtins
import json

import pytest

from curselab.errors import InputError
from trainer.text import hub
from trainer.text_spec import HuggingFaceText

TEXTS = [f"row {i} äö" for i in range(5)]


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    # both libraries read the variable when they are imported, which an earlier test may have done
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": text, "n": 1}) + "\n" for text in TEXTS))
    return folder


def read(folder, **options):
    options.setdefault("revision", hub.folder_hash(folder))
    return list(hub.documents(HuggingFaceText(name=str(folder), **options)))


def test_a_local_dataset_is_read_row_by_row(dataset):
    found = read(dataset)
    assert [d.text for d in found] == TEXTS
    assert {d.domain for d in found} == {"tiny"}
    assert len({d.key for d in found}) == 5
    assert len(read(dataset, max_bytes=20)) == 2


def test_parquet_is_read_too(dataset):
    import pyarrow
    from pyarrow import parquet

    (dataset / "train.jsonl").unlink()
    parquet.write_table(pyarrow.table({"body": TEXTS}), dataset / "train.parquet")
    assert [d.text for d in read(dataset, column="body")] == TEXTS


def test_another_revision_is_refused_with_the_actual_hash(dataset):
    actual = hub.folder_hash(dataset)
    (dataset / "train.jsonl").write_text('{"text": "changed"}\n')
    with pytest.raises(InputError, match=f"is {actual}, but the folder's content has the hash {hub.folder_hash(dataset)}"):
        read(dataset, revision=actual)


def test_folder_hash_follows_names_and_content_only(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/x.jsonl").write_text("1")
    (tmp_path / "a/.cache").write_text("ignored")
    assert hub.folder_hash(tmp_path / "a") == hub.folder_hash(tmp_path / "b")
    (tmp_path / "b/sub/x.jsonl").rename(tmp_path / "b/sub/y.jsonl")
    assert hub.folder_hash(tmp_path / "a") != hub.folder_hash(tmp_path / "b")


def test_subsets_are_domains_of_their_names(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(name, subset, **options):
        asked.append((name, subset, options["revision"]))
        return iter([{"text": f"{subset} {i}"} for i in range(3)])

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = HuggingFaceText(name="owner/many", revision="c", subsets=("deu_Latn", "eng_Latn"), max_bytes=20)
    found = list(hub.documents(source))
    assert [(d.domain, d.text) for d in found] == [(name, f"{name} {i}") for name in source.subsets for i in range(2)]
    assert asked == [("owner/many", name, "c") for name in source.subsets]
    with pytest.raises(InputError, match="subset: the string 'a' was given, none beside subsets"):
        HuggingFaceText(name="owner/many", revision="c", subset="a", subsets=("b",))


def test_a_missing_column_or_split_is_named(dataset):
    with pytest.raises(InputError, match="no column 'body', there are text, n"):
        read(dataset, column="body")
    with pytest.raises(InputError, match="row 1: 'n' holds int"):
        read(dataset, column="n")
    with pytest.raises(InputError, match="cannot be read at revision") as caught:
        read(dataset, split="nowhere")
    assert "\n" not in str(caught.value)


def test_without_network_the_error_is_one_line(dataset):
    source = HuggingFaceText(name="owner/no-such-dataset", revision="0" * 40)
    with pytest.raises(InputError, match="owner/no-such-dataset: the dataset cannot be read at revision 000") as caught:
        list(hub.documents(source))
    assert "\n" not in str(caught.value)


def test_a_missing_extra_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'curselab\[hub\]'"):
        list(hub.documents(HuggingFaceText(name="a/b", revision="x")))

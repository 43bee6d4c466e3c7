import os
import platform
from dataclasses import replace
from importlib.metadata import version

import pytest

from curselab.errors import InputError
from trainer.text import installed, source_fingerprint
from trainer.text.sources import documents, versions
from trainer.text_spec import FactsText, FilesText, HuggingFaceText, InstalledText, LanguagesText, SeveralText, TextSpec


def test_fingerprint_of_files_follows_names_sizes_and_times(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("one")
    os.utime(file, ns=(1, 1))
    spec = TextSpec(source=FilesText(path=str(tmp_path)))
    first = source_fingerprint(spec)
    (tmp_path / "README.md").write_text("not text")
    assert source_fingerprint(spec) == first
    os.utime(file, ns=(1, 2))
    later = source_fingerprint(spec)
    file.write_text("longer")
    os.utime(file, ns=(1, 2))
    longer = source_fingerprint(spec)
    file.rename(tmp_path / "b.txt")
    assert len({first, later, longer, source_fingerprint(spec)}) == 4


def test_fingerprint_of_installed_follows_the_versions(monkeypatch):
    spec = TextSpec(source=InstalledText())
    first = source_fingerprint(spec)
    assert source_fingerprint(spec) == first
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    assert source_fingerprint(spec) != first


@pytest.mark.parametrize("source", [LanguagesText(), FactsText(), HuggingFaceText(name="a/b", revision="c")])
def test_fingerprint_of_the_others_follows_the_spec_alone(source):
    spec = TextSpec(source=source)
    assert source_fingerprint(spec) == source_fingerprint(TextSpec(source=replace(source)))
    assert source_fingerprint(spec) != source_fingerprint(replace(spec, validation_share=0.2))


def test_a_missing_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        source_fingerprint(TextSpec(source=FilesText(path=str(tmp_path / "nowhere"))))


def test_versions_are_those_installed():
    found = versions(InstalledText())
    assert found["numpy"] == version("numpy")
    assert found["python"] == platform.python_version()
    assert set(found) == {"python", *installed.DISTRIBUTIONS}
    assert versions(LanguagesText()) == {}


def test_several_sources_are_one_text_with_the_documents_of_each_and_go_stale_with_each(tmp_path, monkeypatch):
    (tmp_path / "deu.txt").write_text("eins\nzwei\n")
    parts = (
        InstalledText(domains=("code",), max_bytes=20_000),
        FilesText(path=str(tmp_path)),
        FactsText(clans=2, members=2, bytes_per_domain=5_000),
    )
    together = SeveralText(sources=parts)
    assert list(documents(together)) == [document for part in parts for document in documents(part)]
    assert {document.domain for document in documents(together)} == {"code", "deu", "asked", "told"}
    assert versions(together) == versions(InstalledText())
    spec = TextSpec(source=together)
    first = source_fingerprint(spec)
    (tmp_path / "deu.txt").write_text("eins\nzwei\ndrei\n")
    longer = source_fingerprint(spec)
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    assert len({first, longer, source_fingerprint(spec)}) == 3
    with pytest.raises(InputError, match="sources: .* one source or more"):
        SeveralText(sources=())

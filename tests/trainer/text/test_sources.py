import os
import platform
from dataclasses import replace
from importlib.metadata import version

import pytest

from curselab.errors import InputError
from trainer.text import installed, source_fingerprint
from trainer.text.sources import versions
from trainer.text_spec import FilesText, HuggingFaceText, InstalledText, LanguagesText, TextSpec


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


@pytest.mark.parametrize("source", [LanguagesText(), HuggingFaceText(name="a/b", revision="c")])
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

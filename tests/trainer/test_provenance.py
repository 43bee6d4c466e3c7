import shutil
from pathlib import Path

import pytest

import trainer.provenance
from trainer.provenance import code_hash, git_state, versions


@pytest.fixture
def house(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the rooms that a test may edit."""
    for room in ("analysis", "curselab", "figures", "sweeps", "trainer"):
        shutil.copytree(root / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(trainer.provenance, "ROOT", tmp_path)
    return tmp_path


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    trainer.provenance._read.cache_clear()


def test_comments_and_docstrings_do_not_count(house: Path) -> None:
    before = code_hash("trainer.run")
    edit(house / "trainer/losses.py", '"""Training losses', '"""Losses')
    edit(house / "trainer/losses.py", "import math", "import math  # for the logarithm")
    assert code_hash("trainer.run") == before


def test_a_changed_formula_counts_wherever_it_is_imported(house: Path) -> None:
    run_before, text_before = code_hash("trainer.run"), code_hash("trainer.text.prepare")
    edit(house / "trainer/losses.py", "math.log(2)", "math.log(3)")
    assert code_hash("trainer.run") != run_before
    assert code_hash("trainer.text.prepare") == text_before


@pytest.mark.parametrize(("edited", "other"), [("capacity_gap", "scaling"), ("scaling", "capacity_gap")])
def test_one_law_does_not_touch_another(house: Path, edited: str, other: str) -> None:
    def hashes(law: str) -> tuple[str, str]:
        return code_hash("analysis.fit", f"analysis.laws.{law}"), code_hash("figures.draw", f"figures.{law}")

    before, untouched = hashes(edited), hashes(other)
    for room in ("analysis/laws", "figures"):
        with (house / room / f"{edited}.py").open("a") as file:
            file.write("\nEDITED = 1\n")
    trainer.provenance._read.cache_clear()
    assert hashes(other) == untouched
    assert all(now != then for now, then in zip(hashes(edited), before, strict=True))


def test_state_and_versions_are_plain_and_known() -> None:
    assert set(git_state()) == {"git_revision", "git_dirty"}
    assert versions()["torch"].startswith("2.")

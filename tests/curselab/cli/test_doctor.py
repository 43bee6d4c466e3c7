import importlib.metadata
import os

import pytest

from curselab.cli import doctor
from tests.curselab.cli.asking import rows


def test_the_machine_is_described(ask) -> None:
    facts = {row["what"]: row["found"] for row in rows(ask("doctor", "--no-peak", "--format", "json"))}
    assert facts["cores"] == os.cpu_count()
    assert 1 <= facts["cores_usable"] <= facts["cores"]
    assert facts["torch"] == importlib.metadata.version("torch")
    assert facts["memory_gb"] > 0
    assert not any(what.startswith("gflop") for what in facts)


def test_missing_packages_are_named_by_extra_and_a_needed_one_is_refused(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=2.0", 'nonexistent-hub-package>=3; extra == "hub"']
    monkeypatch.setattr(doctor, "requires", lambda name: wanted)
    done = ask("doctor", "--no-peak")
    assert done.returncode == 0
    assert "lacks nonexistent-hub-package>=3" in done.stdout
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=9999"])
    done = ask("doctor")
    assert done.returncode == 1
    assert done.stderr.startswith("curselab: installation: numpy>=9999 is needed")

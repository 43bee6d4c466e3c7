import json
from pathlib import Path

import numpy as np
import pytest

from curselab.errors import InputError
from curselab.integrity import CHECKED, digests, require_intact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in CHECKED:
        (tmp_path / name).write_bytes(np.random.default_rng(len(name)).bytes(300))
    (tmp_path / "provenance.json").write_text(json.dumps({"run_id": "x", "sha256": digests(tmp_path)}))
    return tmp_path


@pytest.mark.parametrize("name", CHECKED)
def test_any_turned_bit_and_any_cut_is_refused_with_the_file(folder: Path, name: str) -> None:
    require_intact(folder)
    whole = (folder / name).read_bytes()
    flipped = [bytes([*whole[:at], whole[at] ^ 1 << at % 8, *whole[at + 1 :]]) for at in range(0, len(whole), 7)]
    for content in (*flipped, *(whole[:size] for size in range(0, len(whole), 29)), whole + b"0"):
        (folder / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: missing, damaged or cut short; 'snakemake --forcerun train'"):
            require_intact(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: missing"):
        require_intact(folder)


def test_what_is_not_recorded_passes(folder: Path) -> None:
    (folder / "provenance.json").write_text("{}")
    require_intact(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"sha256": 3}', '{"sha256": [1]}', "null"])
def test_a_damaged_record_is_refused(folder: Path, content: str) -> None:
    (folder / "provenance.json").write_text(content)
    with pytest.raises(InputError, match=r"provenance.json: missing or damaged"):
        require_intact(folder)

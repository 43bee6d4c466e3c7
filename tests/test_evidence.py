"""The page of evidence is what its script writes, and the script measures what it is asked to and nothing else."""

import lightning  # noqa: F401  (its import draws from Python's global generator, which no test may do)
import pytest

from benchmarks import evidence
from curselab.errors import InputError


def test_the_page_has_a_row_of_every_claim_and_nothing_that_was_typed() -> None:
    text = evidence.PAGE.read_text()
    found = evidence.read(text)
    assert list(found) == list(evidence.CLAIMS)
    assert evidence.page(found) == text
    for said, day in found.values():
        assert (said, day) == evidence.NOTHING or day.startswith("20")


def test_only_the_named_rows_are_measured(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise InputError("no data here")

    claims = {name: evidence.Claim(name, "by hand", measure) for name, measure in (("one", lambda: "1"), ("two", fails))}
    monkeypatch.setattr(evidence, "CLAIMS", claims)
    monkeypatch.setattr(evidence, "PAGE", tmp_path / "evidence.md")
    evidence.PAGE.write_text(evidence.page({"one": ("0", "2020-01-01"), "two": ("2", "2020-01-02")}))
    monkeypatch.setattr("sys.argv", ["evidence", "--only", "two"])
    evidence.main()
    assert evidence.read(evidence.PAGE.read_text()) == {"one": ("0", "2020-01-01"), "two": ("2", "2020-01-02")}
    monkeypatch.setattr("sys.argv", ["evidence"])
    evidence.main()
    found = evidence.read(evidence.PAGE.read_text())
    assert (found["one"][0], found["two"]) == ("1", ("2", "2020-01-02"))


def test_shares_are_near_careful_or_bold_by_their_distance_from_their_level(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["law,test,nominal_percent,rejected_percent,lower_percent,upper_percent,replicates"]
    rows += ["a,near,5,6.9,6,8,20", "a,careful,5,2.9,2,4,1000", "b,bold,2.5,3.6,2,5,200", "b,near,2.5,1.6,1,2,200"]
    (tmp_path / "results/reference").mkdir(parents=True)
    (tmp_path / "results/reference/shares.csv").write_text("\n".join(rows))
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    said, _ = evidence.simulated("shares.csv", "rejected_percent", "test", bold=1)
    assert said.startswith("2 of 4 near their level; beyond chance 2 are more careful and 1 less (20 to 1,000 tables each)")
    assert said.endswith("Farthest: 3.6 % [2.0, 5.0] for 2.5 %, b, bold")
    assert evidence.simulated("absent.csv", "rejected_percent", "test", bold=1) == evidence.NOTHING


def test_the_newest_section_of_the_log_is_pointed_to_as_the_manual_names_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "LOG", tmp_path / "log.md")
    evidence.LOG.write_text("# Log\n\n## 10,000 runs: 18 s, no more\n\nNew.\n\n## 10,000 runs\n\nOld.\n")
    assert evidence.logged("000 runs")[0] == "[10,000 runs: 18 s, no more](log.md#10000-runs-18-s-no-more)"
    assert evidence.logged("20,000 runs") == evidence.NOTHING

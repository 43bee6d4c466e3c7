from analysis.laws.constants import published_sets
from analysis.laws.registry import LAWS


def test_sets_hold_the_printed_numbers():
    sets = published_sets()
    slope = next(row for row in sets["zhang_2023"] if row["symbol"] == "slope")
    assert (slope["value"], slope["lower"], slope["law"]) == (2.498, None, "capacity_gap")  # T = 2.498 S - 11.498
    assert {rows[0]["law"] for rows in sets.values()} <= set(LAWS)


def test_every_constant_has_a_number_a_unit_a_trust_and_a_source():
    for rows in published_sets().values():
        for row in rows:
            assert isinstance(row["value"], float)
            assert row["unit"]
            assert row["source"]
            assert row["trust"] in ("primary", "secondary", "derived", "fitted")

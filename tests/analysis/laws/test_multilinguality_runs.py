import numpy as np
import pandas as pd
import pytest

from analysis.laws.multilinguality_runs import read_arms
from curselab.errors import InputError
from tests.analysis.multilinguality_factories import multilinguality_runs

SMALL = {"sizes": (6_000,), "tokens": (20_000, 63_000), "languages": 2, "seeds": 1, "noise": 0.0}


def _runs(**options):
    return multilinguality_runs(**SMALL | options)


def test_every_arm_has_its_name_and_what_was_added():
    arms = read_arms(_runs(ratios=(1, 10)))
    cells = arms.groupby(["mixture", "tokens"])["added"].unique()
    for D in (20_000, 63_000):
        assert list(cells["monolingual", D]) == [0]
        for arm in ("similar", "dissimilar", "null_language", "matched"):
            np.testing.assert_allclose(np.sort(cells[arm, D]), [D, 10 * D], rtol=1e-3)
    assert set(arms.loc[arms["mixture"] == "similar", "others"]) == {"similar0+similar1"}
    assert (
        arms.loc[arms["mixture"] == "monolingual", "seen"] == 20 * arms.loc[arms["mixture"] == "monolingual", "tokens"]
    ).all()
    # of one size, target data and length, all arms have added exactly the same
    mixed = arms[arms["added"] > 0].assign(ratio=lambda rows: (rows["added"] / rows["tokens"]).round())
    assert mixed.groupby(["tokens", "ratio"])["added"].agg(np.ptp).max() == 0


def test_the_capacity_ladder_joins_the_arm_of_its_languages():
    runs = _runs(ladder=(443_000,))
    assert set(runs.loc[runs["params_non_embedding"] == 443_000, "stage"]) == {"capacity"}
    arms = read_arms(runs)
    large = arms[arms["params"] == 443_000]
    assert set(large.loc[large["added"] > 0, "mixture"]) == {"similar"}
    strange = runs.assign(mixture=runs["mixture"].where(runs["stage"] != "capacity", runs["mixture"] + ", xyz 0.1"))
    assert "capacity" in set(read_arms(strange)["mixture"])


def test_a_matched_run_without_a_mixture_of_its_length_is_what_it_has_beyond_the_monolingual_one():
    runs = _runs(ratios=(3,))
    alone = read_arms(runs[runs["stage"].isin(["monolingual", "matched"])])
    np.testing.assert_allclose(alone.loc[alone["mixture"] == "matched", "added"], [3 * 20_000, 3 * 63_000] * 2)


@pytest.mark.parametrize(
    ("mixture", "others"),
    [
        ("deu 0.25 of 65536, eng 0.75", "eng"),
        ("deu 0.25 of 65536 drawn, eng.shuffled 5e-05, nld 0.7", "eng.shuffled+nld"),
        ("deu 1", ""),
        (None, ""),
    ],
)
def test_mixtures_are_read_as_the_trainer_writes_them(mixture, others):
    runs = _runs().iloc[:1].assign(domain="deu", mixture=[mixture])
    assert read_arms(runs)["others"].tolist() == [others]


def test_what_is_known_of_artificial_languages_is_kept():
    arms = read_arms(_runs(artificial=True))
    similar = arms[(arms["language"] == "l01") & (arms["mixture"] == "similar")]
    assert set(similar["syntax_similarity"]) == {0.9}
    assert set(similar["lexical_similarity"]) == {0.0}
    assert arms.loc[arms["mixture"] == "null_language", "syntax_similarity"].isna().all()
    assert "entropy" not in read_arms(_runs())


def test_bad_tables_are_one_line_errors():
    runs = _runs()
    for spoilt, words in (
        (runs.assign(domain="all"), "domain is all in row 0"),
        (runs.drop(columns="domain_tokens"), "column 'domain_tokens' is missing"),
        (runs.assign(mixture="deu"), "domains and shares such as"),
        (runs[runs["stage"] == "matched"].assign(tokens=400_000), "more than a monolingual run"),
    ):
        with pytest.raises(InputError, match=words):
            read_arms(pd.DataFrame(spoilt))

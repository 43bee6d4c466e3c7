import re
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest
from scipy import stats

from curselab.errors import InputError
from trainer.text.facts import ASKED, ATTRIBUTES, TOLD, documents, items
from trainer.text_spec import FactsText

SOURCE = FactsText(clans=4, members=3, bytes_per_domain=30_000)
QUESTION = re.compile(r"(\w+) of (\w+)\? (\w+)\.")
STATEMENT = re.compile(r"(\w+) of (\w+) is (\w+)\.")


def lines(source: FactsText, domain: str) -> list[str]:
    return [line for document in documents(source) if document.domain == domain for line in document.text.splitlines()]


def test_members_of_a_clan_share_their_facts_and_groups_share_no_clan() -> None:
    clans = {}
    for domain, form in ((ASKED, QUESTION), (TOLD, STATEMENT)):
        facts = {form.fullmatch(line).groups() for line in lines(SOURCE, domain)}
        assert len(facts) == 4 * 3 * len(ATTRIBUTES)  # each entity has one value of each attribute
        by_clan = {(name[:2], attribute, value) for attribute, name, value in facts}
        assert len(by_clan) == 4 * len(ATTRIBUTES)
        assert all(value in ATTRIBUTES[attribute] for attribute, _, value in facts)
        clans[domain] = {clan for clan, _, _ in by_clan}
    assert not clans[ASKED] & clans[TOLD]


def test_items_ask_for_what_the_text_says() -> None:
    groups = items(SOURCE)
    told = set(lines(SOURCE, TOLD))
    asked = set(lines(SOURCE, ASKED))
    for item in groups[TOLD]:
        assert item.statement in told
        assert not any(line.startswith(item.question) for line in asked)  # never asked in any text
    assert {f"{item.question} {item.answers[item.right]}." for item in groups[ASKED]} == asked
    facts = Counter(item.fact for group in groups.values() for item in group)
    assert set(facts.values()) == {SOURCE.members}
    assert len(facts) == 2 * 4 * len(ATTRIBUTES)


def test_every_fact_comes_once_a_round_in_orders_of_their_own() -> None:
    size = 4 * 3 * len(ATTRIBUTES)
    all_lines = lines(SOURCE, TOLD)
    rounds = [all_lines[first : first + size] for first in range(0, 3 * size, size)]
    assert len({tuple(one) for one in rounds}) == 3
    assert all(len(set(one)) == size for one in rounds)


def test_single_letters_tell_attributes_and_answers_apart_and_values_are_evenly_drawn() -> None:
    assert len({attribute[-1] for attribute in ATTRIBUTES}) == len(ATTRIBUTES)
    for answers in ATTRIBUTES.values():
        assert len({answer[0] for answer in answers}) == len(answers) == 4
    right = [item.right for group in items(FactsText(clans=35, members=1)).values() for item in group]
    assert stats.chisquare(list(Counter(right).values())).pvalue > 0.001


def test_seeds_are_other_worlds_and_more_text_only_adds_documents() -> None:
    assert items(SOURCE) == items(replace(SOURCE, bytes_per_domain=99_000))
    assert items(SOURCE) != items(replace(SOURCE, seed=1))
    few = [document for document in documents(SOURCE) if document.domain == TOLD]
    more = (document for document in documents(replace(SOURCE, bytes_per_domain=99_000)) if document.domain == TOLD)
    assert list(islice(more, len(few))) == few
    assert len({document.key for document in few}) == len(few)


@pytest.mark.parametrize("bad", [{"clans": 36}, {"members": 0}, {"bytes_per_domain": 10}, {"seed": -1}])
def test_bad_numbers_are_refused(bad: dict) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        FactsText(**bad)

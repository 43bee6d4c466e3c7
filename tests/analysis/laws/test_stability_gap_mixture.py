import pytest

from analysis.laws.stability_gap_mixture import Part, arms_of, read_mixture, strategies_of
from curselab.errors import InputError
from tests.analysis.stability_gap_factories import FACTORIAL, mixture

TOKENS = 100_000


def rows(*mixtures, stage="strategy", old=("prose", "told")):
    """Runs of one seed, as ``read_conditions`` hands them over."""
    found = []
    for i, text in enumerate(mixtures):
        parts = read_mixture(text)
        new = [domain for domain in parts if domain not in old]
        own = {"run_id": str(i), "stage": stage, "mixture": text, "parts": parts, "old": old, "tokens": TOKENS}
        found.append(own | {"new": new[0] if new else "", "status": "ok", "train_flop": 1.0, "unit": (0, 0)})
    return found


def test_mixtures_of_the_contract_are_read():
    assert read_mixture("deu 0.25 of 65536, eng 0.75") == {"deu": Part(0.25, 65536, "first"), "eng": Part(0.75, None, "first")}
    assert read_mixture("a b 1e-01 of 10 lowest_perplexity, c 0.9")["a b"] == Part(0.1, 10, "lowest_perplexity")
    assert read_mixture(None) == {}
    with pytest.raises(InputError, match="mixture is 'code'"):
        read_mixture("code")


def test_each_cell_of_the_factorial_is_told_by_its_mixture():
    mixtures = {mixture(cell, TOKENS): cell for cell in FACTORIAL}
    found = arms_of(rows(*mixtures))
    assert {text: arm.strategies for (_, text), (arm, _) in found.items()} == mixtures
    arms = {arm.strategies: arm for arm, _ in found.values()}
    assert arms["subset", "quality", "mixture", "fixed"].name == "subset + quality + mixture + fixed"
    assert [arms[cell].replayed for cell in FACTORIAL[:3]] == [0.0, 0.25, 0.25]
    assert [arms[cell].unique_tokens for cell in ((), ("subset",))] == [80_000, 20_000]


def test_arms_stand_in_an_order_to_read():
    odd = ("code 0.8 of 20000 highest_perplexity, told 0.2", "prose 0.8, told 0.2")
    cells = [mixture(cell, TOKENS) for cell in (("subset", "mixture"), ("quality",), ())]
    members = [*rows(cells[2], odd[1], stage="kept"), *rows(*odd, *cells)]
    names = [arm.name for arm, _ in arms_of(members).values()]
    assert names == [
        "strategy, old text",
        "plain",
        "quality",
        "subset + mixture",
        "reversed filter",
        "kept, old text",
        "kept, new text",
    ]


def test_what_is_no_cell_has_a_name_of_its_own():
    odd = ("code 0.8 of 20000 highest_perplexity, told 0.2", "code 0.7, prose 0.1, told 0.2", "prose 0.8, told 0.2")
    cells = [mixture(cell, TOKENS) for cell in FACTORIAL]
    members = [*rows(*cells, *odd), *rows(cells[0], odd[2], stage="kept")]
    arms = {arm.name: arm for arm, _ in arms_of(members).values()}
    outside = {name: arm.strategies for name, arm in arms.items() if name not in {" + ".join(c) or "plain" for c in FACTORIAL}}
    expected = ("reversed filter", "strategy, new text and 10 % old", "strategy, old text", "kept, new text", "kept, old text")
    assert outside == dict.fromkeys(expected)
    assert not arms["kept, old text"].trains_on_new


def test_a_single_pass_over_chosen_text_is_no_subset():
    chosen = Part(0.5, 50_000, "lowest_perplexity")
    assert strategies_of([chosen], [], 100_000) == ("quality",)
    assert strategies_of([chosen], [], 200_000) == ("subset", "quality")
    assert strategies_of([], [chosen], 100_000) is None

"""Filters on text whose strangeness is known: documents of one language with those of another among them."""

import numpy as np
import pytest

from curselab.errors import InputError
from trainer.selection import choose, window_nats
from trainer.spec import DomainShare, TrainingSpec
from trainer.stream import Windows, make_stream
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import FilesText, TextSpec
from trainer.training import prepare

CONTEXT = 32
USUAL, STRANGE = "the cat sat on the mat and the dog lay by the door ", list("0123456789[]{}~;/|<>")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> PreparedText:
    """A domain with one strange line in five, whose teacher split is as the others; and another domain."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("corpus")
    for domain in ("new", "old"):
        usual = [(USUAL * 3)[shift : shift + 90] for shift in rng.integers(50, size=4000)]
        strange = ["".join(letters) for letters in rng.choice(STRANGE, size=(4000, 90))]
        lines = np.where(rng.random(4000) < 0.2, strange, usual)
        (folder / f"{domain}.txt").write_text("\n".join(lines))
    spec = TextSpec(source=FilesText(path=str(folder)))
    return prepare_text(spec, tmp_path_factory.mktemp("text") / spec.text_id)


def part(selection: str, tokens: int, share: float = 1.0) -> DomainShare:
    return DomainShare(domain="new", share=share, tokens=tokens, selection=selection)


def strange_share(text: PreparedText, windows: np.ndarray) -> float:
    rows = Windows([text.tokens("new", "train")], CONTEXT).gather(windows)[:, 1:]
    return float(np.mean([any(chr(token) in STRANGE for token in row) for row in rows.tolist()]))


def test_low_perplexity_is_usual_text_and_high_perplexity_strange_text(mixed: PreparedText) -> None:
    tokens = 500 * CONTEXT
    low, high, drawn = (
        strange_share(mixed, choose(part(name, tokens), mixed, split="train", context=CONTEXT, seed=0))
        for name in ("lowest_perplexity", "highest_perplexity", "drawn")
    )
    assert low == 0
    assert high == 1
    assert 0.15 < drawn < 0.6


@pytest.mark.parametrize("name", ["lowest_perplexity", "highest_perplexity", "drawn"])
def test_more_tokens_keep_the_same_windows_and_more(mixed: PreparedText, name: str) -> None:
    few, many = (choose(part(name, n * CONTEXT), mixed, split="train", context=CONTEXT, seed=0).tolist() for n in (40, 90))
    assert many[:40] == few
    assert len(set(many)) == 90


def test_seeds_draw_windows_of_their_own(mixed: PreparedText) -> None:
    one, other = (set(choose(part("drawn", 40 * CONTEXT), mixed, split="train", context=CONTEXT, seed=s)) for s in (0, 1))
    assert one != other


def test_the_filter_reads_the_teacher_split_alone(mixed: PreparedText, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    tokens = type(mixed).tokens
    monkeypatch.setattr(type(mixed), "tokens", lambda self, domain, split: read.append(split) or tokens(self, domain, split))
    learnt = []

    class Spy:
        def __init__(self, text: np.ndarray, **_: object) -> None:
            learnt.append(text)

        def nats(self, text: np.ndarray) -> np.ndarray:
            return np.arange(len(text), dtype=float)

    monkeypatch.setattr("trainer.selection.KneserNey", Spy)
    means = window_nats.__wrapped__(mixed, "new", "train", CONTEXT)
    assert set(read) == {"teacher", "train"}
    np.testing.assert_array_equal(learnt[0], tokens(mixed, "new", "teacher"))
    # a window's targets are the tokens after its first
    np.testing.assert_allclose(means[:2], [np.mean(range(1, 33)), np.mean(range(33, 65))])


def test_a_run_sees_the_chosen_windows_alone_each_once_an_epoch(mixed: PreparedText, spec, tmp_path) -> None:
    chosen = part("highest_perplexity", 50 * CONTEXT, share=0.5)  # all different
    mixture = (DomainShare(domain="old", share=0.5), chosen)
    run = spec(
        text=TextSpec(source=FilesText(path=mixed.meta["spec"]["source"]["path"])),
        training=TrainingSpec(tokens=200 * CONTEXT, batch_sequences=100, mixture=mixture),
    )
    windows = prepare(run, text=mixed, runs=tmp_path).windows
    wanted = Windows([mixed.tokens("new", "train")], CONTEXT).gather(
        choose(chosen, mixed, split="train", context=CONTEXT, seed=run.seed)
    )
    seen = make_stream(run, windows).batch(0)
    mine = [row for row in seen.tolist() if row in wanted.tolist()]
    assert len(mine) == 50
    assert sorted(mine) == sorted(wanted.tolist())


def test_too_many_or_too_few_tokens_are_refused(mixed: PreparedText) -> None:
    for tokens in (10**9, 5):
        with pytest.raises(InputError, match=rf"{tokens} tokens of domain 'new' were asked for, its train split has \d+ win"):
            choose(part("drawn", tokens), mixed, split="train", context=CONTEXT, seed=0)

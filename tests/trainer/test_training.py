"""What a run is trained and scored on: domains one by one, and the first tokens of a domain."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from curselab.errors import InputError
from trainer.run import run, run_in_folder
from trainer.spec import DomainShare, EvaluationSpec, RunSpec, StartSpec, TrainingSpec
from trainer.stream import make_stream
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import FactsText, LanguagesText, SeveralText, TextSpec
from trainer.training import RunResult, prepare

TWO = TextSpec(source=LanguagesText(families=1, languages_per_family=2, bytes_per_language=40_000))
CONTEXT, SEQUENCES = 32, 8


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> PreparedText:
    """Two languages of one family."""
    return prepare_text(TWO, tmp_path_factory.mktemp("two") / TWO.text_id)


@pytest.fixture
def trained(two: PreparedText, spec, tmp_path: Path):
    """Train a small run; keywords replace fields of the spec."""

    def train(**changes: object) -> RunResult:
        return run(spec(text=TWO, **changes), sweep="scaling", stage="run", text=two, runs=tmp_path)

    return train


def mixed(first: DomainShare, *others: DomainShare, tokens: int = 20 * SEQUENCES * CONTEXT) -> TrainingSpec:
    return TrainingSpec(tokens=tokens, batch_sequences=SEQUENCES, mixture=(first, *others))


def test_a_domain_is_scored_as_if_it_were_alone_and_training_does_not_notice(two: PreparedText, trained) -> None:
    first, second = two.domains
    together = trained()
    one = trained(evaluation=EvaluationSpec(tokens=4096, domains=(first,)))
    both = trained(evaluation=EvaluationSpec(tokens=4096, domains=(second, first)))
    alone = together.model.state_dict()
    for result in (one, both):
        assert all(torch.equal(alone[name], value) for name, value in result.model.state_dict().items())
    last = [row for row in both.metrics if row["step"] == 20 and row["split"] == "validation"]
    final = {(row["domain"], row["metric"]): row["value"] for row in last}
    assert final[first, "loss_nats_per_token"] == one.summary["loss_nats_per_token"]
    assert final[second, "loss_nats_per_token"] == both.summary["loss_nats_per_token"]
    assert (one.summary["domain"], both.summary["domain"], together.summary["domain"]) == (first, second, "all")
    assert {row["domain"] for row in together.metrics} == {"all"}


def test_only_the_first_tokens_of_a_domain_are_trained_on_each_as_often_as_the_others(
    two: PreparedText, spec, tmp_path
) -> None:
    first, second = two.domains
    seen = {}
    for wanted in (4 * CONTEXT, 10 * CONTEXT):
        chosen: RunSpec = spec(
            text=TWO,
            training=mixed(DomainShare(domain=first, share=0.5, tokens=wanted), DomainShare(domain=second, share=0.5)),
        )
        training = prepare(chosen, text=two, runs=tmp_path)
        rows = torch.cat([make_stream(chosen, training.windows).batch(number) for number in range(10)])
        inside = torch.from_numpy(two.tokens(first, "train")[: wanted + 1].astype("int64")).unfold(0, CONTEXT + 1, CONTEXT)
        assert len(inside) == wanted // CONTEXT  # the first tokens fill their windows
        counts = (rows[:, None] == inside[None]).all(-1).sum(0)
        assert counts.sum() == len(rows) // 2
        assert counts.max() - counts.min() <= 1
        seen[wanted] = {tuple(row.tolist()) for row in inside}
    assert seen[4 * CONTEXT] < seen[10 * CONTEXT]


def test_the_table_says_what_was_trained_on(two: PreparedText, trained) -> None:
    first, second = two.domains
    parts = (DomainShare(domain=first, share=0.25, tokens=1024), DomainShare(domain=second, share=0.75))
    summary = trained(training=mixed(*parts), evaluation=EvaluationSpec(tokens=4096, domains=(first,))).summary
    assert summary["mixture"] == f"{first} 0.25 of 1024, {second} 0.75"
    assert summary["domain_tokens"] == 20 * SEQUENCES * CONTEXT // 4 == 1280
    assert summary["domain_unique_tokens"] == 1024
    assert summary["unique_tokens"] == 1024 + two.n_tokens("train", second)
    other = trained(training=mixed(*parts), evaluation=EvaluationSpec(tokens=4096, domains=(second,))).summary
    assert other["domain_tokens"] == other["domain_unique_tokens"] == 3840
    unseen = trained(
        training=mixed(DomainShare(domain=second, share=1.0)), evaluation=EvaluationSpec(domains=(first,))
    ).summary
    assert unseen["domain_tokens"] == unseen["domain_unique_tokens"] == 0
    plain = trained().summary
    assert [plain[name] for name in ("mixture", "domain_tokens", "domain_unique_tokens")] == [None, None, None]


def test_a_domain_that_is_not_there_or_too_short_is_named(two: PreparedText, trained) -> None:
    first, second = two.domains
    with pytest.raises(InputError, match=f"no domain 'klingon', there are {first}, {second}"):
        trained(evaluation=EvaluationSpec(domains=("klingon",)))
    have = two.n_tokens("train", first)
    with pytest.raises(InputError, match=f"domain '{first}' of the train split has {have} tokens, {have} and the token after"):
        trained(training=mixed(DomainShare(domain=first, share=1.0, tokens=have)))
    with pytest.raises(InputError, match=f"domain '{first}' of the train split has 11 tokens, at least two windows"):
        trained(training=mixed(DomainShare(domain=first, share=1.0, tokens=10)))
    with pytest.raises(InputError, match=r"domains: \['a', 'a'\] was given, each domain once"):
        EvaluationSpec(domains=("a", "a"))


def test_a_continued_run_begins_where_its_base_ended_on_text_and_on_questions(spec, tmp_path: Path) -> None:
    facts = FactsText(clans=4, members=2, bytes_per_domain=30_000)
    chosen = TextSpec(source=SeveralText(sources=(facts, replace(TWO.source, languages_per_family=1))))
    text = prepare_text(chosen, tmp_path / chosen.text_id)
    evaluation = EvaluationSpec(tokens=2048, domains=("f0l0", "told"), every_step_until=2, questions=64)
    old = mixed(DomainShare(domain="f0l0", share=0.5), DomainShare(domain="asked", share=0.5))
    new = mixed(DomainShare(domain="told", share=1.0, tokens=2048, selection="lowest_perplexity"))
    base = spec(text=chosen, training=old, evaluation=evaluation, keep_weights=True, keep_optimizer=True)
    go_on = {"text": chosen, "training": new, "evaluation": evaluation, "start": StartSpec(base=base.run_id, optimizer="kept")}
    for one in (base, spec(**go_on)):
        run_in_folder(one, sweep="scaling", stage="run", runs=tmp_path, text=text)
    before, after = (read_metrics(tmp_path / one.run_id) for one in (base, spec(**go_on)))
    scored = ["loss_nats_per_token", "accuracy_share", "answer_nats"]
    ends = {key: value for key, value in before.items() if key[0] == 20 and key[3] in scored}
    assert len(ends) == 6  # two losses, and questions of two groups
    assert ends == {(20, *key[1:]): value for key, value in after.items() if key[0] == 0 and key[3] in scored}
    # the rate that the base ended with stands before the first step
    assert after[0, "train", "all", "learning_rate"] == before[20, "train", "all", "learning_rate"]
    assert (0, "train", "all", "learning_rate") not in before
    summary = json.loads((tmp_path / spec(**go_on).run_id / "summary.json").read_text())
    assert summary["mixture"] == "told 1 of 2048 lowest_perplexity"


def read_metrics(folder: Path) -> dict[tuple[int, str, str, str], float]:
    rows = pq.read_table(folder / "metrics.parquet").to_pylist()
    found = {(row["step"], row["split"], row["domain"], row["metric"]): row["value"] for row in rows}
    assert len(found) == len(rows)  # the key of the table
    return found

"""Questions against the likelihood of whole answers, token by token, and against models whose accuracy is known."""

import math

import numpy as np
import pytest
import torch

from curselab.errors import InputError
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.questions import QuestionProbe, Questions
from trainer.spec import EvaluationSpec, TrainingSpec
from trainer.text.facts import TOLD, Item, items
from trainer.text.tokenizers import BPE, Bytes
from trainer.text_spec import FactsText, SeveralText, TextSpec
from trainer.training import prepare

MODEL = ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32)
ITEMS = items(FactsText(clans=8, members=4))[TOLD]


def test_the_first_token_decides_as_the_whole_answer_would() -> None:
    model = Decoder(MODEL, 256, seed=0).eval()
    nats = []
    for item in ITEMS[:40]:
        of_answer = []
        for answer in item.answers:  # ln of the likelihood of the answer's first token, from a pass of its own
            tokens = torch.tensor([[255, *f"{item.question} {answer}".encode()]])
            place = 1 + len(item.question) + 1
            with torch.no_grad():
                of_answer.append(float(torch.log_softmax(model(tokens[:, :place])[0, -1], -1)[tokens[0, place]]))
        nats.append(-(of_answer[item.right] - math.log(sum(map(math.exp, of_answer)))))
    scores = Questions(ITEMS[:40], Bytes()).scores(model)
    assert scores["answer_nats"] == pytest.approx(np.mean(nats), abs=1e-5)
    assert scores["questions_count"] == 40


class Knows:
    """A model that knows the answers: it reads the question and puts all on the first letter of the answer."""

    def __init__(self, right: dict[str, str]) -> None:
        self.right = right
        self.training = False
        self.embedding = torch.nn.Embedding(1, 1)

    def eval(self) -> None:
        pass

    def train(self, mode: bool) -> None:
        pass

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros((*rows.shape, 256))
        for i, row in enumerate(rows.tolist()):
            question = bytes(token for token in row if token != 255).decode()
            place = len(question)
            logits[i, place, ord(self.right[question.strip()][0])] = 50.0
        return logits


def test_a_model_that_knows_has_all_right_and_one_that_errs_as_many_as_it_knows() -> None:
    right = {item.question: item.answers[item.right] for item in ITEMS}
    scores = Questions(ITEMS, Bytes()).scores(Knows(right))
    assert (scores["accuracy_share"], scores["accuracy_se_share"]) == (1.0, 0.0)
    assert scores["answer_nats"] == pytest.approx(0, abs=1e-12)
    wrong = {item.question: item.answers[(item.right + (item.fact % 2)) % 4] for item in ITEMS}
    scores = Questions(ITEMS, Bytes()).scores(Knows(wrong))
    assert scores["accuracy_share"] == 0.5
    # facts are wholly right or wholly wrong: the binomial error of their number, not of the questions'
    facts = len({item.fact for item in ITEMS})
    assert scores["accuracy_se_share"] == pytest.approx(0.5 / math.sqrt(facts - 1), rel=1e-12)


def test_longer_tokens_ask_the_same(spec) -> None:
    lines = [f"{item.question} {answer}. {item.statement}" for item in ITEMS for answer in item.answers]
    tokenizer = BPE.train(lines, 452)  # all that there is to learn
    asked = Questions(ITEMS, tokenizer)
    prompt, last = asked._prompts[0], asked._last[0]
    assert tokenizer.decode(prompt[1 : last + 1].tolist()).strip() == ITEMS[0].question
    three = Item("Is it?", ("so", "not so", "no"), 0, 0)
    with pytest.raises(InputError, match="'Is it\\?': two answers begin with the same token"):
        Questions([three], Bytes())


def test_questions_are_asked_before_the_first_step_at_powers_and_after_the_last(spec, text) -> None:
    chosen = spec(evaluation=EvaluationSpec(questions=8, question_factor=2.0), training=TrainingSpec(tokens=20 * 16 * 32))
    model = Decoder(chosen.model, 256, seed=0)
    probe, again = (QuestionProbe(chosen, {TOLD: Questions(ITEMS[:8], Bytes())}) for _ in range(2))
    probe.begin(model)
    for step in range(1, 21):
        probe.after_step(step, torch.tensor(1.0), model)
        if step == 9:
            again.load_state_dict(probe.state_dict())
    assert list(dict.fromkeys(row["step"] for row in probe.rows)) == [0, 1, 2, 4, 8, 16, 20]
    assert {row["tokens"] // max(row["step"], 1) for row in probe.rows} == {0, 512}
    for step in range(10, 21):
        again.after_step(step, torch.tensor(1.0), model)
    assert again.rows == probe.rows
    assert {row["domain"] for row in probe.rows} == {TOLD}


def test_a_text_without_facts_or_with_too_few_cannot_ask(spec, text, tmp_path) -> None:
    with pytest.raises(InputError, match=r"evaluation.questions is 8, but its text has no source of kind facts"):
        prepare(spec(evaluation=EvaluationSpec(questions=8)), text=text, runs=tmp_path)
    few = TextSpec(source=SeveralText(sources=(FactsText(clans=1, members=1),)))
    with pytest.raises(InputError, match=r"evaluation.questions is 9, its facts give 8"):
        prepare(spec(text=few, evaluation=EvaluationSpec(questions=9, domains=("f0l0",))), text=text, runs=tmp_path)

"""The probe that asks a model about the entities of a text of kind ``facts``, and scores its answers by likelihood.

Each question stands alone after the end-of-document token, without examples. The answers to it differ in their first token, so
one forward pass scores all of them: the answer given is the one whose first token is likeliest.

==========================  ===============================================================================
metric                      meaning
==========================  ===============================================================================
``accuracy_share``          share of the questions answered rightly
``accuracy_se_share``       its standard error over facts, which several questions ask for
``answer_nats``             mean of -ln p of the right answer, p among the possible ones; ln 4 is guessing
``questions_count``         questions asked
==========================  ===============================================================================
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from curselab.errors import InputError
from trainer.evaluation import spaced_steps, standard_error
from trainer.model import Decoder
from trainer.spec import RunSpec
from trainer.text.facts import Item
from trainer.text.tokenizers import Tokenizer

ROWS = 256  # questions at a time: they are short


class Questions:
    """Questions of one group of entities as token ids.

    Parameters
    ----------
    items : sequence of Item
    tokenizer : Tokenizer

    Raises
    ------
    InputError
        The tokenizer gives two answers to a question the same first token.
    """

    def __init__(self, items: Sequence[Item], tokenizer: Tokenizer) -> None:
        self._fact = np.unique([item.fact for item in items], return_inverse=True)[1]
        self._right = torch.tensor([item.right for item in items])
        prompts, self._answers = [], torch.zeros((len(items), len(items[0].answers)), dtype=torch.long)
        for row, item in enumerate(items):
            prompt, first = _cut(item, tokenizer)
            prompts.append([tokenizer.end, *prompt])
            self._answers[row] = torch.tensor(first)
        self._last = torch.tensor([len(prompt) - 1 for prompt in prompts])
        # what stands after a prompt cannot be seen from its last token
        width = int(self._last.max()) + 1
        self._prompts = torch.tensor([prompt + [tokenizer.end] * (width - len(prompt)) for prompt in prompts])

    def __len__(self) -> int:
        return len(self._prompts)

    @torch.no_grad()
    def scores(self, model: Decoder) -> dict[str, float]:
        """The metrics of the module's text."""
        device = model.embedding.weight.device
        was_training = model.training
        model.eval()
        chosen = []
        for rows in torch.arange(len(self)).split(ROWS):
            logits = model(self._prompts[rows].to(device)).cpu()[torch.arange(len(rows)), self._last[rows]]
            chosen.append(logits.gather(1, self._answers[rows]).double())
        model.train(was_training)
        answered = torch.cat(chosen)
        hits = (answered.argmax(1) == self._right).double().numpy()
        nats = torch.nn.functional.cross_entropy(answered, self._right)
        return {
            "accuracy_share": float(hits.mean()),
            "accuracy_se_share": standard_error(hits, self._fact),
            "answer_nats": float(nats),
            "questions_count": float(len(self)),
        }


class QuestionProbe:
    """Asks before the first step, at evenly spaced powers of a factor, and after the last step; nothing is changed.

    Parameters
    ----------
    spec : RunSpec
    questions : mapping
        Domain that holds the facts -> what to ask.
    """

    def __init__(self, spec: RunSpec, questions: Mapping[str, Questions]) -> None:
        self.spec = spec
        self.questions = questions
        self.steps = set(spaced_steps(spec.steps, spec.evaluation.question_factor))
        self.rows: list[dict[str, Any]] = []
        """Of the table ``metrics``, without sweep and run id."""

    def begin(self, model: Decoder) -> None:
        """Ask the initial weights."""
        self._ask(0, model)

    def after_step(self, step: int, loss: Tensor, model: Decoder) -> None:
        """Ask where it is due."""
        if step in self.steps:
            self._ask(step, model)

    def state_dict(self) -> dict[str, Any]:
        """Rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self.rows = list(state["rows"])

    def _ask(self, step: int, model: Decoder) -> None:
        at = {"step": step, "tokens": step * self.spec.tokens_per_step, "split": "validation"}
        for domain, questions in self.questions.items():
            scores = questions.scores(model)
            if all(map(math.isfinite, scores.values())):
                self.rows += [{**at, "domain": domain, "metric": metric, "value": value} for metric, value in scores.items()]


def _cut(item: Item, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Tokens that all answers to a question begin with, and the first token of each answer after them."""
    rows = [[int(token) for token in tokenizer.encode(f"{item.question} {answer}.")] for answer in item.answers]
    shared = 0
    while len({row[shared] for row in rows}) == 1:
        shared += 1
    first = [row[shared] for row in rows]
    if len(set(first)) < len(first):
        raise InputError(f"{item.question!r}: two answers begin with the same token; lower tokenizer.vocab_size or take bytes")
    return rows[0][:shared], first

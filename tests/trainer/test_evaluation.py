"""Evaluation against brute force in double precision, and its standard error against statsmodels."""

import dataclasses
import math

import numpy as np
import pytest
import statsmodels.api as sm
import torch

from trainer.evaluation import Validation, evaluation_steps, standard_error
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.spec import EvaluationSpec, TrainingSpec
from trainer.stream import Windows

SPEC = ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=16)
END = 7
VOCAB = 11


def text(*lengths: int) -> Windows:
    rng = np.random.default_rng(0)
    return Windows([rng.integers(VOCAB, size=length) for length in lengths], SPEC.context)


def validation(windows: Windows, tokens: int = 10**6) -> Validation:
    return Validation(windows, tokens=tokens, token_bytes=np.arange(1, VOCAB + 1), end=END)


def test_scores_equal_brute_force_in_double_precision() -> None:
    windows, model = text(500, 200), Decoder(SPEC, VOCAB, seed=0)
    scores = validation(windows).scores(model)
    exact, nats, scored, text_bytes = Decoder(SPEC, VOCAB, seed=0).double(), 0.0, 0, 0
    for domain in windows.domains:
        for first in range(0, len(domain) - SPEC.context, SPEC.context):  # every window, token by token
            window = torch.from_numpy(domain[first : first + SPEC.context + 1])
            with torch.no_grad():
                p = torch.softmax(exact(window[None, :-1])[0], dim=-1)
            for place, token in enumerate(window[1:].tolist()):
                nats -= math.log(p[place, token])
                scored, text_bytes = scored + 1, text_bytes + token + 1
    assert scored == 16 * (31 + 12)
    assert scores["loss_nats_per_token"] == pytest.approx(nats / scored, abs=1e-5)
    assert scores["loss_bits_per_byte"] == pytest.approx(nats / math.log(2) / text_bytes, abs=1e-5)


def test_no_token_is_scored_twice_and_every_token_knows_its_document() -> None:
    windows = text(500, 200)
    all_of_it = validation(windows)
    place = np.concatenate([np.arange(len(domain)) + 1000 * i for i, domain in enumerate(windows.domains)])
    numbered = Windows([place[:500], place[500:]], SPEC.context)
    scored = numbered.gather(np.arange(len(windows)))[:, 1:].flatten().numpy()
    assert len(set(scored)) == len(scored) == all_of_it.tokens
    expected, document = {}, 0
    for i, domain in enumerate(windows.domains):
        for at, token in enumerate(domain):
            expected[1000 * i + at] = document
            document += token == END  # the end belongs to the document that it ends
        document += 1
    mine = [expected[at] for at in scored]
    assert len(set(zip(mine, all_of_it._document, strict=True))) == len(set(mine)) == all_of_it._document.max() + 1


def test_the_standard_error_is_that_of_clusters() -> None:
    rng = np.random.default_rng(1)
    group = rng.integers(30, size=2000)
    values = rng.normal(size=30)[group] + rng.normal(size=2000)
    reference = sm.OLS(values, np.ones(2000)).fit(cov_type="cluster", cov_kwds={"groups": group})
    assert standard_error(values, group) == pytest.approx(reference.bse[0], rel=1e-10)


def test_text_of_one_document_is_judged_by_its_windows() -> None:
    windows = Windows([np.zeros(400, dtype=np.int64)], SPEC.context)
    scores = validation(windows).scores(Decoder(SPEC, VOCAB, seed=0))
    assert math.isfinite(scores["loss_se_nats_per_token"])


def test_fewer_tokens_are_spread_over_the_split() -> None:
    windows = text(2000)
    few = validation(windows, tokens=5 * SPEC.context)
    assert few.tokens == 5 * SPEC.context
    assert torch.equal(few.batch[0], windows.gather(np.array([0]))[0])
    assert torch.equal(few.batch[-1], windows.gather(np.array([len(windows) - 1]))[0])


def test_a_model_is_left_in_the_mode_it_had() -> None:
    model = Decoder(dataclasses.replace(SPEC, dropout=0.5), VOCAB, seed=0)
    for mode in (True, False):
        validation(text(300)).scores(model.train(mode))
        assert model.training == mode


def test_runs_of_any_length_are_scored_at_the_same_token_counts(spec) -> None:
    for factor, dense in ((4.0, 0), (10.0, 0), (1.12, 20)):
        chosen = EvaluationSpec(factor=factor, every_step_until=dense)
        lengths = [
            evaluation_steps(spec(evaluation=chosen, training=TrainingSpec(tokens=steps * 8 * 32, batch_sequences=8)))
            for steps in (1, 7, 64, 1000)
        ]
        for short, long in zip(lengths, lengths[1:], strict=False):
            assert short[:-1] == [step for step in long if step < short[-1]]
            assert short == sorted(set(short))
        assert [steps[-1] for steps in lengths] == [1, 7, 64, 1000]
        assert set(range(1, dense + 1)) <= set(lengths[-1])

import math

import pytest
import torch
from torch.nn import functional as F

from trainer.losses import (
    CHUNK_FROM_VOCAB,
    CHUNK_ROWS,
    HeadCrossEntropy,
    bits_per_byte,
    distillation_loss,
    lm_loss,
    text_loss,
    token_nats,
)
from trainer.model import Decoder
from trainer.model_spec import ModelSpec


def random_logits(seed: int) -> torch.Tensor:
    return torch.randn(3, 5, 11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TARGETS = torch.randint(11, (3, 5), generator=torch.Generator().manual_seed(9))


def test_distillation_from_oneself_is_free() -> None:
    logits = random_logits(0)
    assert float(distillation_loss(logits, logits, TARGETS, weight=1.0, temperature=2.0)) == pytest.approx(0, abs=1e-12)


def test_distillation_is_the_kl_divergence_of_torch() -> None:
    student, teacher = random_logits(0), random_logits(1)
    p, q = torch.distributions.Categorical(logits=teacher), torch.distributions.Categorical(logits=student)
    expected = torch.distributions.kl_divergence(p, q).mean()
    loss = distillation_loss(student, teacher, TARGETS, weight=1.0, temperature=1.0)
    torch.testing.assert_close(loss, expected)


def test_a_sure_teacher_is_the_text() -> None:
    student = random_logits(0)
    sure = 1e4 * F.one_hot(TARGETS, 11).double()
    soft = distillation_loss(student, sure, TARGETS, weight=1.0, temperature=1.0)
    torch.testing.assert_close(soft, lm_loss(student, TARGETS))


def test_the_weight_mixes_linearly() -> None:
    student, teacher = random_logits(0), random_logits(1)
    soft, text, mixed = (
        distillation_loss(student, teacher, TARGETS, weight=weight, temperature=1.0) for weight in (1.0, 0.0, 0.25)
    )
    torch.testing.assert_close(text, lm_loss(student, TARGETS))
    torch.testing.assert_close(mixed, 0.25 * soft + 0.75 * text)


def test_the_gradient_keeps_its_size_at_high_temperature() -> None:
    # Hinton et al. 1503.02531, eq. 4: for large T the gradient tends to (z - v) / n_classes once multiplied by T^2
    student, teacher = random_logits(0).requires_grad_(), random_logits(1)
    distillation_loss(student, teacher, TARGETS, weight=1.0, temperature=1e4).backward()
    centred = (student - student.mean(-1, keepdim=True)) - (teacher - teacher.mean(-1, keepdim=True))
    torch.testing.assert_close(student.grad, (centred / 11 / 15).detach(), rtol=1e-3, atol=1e-6)


def test_tokens_add_up_to_the_mean_loss() -> None:
    logits = random_logits(0)
    nats = token_nats(logits, TARGETS)
    assert nats.shape == TARGETS.shape
    torch.testing.assert_close(nats.mean(), lm_loss(logits, TARGETS))


def test_uniform_bytes_cost_eight_bits_each() -> None:
    logits = torch.zeros(2, 7, 256)
    nats = float(token_nats(logits, torch.zeros(2, 7, dtype=torch.long)).sum())
    assert bits_per_byte(nats, text_bytes=14) == pytest.approx(8)
    assert nats / 14 == pytest.approx(math.log(256))


def test_the_gradient_in_the_forward_pass_is_the_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(11, (7,), generator=generator)
    assert torch.autograd.gradcheck(lambda x, w: HeadCrossEntropy.apply(x, w, targets), (features, weight))


@pytest.mark.parametrize("rows", [1, CHUNK_ROWS, 2 * CHUNK_ROWS + 3])
def test_chunks_equal_the_plain_cross_entropy(rows: int) -> None:
    generator = torch.Generator().manual_seed(1)
    features, weight = torch.randn(rows, 16, generator=generator), torch.randn(500, 16, generator=generator)
    targets = torch.randint(500, (rows,), generator=generator)
    losses, gradients = [], []
    for loss_of in (HeadCrossEntropy.apply, lambda x, w, t: F.cross_entropy(x @ w.T, t)):
        x, w = features.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = loss_of(x, w, targets)
        (3 * loss).backward()
        losses.append(loss)
        gradients.append((x.grad, w.grad))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_a_large_vocabulary_trains_as_the_plain_loss_does(tied: bool) -> None:
    spec = ModelSpec(width=16, depth=1, heads=2, ffn_width=24, context=24, tie_embeddings=tied)
    model = Decoder(spec, CHUNK_FROM_VOCAB, seed=0)
    tokens = torch.randint(CHUNK_FROM_VOCAB, (3, 25), generator=torch.Generator().manual_seed(2))
    fused = torch.autograd.grad(text_loss(model, tokens), list(model.parameters()))
    plain = torch.autograd.grad(lm_loss(model(tokens[:, :-1]), tokens[:, 1:]), list(model.parameters()))
    for ours, theirs in zip(fused, plain, strict=True):
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm())

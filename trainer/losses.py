"""Training losses and validation scores, in nats a token and bits a byte."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

if TYPE_CHECKING:
    from trainer.model import Decoder

CHUNK_FROM_VOCAB = 1024  # below, the logits of a batch fit in cache (docs/log.md)
CHUNK_ROWS = 256


def lm_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean next-token cross-entropy in nats/token.

    Parameters
    ----------
    logits : Tensor (batch, length, vocab_size)
    targets : Tensor (batch, length)
        The tokens that follow.
    """
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class HeadCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of a linear head, a few rows at a time, with the gradients computed in the forward pass.

    The logits of a batch are never held at once: at a vocabulary of 4,096 they are 16 times a width of 256, and pages of so
    large a tensor cost as much as its product. The gradient is divided by the rows and the softmax is at hand, so one visit
    to each chunk does all.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Loss in nats/token of features (rows, width), head (vocab_size, width) and targets (rows,)."""
        loss = features.new_zeros(())
        d_features, d_weight = torch.empty_like(features), torch.zeros_like(weight)
        for start in range(0, len(features), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            p = torch.softmax(features[rows] @ weight.T, dim=-1)
            hit = targets[rows, None]
            # a probability below the smallest number is one of a run that has diverged
            loss -= p.gather(1, hit).clamp_min_(torch.finfo(p.dtype).tiny).log_().sum()
            gradient = p.scatter_add_(1, hit, p.new_full(hit.shape, -1.0))
            torch.mm(gradient, weight, out=d_features[rows])
            d_weight.addmm_(gradient.T, features[rows])
        ctx.save_for_backward(d_features.div_(len(features)), d_weight.div_(len(features)))
        return loss / len(features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        """Hand back what the forward pass computed."""
        d_features, d_weight = ctx.saved_tensors
        return gradient * d_features, gradient * d_weight, None


def head_loss(features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Mean next-token cross-entropy of a linear head in nats/token, by the faster of two equal ways.

    Parameters
    ----------
    features : Tensor (rows, width)
    weight : Tensor (vocab_size, width)
    targets : Tensor (rows,)
    """
    if in_chunks(weight):
        return HeadCrossEntropy.apply(features, weight, targets)  # type: ignore[no-any-return]
    return F.cross_entropy(F.linear(features, weight), targets)


def text_loss(model: "Decoder", tokens: Tensor) -> Tensor:
    """Mean next-token cross-entropy of a model in nats/token.

    Parameters
    ----------
    model : Decoder
    tokens : Tensor (batch, length + 1)
    """
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    if in_chunks(model.head.weight):
        return head_loss(model.features(inputs).flatten(0, 1), model.head.weight, targets.flatten())
    return lm_loss(model(inputs), targets)  # the whole of the model, which may be compiled


def in_chunks(weight: Tensor) -> bool:
    """Tell whether the loss of a head (vocab_size, width) is computed a few rows at a time."""
    return weight.device.type == "cpu" and len(weight) >= CHUNK_FROM_VOCAB


def distillation_loss(logits: Tensor, teacher_logits: Tensor, targets: Tensor, *, weight: float, temperature: float) -> Tensor:
    """Weighted sum of soft targets and text, in nats/token.

    ``weight * T^2 * KL(teacher_T || student_T) + (1 - weight) * cross-entropy``, full vocabulary. The factor T^2
    keeps the size of the gradient (Hinton et al. 1503.02531, section 2).

    Parameters
    ----------
    logits, teacher_logits : Tensor (batch, length, vocab_size)
    targets : Tensor (batch, length)
    weight : float
        Share of the soft targets, 0 to 1.
    temperature : float
        Divides both sets of logits.
    """
    student = F.log_softmax(logits.flatten(0, 1) / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.flatten(0, 1) / temperature, dim=-1)
    soft = temperature**2 * F.kl_div(student, teacher, log_target=True, reduction="batchmean")
    if weight == 1:
        return soft
    return weight * soft + (1 - weight) * lm_loss(logits, targets)


def token_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each token in nats, (batch, length).

    Parameters
    ----------
    logits : Tensor (batch, length, vocab_size)
    targets : Tensor (batch, length)
    """
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def bits_per_byte(nats: float, text_bytes: int) -> float:
    """Loss that compares across tokenizers: total nats over the bytes of UTF-8 text that the scored tokens stand for."""
    return nats / (math.log(2) * text_bytes)

"""Training losses and validation scores, in nats a token and bits a byte."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def lm_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean next-token cross-entropy in nats/token.

    Parameters
    ----------
    logits : Tensor (batch, length, vocab_size)
    targets : Tensor (batch, length)
        The tokens that follow.
    """
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


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


def window_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy of each window in nats, shape (batch,), in double precision."""
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view(targets.shape).sum(dim=1, dtype=torch.float64)


def bits_per_byte(nats: float, text_bytes: int) -> float:
    """Loss that compares across tokenizers: total nats over the bytes of UTF-8 text that the scored tokens stand for."""
    return nats / (math.log(2) * text_bytes)

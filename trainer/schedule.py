"""Learning rate over a run, as a factor of its peak."""

import math

import numpy as np

from trainer.spec import RunSpec, ScheduleSpec


def learning_rate_factor(schedule: ScheduleSpec, step: int, *, steps: int, tokens_per_step: int) -> float:
    """Factor of the peak learning rate for optimiser step ``step`` (from 0) of ``steps``.

    Linear warm-up, then a cosine to ``final_share`` (Loshchilov & Hutter 1608.03983), or a plateau and a linear decay over the
    last ``decay_share`` of the run (warm-up-stable-decay, Hu et al. 2404.06395), or a constant; or linear between knots.
    """
    if schedule.kind == "given":
        knots = schedule.knots
        return float(np.interp(step * tokens_per_step, [knot.tokens for knot in knots], [knot.factor for knot in knots]))
    decay = max(1, round(schedule.decay_share * steps))
    warmup = round(schedule.warmup_share * steps)
    if schedule.warmup_tokens:
        warmup = min(round(schedule.warmup_tokens / tokens_per_step), (steps - decay) // 2)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "cosine":
        progress = (step - warmup) / max(1, steps - warmup)
        return schedule.final_share + (1 - schedule.final_share) * 0.5 * (1 + math.cos(math.pi * progress))
    progress = max(0.0, (step - (steps - decay)) / decay)
    return 1 - (1 - schedule.final_share) * progress


def factor_at(spec: RunSpec, step: int) -> float:
    """Factor of the peak learning rate that a run's optimiser step ``step`` (from 0) takes."""
    return learning_rate_factor(spec.schedule, step, steps=spec.steps, tokens_per_step=spec.tokens_per_step)


def last_rate(spec: RunSpec) -> float:
    """Learning rate of a run's last optimiser step."""
    return spec.optimizer.learning_rate * factor_at(spec, spec.steps - 1)
